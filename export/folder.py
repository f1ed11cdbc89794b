"""Where a bundle is written: beside its target first, then renamed over it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ps3_ros.bundle import MANIFEST_FILE
from ps3_ros.errors import CheckpointError, Ps3Error


def check_target(out: Path) -> None:
    """A bundle may be replaced, an empty folder filled; anything else that is there stays as it is (CheckpointError)."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise CheckpointError(f"{str(out)!r} is a file or a link, not a bundle folder: choose another --out")
    if out.is_dir() and not (out / MANIFEST_FILE).is_file() and any(out.iterdir()):
        raise CheckpointError(f"{str(out)!r} is there and is not a bundle (no {MANIFEST_FILE}): choose another --out, or remove it first")


@contextmanager
def beside(out: Path) -> Iterator[tuple[Path, Path]]:
    """(folder, work): two empty folders in `out`'s parent, for the bundle and for what is only needed on the way.

    Both go, whatever happens; a bundle that is done was renamed before.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    folders = []
    try:
        for kind in ("", "work."):
            folders.append(Path(tempfile.mkdtemp(prefix=f".{out.name}.{kind}", dir=out.parent)))
        folders[0].chmod(0o755)
        yield folders[0], folders[1]
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def replace(folder: Path, out: Path) -> None:
    """Renames `folder` to `out`; a bundle that was there is moved aside first and comes back if the rename fails."""
    aside = None
    if out.is_dir():
        check_target(out)
        aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.old.", dir=out.parent))
        os.replace(out, aside / "bundle")
    try:
        os.replace(folder, out)
    except OSError as error:
        if aside:
            os.replace(aside / "bundle", out)
        raise Ps3Error(f"the bundle could not be moved to {str(out)!r} ({error.strerror}): check the folder's rights") from error
    finally:
        if aside:
            shutil.rmtree(aside, ignore_errors=True)
