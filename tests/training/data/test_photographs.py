"""Real photographs out of a Qt resource collection, as training's other looks of things."""

import json
import struct
import zlib

import cv2
import numpy as np
import pytest

from ps3_ros.errors import Ps3Error
from ps3_training.data import catalogue, photographs
from ps3_training.data.qt_resources import ZLIB, read_resources

RNG = np.random.default_rng(0)


def collection(files, version=2):
    """The bytes of an .rcc with these files, {"folder/file": (bytes, flags)}: all in one folder each, below the root."""
    folders = sorted({path.split("/")[0] for path in files})
    names, data, nodes = b"", b"", []

    def named(text):
        nonlocal names
        at = len(names)
        names += struct.pack(">HI", len(text), 0) + text.encode("utf-16-be")
        return at

    time = b"" if version == 1 else bytes(8)
    nodes.append(struct.pack(">IHII", 0, 2, len(folders), 1) + time)
    first, later = 1 + len(folders), []
    for folder in folders:
        inside = sorted(path for path in files if path.startswith(folder + "/"))
        nodes.append(struct.pack(">IHII", named(folder), 2, len(inside), first) + time)
        first += len(inside)
        for path in inside:
            content, flags = files[path]
            later.append(struct.pack(">IHII", named(path.split("/")[1]), flags, 0, len(data)) + time)
            packed = struct.pack(">I", len(content)) + zlib.compress(content) if flags & ZLIB else content
            data += struct.pack(">I", len(packed)) + packed
    nodes += later
    head = 20 if version < 3 else 24
    tree = b"".join(nodes)
    header = b"qres" + struct.pack(">4I", version, head, head + len(tree), head + len(tree) + len(data)) + bytes(head - 20)
    return header + tree + data + names


def webp(colour, shape=(200, 300)):
    """A disc of this colour, BGR, on noisy grey."""
    pixels = RNG.integers(170, 200, (*shape, 3)).astype(np.uint8)
    cv2.circle(pixels, (shape[1] // 2, shape[0] // 2), min(shape) // 4, colour, -1)
    return cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, 90])[1].tobytes()


@pytest.fixture
def gcompris(tmp_path):
    folder = tmp_path / "rcc"
    folder.mkdir()
    for activity in photographs.ACTIVITIES:
        (folder / f"{activity}.rcc").write_bytes(collection({f"x/{activity}.txt": (b"no picture", 0)}))
    tools = {
        "tools/hammer1.webp": (webp((200, 30, 20)), 0),
        "tools/hammer12.webp": (webp((20, 30, 200)), ZLIB),
        "tools/thing.webp": (webp((0, 90, 0)), 0),
        "tools/pan.webp": (webp((9, 9, 9), (80, 90)), 0),  # too small
        "alphabets/alphabets.webp": (webp((1, 2, 3)), 0),
    }
    (folder / "categorization.rcc").write_bytes(collection(tools))
    (folder / "erase.rcc").write_bytes(
        collection({"resource/goat.webp": (webp((5, 5, 5)), 0), "resource/red_panda.webp": (webp((9, 0, 0)), 0)})
    )
    return folder


@pytest.mark.parametrize("version", (1, 2, 3))
def test_a_collection_gives_its_files_whatever_its_version(tmp_path, version):
    files = {"a/one.txt": (b"one", 0), "a/two.bin": (bytes(range(256)) * 9, ZLIB), "b/empty": (b"", 0), "b/zstd": (b"?", 4)}
    (tmp_path / "x.rcc").write_bytes(collection(files, version))
    assert dict(read_resources(tmp_path / "x.rcc")) == {"/" + p: c for p, (c, flags) in files.items() if flags != 4}


