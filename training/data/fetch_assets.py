"""Fetches the pictures of named objects: python -m ps3_training.data.fetch_assets DIR

The npm packages are fetched with `npm pack` (its own settings decide from where) and unpacked into DIR; what Debian packages is named.
"""

import argparse
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from ps3_ros.errors import Ps3Error

NPM = {
    "mapillary_sprite_source": "1.8.0",
    "@lobehub/fluent-emoji-3d": "1.1.0",
    "@iconify-json/noto": "1.2.9",  # these seven: the same things drawn by others (restyled.py)
    "@iconify-json/twemoji": "1.2.5",
    "@iconify-json/fluent-emoji-flat": "1.2.6",
    "@iconify-json/openmoji": "1.2.29",
    "@iconify-json/noto-v1": "1.2.5",
    "@iconify-json/emojione": "1.2.3",
    "@iconify-json/streamline-emojis": "1.2.4",
}
DEBIAN = {  # package: what of it is used
    "openclipart-svg": "drawings of objects (public domain)",
    "tuxpaint-stamps-default": "photo cut-outs of objects (GPL-2: used in training only)",
    "lomiri-wallpapers-16.04": "photographs as backgrounds (CC-BY, CC-BY-SA, CC0)",
    "lomiri-wallpapers-20.04": "photographs as backgrounds, and the sample frame (CC-BY-SA)",
    "plasma-workspace-wallpapers": "photographs as backgrounds (LGPL-3, GPL-2+: used in training only)",
    "gcompris-qt-data": "photographs of things (CC-BY, CC-BY-SA, CC0, GPL: used in training only)",
    "sweethome3d-furniture": "3D models of objects (CC-BY-3.0, one library CC0)",
    "mate-backgrounds": "photographs as backgrounds (GPL-2+: used in training only)",
    "fonts-roadgeek": "letters of road signs (MIT)",
    "fonts-dejavu": "letters of signs and labels (Bitstream Vera licence)",
}


def folder_name(package, version):
    """The folder a package is unpacked into, as `npm pack` names its file: lobehub-fluent-emoji-3d-1.1.0."""
    return f"{package.lstrip('@').replace('/', '-')}-{version}"


def unpack(archive, folder):
    """Unpacks an npm tarball into a folder; the folder appears whole or not at all. Raises Ps3Error for a broken or unsafe archive."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                path = Path(member.name)
                if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
                    raise Ps3Error(
                        f"The archive {str(archive)!r} holds {member.name!r}, which belongs in no package; delete it and fetch again."
                    )
                target = part / path
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(tar.extractfile(member).read())
    except (tarfile.TarError, EOFError, OSError) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise Ps3Error(f"The archive {str(archive)!r} cannot be unpacked ({error}); delete it and fetch again.") from error
    except Ps3Error:
        shutil.rmtree(part, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def fetch(folder):
    """Fetches what is missing in the folder and returns the names of the packages fetched now."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    fetched = []
    for package, version in NPM.items():
        target = folder / folder_name(package, version)
        if (target / "package").is_dir():
            continue
        archive = folder / f"{target.name}.tgz"
        if not archive.is_file():
            npm = shutil.which("npm")
            if npm is None:
                raise Ps3Error(
                    f"npm is not installed, and {package} {version} comes with it; install npm (Debian: apt-get install npm) and try again."
                )
            result = subprocess.run([npm, "pack", f"{package}@{version}"], cwd=folder, capture_output=True, text=True)
            if result.returncode or not archive.is_file():
                reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
                raise Ps3Error(f"npm pack {package}@{version} failed ({reason}); check the network and npm's settings, then try again.")
        unpack(archive, target)
        fetched.append(package)
    return fetched


def missing_debian():
    """The Debian packages whose files are not here."""
    signs = {
        "openclipart-svg": "/usr/share/openclipart/svg",
        "tuxpaint-stamps-default": "/usr/share/tuxpaint/stamps",
        "lomiri-wallpapers-16.04": "/usr/share/backgrounds/life_by_Aitzol_Berasategi.jpg",
        "lomiri-wallpapers-20.04": "/usr/share/backgrounds/Kleiber_by_Lukas_Baubkus.jpg",
        "plasma-workspace-wallpapers": "/usr/share/wallpapers/BytheWater",
        "sweethome3d-furniture": "/usr/share/sweethome3d/furniture",
        "mate-backgrounds": "/usr/share/backgrounds/mate",
        "fonts-roadgeek": "/usr/share/fonts/truetype/roadgeek",
        "fonts-dejavu": "/usr/share/fonts/truetype/dejavu/DejaVuSerif-Italic.ttf",
    }
    return [package for package, path in signs.items() if not Path(path).exists()]


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m ps3_training.data.fetch_assets", description="Fetches the pictures that training data is made of."
    )
    parser.add_argument("folder", metavar="DIR", help="where to put them, for example .assets")
    try:
        fetched = fetch(parser.parse_args(argv).folder)
    except Ps3Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("fetched " + ", ".join(fetched) if fetched else "npm packages: all here")
    if missing := missing_debian():
        print("install with: apt-get install " + " ".join(missing))
        for package in missing:
            print(f"  {package}: {DEBIAN[package]}")
    else:
        print("Debian packages: all here")
    return 0


if __name__ == "__main__":
    sys.exit(main())
