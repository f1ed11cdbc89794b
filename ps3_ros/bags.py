"""Rosbag2 recordings without ROS: camera images out of one, answers into a new one. Needs the `rosbags` library (extra [replay])."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import FrameError, Ps3Error
from .frame import Frame
from .image_decoding import decode_compressed, decode_image

try:
    from rosbags.rosbag2 import Reader, ReaderError, StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore
except ImportError as error:
    raise ImportError(f"bags are read with rosbags ({error}); pip install 'ps3_ros[replay]'") from error

IMAGE, COMPRESSED, TEXT = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "std_msgs/msg/String"
TYPES = get_typestore(Stores.ROS2_KILTED)  # the three types are the same in every ROS 2 distribution
BAG_VERSION = 8  # Jazzy's metadata: newer ones read it too


@dataclass(frozen=True)
class Recorded:
    """One image message of a bag. number: counts the topic's messages from 0; log_ns: when it was recorded; data: as it was serialised."""

    number: int
    log_ns: int
    kind: str
    data: bytes

    def frame(self) -> Frame:
        """Raises FrameError where the message or its picture cannot be used."""
        try:
            message = TYPES.deserialize_cdr(self.data, self.kind)
        except Exception as error:  # whatever a parser raises on bytes that are not what they claim to be
            raise FrameError(
                f"message {self.number} cannot be read as {self.kind} ({type(error).__name__}: {error}); record it anew"
            ) from error
        stamp, frame_id = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec, message.header.frame_id
        if self.kind == COMPRESSED:
            return decode_compressed(message.data, message.format, stamp, frame_id)
        m = message
        return decode_image(m.height, m.width, m.encoding, m.is_bigendian, m.step, m.data, stamp, frame_id)


class Bag:
    """An open recording; see open_bag. topics: {name: (type, messages)} of those with camera images."""

    def __init__(self, path: Path, reader):
        self.path, self._reader = path, reader
        self.topics = {c.topic: (c.msgtype, c.msgcount) for c in reader.connections if c.msgtype in (IMAGE, COMPRESSED)}

    def choose(self, topic: str | None = None) -> str:
        """The image topic of that name, or the only one. Raises Ps3Error."""
        listed = ", ".join(f"{name} ({count} messages)" for name, (_, count) in sorted(self.topics.items()))
        if not self.topics:
            raise Ps3Error(f"{str(self.path)!r} holds no {IMAGE} or {COMPRESSED}; record a camera topic")
        if topic is None and len(self.topics) > 1:
            raise Ps3Error(f"{str(self.path)!r} holds images on {listed}; name one with --topic")
        if topic is not None and topic not in self.topics:
            raise Ps3Error(f"{str(self.path)!r} has no images on {topic!r}; it has them on {listed}")
        return topic or next(iter(self.topics))

    def images(self, topic: str) -> Iterator[Recorded]:
        """Every message of a topic, in the order of recording. Raises Ps3Error where the file stops being readable."""
        kind, number = self.topics[topic][0], -1
        messages = self._reader.messages(connections=[c for c in self._reader.connections if c.topic == topic])
        while True:
            try:
                _, log_ns, data = next(messages)
            except StopIteration:
                return
            except Exception as error:  # a damaged chunk: of the library, of zstd, lz4 or SQLite
                raise Ps3Error(
                    f"{str(self.path)!r} cannot be read after image {number + 1} of {topic} ({_said(error)}); {_advice(self.path)}"
                ) from error
            number += 1
            yield Recorded(number, log_ns, kind, data)


@contextmanager
def open_bag(path: Path):
    """Opens a rosbag2 folder, or one .mcap or .db3 file, for reading: gives a Bag. Raises Ps3Error: missing, truncated, not a bag."""
    path = Path(path)
    if not path.exists():
        raise Ps3Error(f"there is no bag at {str(path)!r}; name a rosbag2 folder, or a .mcap or .db3 file")
    if path.is_dir() and not (path / "metadata.yaml").is_file():
        raise Ps3Error(f"the folder {str(path)!r} has no metadata.yaml; name one of its .mcap or .db3 files, or run ros2 bag reindex")
    if path.is_file() and path.suffix not in (".mcap", ".db3"):
        raise Ps3Error(f"{str(path)!r} ends in {path.suffix!r}; name a rosbag2 folder, or a .mcap or .db3 file")
    try:
        reader = Reader(path)
        reader.open()
    except Exception as error:  # a truncated file ends anywhere: in the library's checks, in struct, in SQLite
        raise Ps3Error(f"{str(path)!r} cannot be read as a bag ({_said(error)}); {_advice(path)}") from error
    try:
        yield Bag(path, reader)
    finally:
        reader.close()


def write_bag(folder: Path, texts: Iterable[tuple[str, int, str]], pictures: Iterable[tuple[str, int, bytes]] = ()) -> None:
    """A new mcap bag in `folder`, which appears whole or not at all.

    texts: (topic, time ns, text) as std_msgs/String; pictures: (topic, time ns, JPEG) as sensor_msgs/CompressedImage.
    """
    work = folder.parent / f".{folder.name}.part"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    kinds = TYPES.types
    with Writer(work / folder.name, version=BAG_VERSION, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {}

        def put(topic, time_ns, kind, message):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=TYPES)
            writer.write(connections[topic], max(0, time_ns), TYPES.serialize_cdr(message, kind))

        for topic, time_ns, text in texts:
            put(topic, time_ns, TEXT, kinds[TEXT](data=text))
        for topic, time_ns, jpeg in pictures:
            put(topic, time_ns, COMPRESSED, _picture(kinds, time_ns, jpeg))
    (work / folder.name).rename(folder)
    work.rmdir()


def _picture(kinds, time_ns, jpeg):
    import numpy as np

    sec, nanosec = divmod(time_ns, 1_000_000_000)
    header = kinds["std_msgs/msg/Header"](stamp=kinds["builtin_interfaces/msg/Time"](sec=sec, nanosec=nanosec), frame_id="")
    return kinds[COMPRESSED](header=header, format="jpeg", data=np.frombuffer(jpeg, np.uint8))


def _said(error):
    return " ".join(f"{'' if isinstance(error, ReaderError) else type(error).__name__ + ': '}{error}".split())[:200].rstrip(".")


def _advice(path):
    if path.suffix == ".mcap" or (path.is_dir() and any(path.glob("*.mcap"))):
        return "it is truncated or damaged: repair it with `mcap recover`, or record it anew"
    return "it is truncated or damaged: run `ros2 bag reindex` on its folder, or record it anew"
