"""Unpacking what npm fetched."""

import io
import tarfile

import pytest

from ps3_ros.errors import Ps3Error
from ps3_training.data import fetch_assets


def test_fetch_unpacks_and_refuses_unsafe_archives(tmp_path):
    def archive(name):
        path = tmp_path / "p.tgz"
        with tarfile.open(path, "w:gz") as tar:
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
        return path

    fetch_assets.unpack(archive("package/a.svg"), tmp_path / "p")
    assert (tmp_path / "p" / "package" / "a.svg").read_bytes() == b"abc"
    with pytest.raises(Ps3Error, match="belongs in no package"):
        fetch_assets.unpack(archive("../a.svg"), tmp_path / "q")
    (tmp_path / "p.tgz").write_bytes(b"broken")
    with pytest.raises(Ps3Error, match="cannot be unpacked"):
        fetch_assets.unpack(tmp_path / "p.tgz", tmp_path / "q")
    assert not (tmp_path / "q").exists()
