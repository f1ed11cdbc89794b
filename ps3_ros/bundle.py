"""A bundle: a folder with a model ready to run. Its manifest is read and everything in it is checked before anything runs."""

import json
import os
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np

from .errors import BundleError
from .manifest import EngineSpec, FileSpec, GraphSpec, Manifest, Settings, TensorSpec, contract

__all__ = [
    "Bundle",
    "EngineSpec",
    "FileSpec",
    "GraphSpec",
    "Manifest",
    "Settings",
    "TensorSpec",
    "contract",
    "default_bundle",
    "file_sha256",
    "load_bundle",
    "write_manifest",
]

MANIFEST_FILE = "manifest.json"
MANIFEST_BYTES_LIMIT = 4 << 20  # a manifest is a few KB; anything near this is not one


@dataclass(frozen=True)
class Bundle:
    folder: Path
    manifest: Manifest
    prior: np.ndarray = field(compare=False, repr=False)  # float32 [D + d]

    @property
    def settings(self):
        return self.manifest.settings

    def path(self, name):
        """Path of a file that the manifest names."""
        return self.folder / name


def load_bundle(folder, check_hashes=True):
    """Read and check a bundle. Returns Bundle; raises BundleError with one sentence.

    check_hashes=False skips only the sha256 of the files (for a folder that was checked a moment ago).
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BundleError(f"bundle folder {str(folder)!r} does not exist or is not a folder; give the folder that holds {MANIFEST_FILE}")
    manifest = Manifest.from_dict(_read_json(folder / MANIFEST_FILE))
    files = [*manifest.graphs.values(), *manifest.weights, manifest.tokenizer, manifest.prior]
    for spec in files:
        path = folder / spec.file
        if not path.is_file():
            raise BundleError(
                f"bundle {str(folder)!r} lacks the file {spec.file!r} that its manifest names; export or copy the bundle again"
            )
        if check_hashes and (found := file_sha256(path)) != spec.sha256:
            raise BundleError(
                f"file {spec.file!r} of bundle {str(folder)!r} has sha256 {found[:12]}... where its manifest says {spec.sha256[:12]}...; "
                "it was changed or damaged, so export or copy the bundle again"
            )
    return Bundle(folder, manifest, _read_prior(folder / manifest.prior.file, manifest.settings))


def write_manifest(folder, manifest):
    """Check a manifest as loading would and write it beside its files, atomically. Returns its path."""
    data = manifest.to_dict()
    try:
        text = json.dumps(data, indent=1, sort_keys=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise BundleError(f"the manifest holds a value that JSON cannot ({error}); use finite plain numbers and text") from error
    Manifest.from_dict(json.loads(text))
    target = Path(folder) / MANIFEST_FILE
    beside = target.with_name(f".{MANIFEST_FILE}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    return target


def default_bundle():
    """Folder of the bundle that comes with the project: in the source tree, the environment, or a ROS overlay. Raises BundleError."""
    tail = Path("share", "ps3_ros", "engines", "nano")
    places = [Path(__file__).resolve().parent.parent / "engines" / "nano", Path(sys.prefix) / tail]
    places += [Path(prefix) / tail for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    for place in places:
        if (place / MANIFEST_FILE).is_file():
            return place
    raise BundleError(
        f"no default bundle in {', '.join(str(p) for p in places)}; name a bundle folder, or install ps3_ros with its engines/nano"
    )


def file_sha256(path):
    """Hex sha256 of a file, read in pieces so that a large one costs no memory. Raises BundleError where it cannot be read."""
    digest = sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except OSError as error:
        raise BundleError(f"cannot read {str(path)!r} ({error.strerror or error}); check its permissions and disk") from error
    return digest.hexdigest()


def _read_json(path):
    try:
        if path.stat().st_size > MANIFEST_BYTES_LIMIT:
            raise BundleError(
                f"{str(path)!r} is {path.stat().st_size} bytes where a manifest has at most {MANIFEST_BYTES_LIMIT}; this is not a manifest"
            )
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise BundleError(f"cannot read {str(path)!r} ({error.strerror or error}); give a folder that an export made") from error
    except UnicodeDecodeError as error:
        raise BundleError(f"{str(path)!r} is not UTF-8 text (byte {error.start}); export or copy the bundle again") from error

    def refuse(value):
        raise ValueError(f"{value} is not a JSON number")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{str(path)!r} is not JSON ({error}); export or copy the bundle again") from error


def _read_prior(path, settings):
    expected = (settings.dim + settings.aux_dim,)
    try:
        prior = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BundleError(f"prior {str(path)!r} is not an npy array ({error}); export the bundle again") from error
    if not isinstance(prior, np.ndarray) or prior.dtype != np.float32 or prior.shape != expected:
        got = f"{prior.dtype} {list(prior.shape)}" if isinstance(prior, np.ndarray) else type(prior).__name__
        raise BundleError(f"prior {str(path)!r} is {got} where the settings ask for float32 {list(expected)}; export the bundle again")
    if not np.isfinite(prior).all():
        raise BundleError(f"prior {str(path)!r} holds NaN or infinity; export the bundle again")
    return prior
