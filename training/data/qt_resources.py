"""Files inside a Qt resource collection (.rcc), as `rcc --binary` writes them; the format is that of Qt's qresource.cpp, versions 1 to 3.

All numbers are big-endian. A header (b"qres", version, offsets of tree, data and names, flags from version 3 on), a tree of nodes of 14
bytes (22 from version 2 on, with a time), names in UTF-16, and each file's length and bytes.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from ps3_ros.errors import Ps3Error

MOST = 64 << 20  # bytes of a file, unpacked
ZLIB, FOLDER, ZSTD = 1, 2, 4  # flags of a node


def read_resources(path: Path) -> Iterator[tuple[str, bytes]]:
    """(path inside the collection, its bytes) of each file, in the tree's order; those packed with zstd are left out.

    Raises Ps3Error where the collection cannot be read or is broken.
    """
    try:
        whole = Path(path).read_bytes()
        if whole[:4] != b"qres":
            raise ValueError("it does not begin with 'qres'")
        version, tree, data, names = struct.unpack_from(">4I", whole, 4)
        if not 1 <= version <= 3:
            raise ValueError(f"its version is {version}")
        size = 14 if version == 1 else 22
        waiting, met = [(0, "")], 0
        while waiting:
            number, before = waiting.pop()
            met += 1
            if met > len(whole) // size:
                raise ValueError("its folders contain themselves")
            name_at, flags, first, second = struct.unpack_from(">IHII", whole, tree + number * size)
            inside = f"{before}/{_name(whole, names + name_at)}" if number else ""
            if flags & FOLDER:  # first: how many, second: the first one's number
                if first > len(whole) // size:
                    raise ValueError(f"the folder {inside!r} has {first} files")
                waiting += [(second + i, inside) for i in reversed(range(first))]
            elif not flags & ZSTD:
                yield inside, _content(whole, data + second, flags, inside)
    except (OSError, ValueError, struct.error, zlib.error) as error:
        raise Ps3Error(f"The Qt resources {str(path)!r} cannot be read ({error}); install their package again.") from error


def _name(whole: bytes, at: int) -> str:
    (length,) = struct.unpack_from(">H", whole, at)
    return _cut(whole, at + 6, 2 * length).decode("utf-16-be")  # a hash of 4 bytes stands between


def _content(whole: bytes, at: int, flags: int, inside: str) -> bytes:
    (length,) = struct.unpack_from(">I", whole, at)
    content = _cut(whole, at + 4, length)
    if not flags & ZLIB:
        return content
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(content[4:], MOST)  # the unpacked length stands before
    if not unpacker.eof:
        raise ValueError(f"{inside!r} is cut off, or more than {MOST >> 20} MiB")
    return content


def _cut(whole: bytes, at: int, length: int) -> bytes:
    if at + length > len(whole):
        raise ValueError("it is cut off")
    return whole[at : at + length]