@pytest.mark.parametrize("spoil", ("not one", "cut off", "version", "a folder in itself", "packed data"))
def test_a_broken_collection_is_named_in_one_sentence(tmp_path, spoil):
    whole = bytearray(collection({"a/one.txt": (b"one" * 50, ZLIB)}))
    if spoil == "not one":
        whole[:4] = b"RIFF"
    elif spoil == "cut off":
        whole = whole[:-3]
    elif spoil == "version":
        whole[7] = 9
    elif spoil == "a folder in itself":
        struct.pack_into(">II", whole, 20 + 6, 1, 0)  # the root's only entry is the root
    else:
        at = struct.unpack_from(">I", whole, 12)[0]
        whole[at + 12 : at + 20] = bytes(8)
    (tmp_path / "x.rcc").write_bytes(whole)
    with pytest.raises(Ps3Error, match=r"^The Qt resources '.*x\.rcc' cannot be read \(.+\); install their package again\.$"):
        list(read_resources(tmp_path / "x.rcc"))


def test_photographs_are_named_by_their_files_and_none_is_of_a_held_out_thing(tmp_path, gcompris):
    assert catalogue.is_held_out("goat")
    assert photographs.write(tmp_path / "out", gcompris) == 4
    listed = json.loads((tmp_path / "out" / photographs.LIST).read_text())
    assert [one["cut_out"] != "" for one in listed] == [one["name"] != "" for one in listed]
    assert {one["file"]: one["name"] for one in listed} == {
        "categorization/tools-hammer1.webp": "hammer",
        "categorization/tools-hammer12.webp": "hammer",
        "categorization/tools-thing.webp": "",
        "erase/resource-red_panda.webp": "red panda",
    }
    assert all((tmp_path / "out" / one["file"]).read_bytes()[:4] == b"RIFF" for one in listed)


def test_the_thing_in_the_middle_is_cut_out():
    pixels = cv2.imdecode(np.frombuffer(webp((200, 30, 20)), np.uint8), cv2.IMREAD_COLOR)
    thing = photographs.cut_out(pixels)
    y, x = np.mgrid[0:200, 0:300]
    disc = (y - 100) ** 2 + (x - 150) ** 2 < 50**2
    assert thing.shape == (200, 300, 4) and np.array_equal(thing[..., :3], pixels)
    assert ((thing[..., 3] > 127) == disc).mean() > 0.98
    assert photographs.cut_out(np.full((150, 200, 3), 90, np.uint8)) is None


def test_only_training_sees_them_and_as_other_looks_of_a_thing(tmp_path, gcompris, monkeypatch):
    monkeypatch.setenv(catalogue.ASSETS, str(tmp_path / "assets"))
    monkeypatch.setenv("PS3_TUXPAINT", str(tmp_path / "none"))
    clips = tmp_path / "clips" / "tools"
    clips.mkdir(parents=True)
    monkeypatch.setenv("PS3_OPENCLIPART", str(tmp_path / "clips"))
    own = tmp_path / "assets" / "lobehub-fluent-emoji-3d-1.1.0" / "package" / "assets"
    own.mkdir(parents=True)
    cv2.imwrite(str(own / "1f528.webp"), np.full((32, 32, 4), 255, np.uint8))  # the table's hammer
    photographs.write(tmp_path / "assets" / "photographs", gcompris)
    hammer = next(o for o in catalogue.load(restyled=True) if o.name == "hammer")
    assert [root for root, _ in hammer.restyled] == ["photo"] * 2 and all(root != "photo" for root, _ in hammer.pictures)
    look = catalogue.picture(*hammer.restyled[0])
    assert abs(look.shape[0] - 100) < 8 and abs(look.shape[1] - 100) < 8 and look[50, 50].tolist()[3] == 255  # trimmed to the disc
    assert not any(o.restyled for o in catalogue.load())


def test_without_gcompris_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(photographs.FOLDER, str(tmp_path))
    assert photographs.main([str(tmp_path / "out")]) == 2
    assert "apt-get install gcompris-qt-data" in capsys.readouterr().err and not (tmp_path / "out").exists()
