"""Real frames to compare and calibrate on: whole pictures, then crops of them, at one frame size.

A view is a frame with a question: one of the picture's own captions where it has some, so that there is something to find. The frames a
bundle is judged on and those it is calibrated on are never the same crops.
"""

import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from ps3_ros.errors import CheckpointError, FrameError
from ps3_ros.frame import Frame

PICTURES = (".jpg", ".jpeg", ".png")
QUERIES = (
    "stop sign", "mug with a blue handle", "text on the billboard", "red traffic light", "a person who crosses the street",
    "bird", "traffic cone", "bottle", "fire hydrant", "scissors", "speed limit sign", "apple", "key", "bicycle", "clock", "car",
)  # fmt: skip
MIN_CROP, MAX_CROP = 0.45, 0.95  # of a picture's side


@dataclass(frozen=True, eq=False)
class View:
    """A frame that is made when it is asked for: pictures are kept as their files' bytes."""

    name: str
    data: bytes | None  # None: the made picture
    part: float  # of the largest window of the frame's aspect; 1 = the whole picture
    size: tuple[int, int] | None  # (width, height) px of the frame; None = the picture's own
    seed: int  # unlike that of every other frame of its kind
    query: str

    def frame(self) -> Frame:
        """Raises CheckpointError where the bytes are no image."""
        pixels = textured_frame() if self.data is None else decode(self.name, self.data)
        size = self.size or (pixels.shape[1], pixels.shape[0])
        return Frame(fit(pixels, size, self.part, np.random.default_rng(self.seed)), 0, self.name)


def make_views(
    sources: Sequence[Path],
    count: int,
    size: tuple[int, int] | None,
    queries: Sequence[str],
    part: int = 0,
    questions: int = 1,
    fits: Callable[[str], bool] = bool,
) -> list[View]:
    """`questions` views of each of `count` frames of the pictures that `sources` name, a frame's one after the other; the same for the
    same arguments.

    sources: image files, folders of them, or WebDataset shards (.tar); none = the source tree's samples, else one made picture.
    size: (width, height) px of every view; None = each picture's own. queries: asked where a picture has too few captions of its own that
    `fits` takes. part: 0 to be judged on (whole pictures first), 1 to calibrate on (other pictures where there are four or more, every
    second one whole; else crops alone). Raises CheckpointError.
    """
    pictures = list(read_pictures(sources, 2 * count))
    apart = len(pictures) >= 4
    if apart:
        pictures = pictures[part::2]
    random = np.random.default_rng(1000 + part)
    views = []
    for n in range(count):
        name, data, captions = pictures[n % len(pictures)]
        # To calibrate: an enlarged crop is smoother than a frame, which would make the ranges too tight.
        whole = n < len(pictures) if part == 0 else apart and n % 2 == 0
        share = 1.0 if whole else float(random.uniform(MIN_CROP, MAX_CROP))
        asked = list(filter(fits, captions))[:questions]
        asked += [queries[(n * questions + k) % len(queries)] for k in range(questions - len(asked))]
        views += [View(name if whole else f"{name}-crop{n}", data, share, size, 2 * n + part, query) for query in asked]
    return views


def by_frame(views: Sequence[View]) -> list[list[View]]:
    """Views that follow each other and show the same frame, together."""
    return [list(same) for _, same in groupby(views, key=lambda view: (view.name, view.seed))]


def decode(name: str, data: bytes) -> np.ndarray:
    """uint8 [H, W, 3] BGR. Raises CheckpointError."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if pixels is None:
        raise CheckpointError(f"frame {name!r} is not an image that OpenCV reads: give JPEG or PNG files, folders or shards of them")
    return pixels


def fit(pixels: np.ndarray, size: tuple[int, int], part: float, random) -> np.ndarray:
    """uint8 [h, w, 3]: `part` of the largest window with the aspect of `size` (width, height), somewhere in the picture, resized to it."""
    height, width = pixels.shape[:2]
    aspect = size[0] / size[1]
    w, h = (width, width / aspect) if width / height <= aspect else (height * aspect, height)
    w, h = max(32, round(w * part)), max(32, round(h * part))
    w, h = min(w, width), min(h, height)
    x, y = int(random.integers(width - w + 1)), int(random.integers(height - h + 1))
    cut = pixels[y : y + h, x : x + w]
    if cut.shape[1::-1] == size:
        return np.ascontiguousarray(cut)
    return cv2.resize(cut, size, interpolation=cv2.INTER_AREA if size[0] < cut.shape[1] else cv2.INTER_CUBIC)


def read_pictures(sources: Sequence[Path], most: int) -> Iterator[tuple[str, bytes | None, list[str]]]:
    """(name, the file's bytes, its captions) of the first `most` pictures, in the order of their names. Raises CheckpointError.

    Captions are those of the JSON of the same name: beside a file, in the same shard, or in the shard of that number in `text_boxes`
    beside the shard's folder `images`.
    """
    sources = [Path(source) for source in sources] or sorted((Path(__file__).resolve().parent.parent / "samples").glob("*.jpg"))
    if not sources:
        yield "made", None, []
    count = 0
    for source in sources:
        found = 0
        for name, data, label in _files(source):
            yield Path(name).stem, data, read_captions(label)
            found, count = found + 1, count + 1
            if count >= most:
                return
        if not found:
            raise CheckpointError(f"{str(source)!r} has no pictures ({', '.join(PICTURES)}): give image files, folders or .tar shards")


def read_captions(label: bytes | None) -> list[str]:
    """What a picture's JSON says is in it: the texts of a training label, or the queries of a sample; none where it says nothing."""
    try:
        content = json.loads(label or b"{}")
    except ValueError:
        return []
    content = content if isinstance(content, dict) else {}
    texts = content.get("text") or [entry.get("query") for entry in content.get("queries", []) if isinstance(entry, dict)]
    return [text for text in texts if isinstance(text, str) and text.strip()] if isinstance(texts, list) else []


def _files(source: Path) -> Iterator[tuple[str, bytes, bytes | None]]:
    """(name, bytes, its JSON's bytes) of the pictures of a source."""
    if source.is_dir():
        inner = sorted(p for p in source.rglob("*") if p.suffix.lower() in (*PICTURES, ".tar"))
        for path in inner:
            yield from _files(path)
    elif source.suffix.lower() == ".tar" and source.is_file():
        try:
            with ExitStack() as opened:
                shard = opened.enter_context(tarfile.open(source))
                beside = source.parent.parent / "text_boxes" / source.name
                apart = source.parent.name == "images" and beside.is_file()
                labels = opened.enter_context(tarfile.open(beside)) if apart else shard
                names = {member.name for member in labels if member.isfile()}
                for member in shard.getmembers():
                    if member.isfile() and Path(member.name).suffix.lower() in PICTURES:
                        label = str(Path(member.name).with_suffix(".json"))
                        yield member.name, shard.extractfile(member).read(), labels.extractfile(label).read() if label in names else None
        except tarfile.TarError as error:
            reason = str(error).splitlines()[0]
            raise CheckpointError(f"{str(source)!r} is not a tar file ({reason}): make or fetch the shard again") from error
    elif source.is_file():
        label = source.with_suffix(".json")
        yield str(source), source.read_bytes(), label.read_bytes() if label.is_file() else None
    else:
        raise CheckpointError(f"frame {str(source)!r} does not exist: give image files, folders or .tar shards")


def parse_size(text: str) -> tuple[int, int]:
    """ "3840x2160" -> (3840, 2160). Raises CheckpointError where it is no frame size."""
    try:
        width, height = (int(side) for side in text.lower().split("x"))
        Frame(np.zeros((height, width, 3), np.uint8), 0, "size")
    except (ValueError, FrameError) as error:
        raise CheckpointError(f"frame size {text!r} is not WIDTHxHEIGHT with sides from 32 to 16384, such as 3840x2160") from error
    return width, height


def textured_frame(height: int = 2160, width: int = 3840, seed: int = 0) -> np.ndarray:
    """uint8 [height, width, 3]: noise at five sizes of grain and some shapes with edges, the same every time."""
    random = np.random.default_rng(seed)
    image = np.zeros((height, width, 3), np.float32)
    for cells in (4, 16, 64, 256, 1024):
        noise = random.standard_normal((max(1, height * cells // width), cells, 3), dtype=np.float32)
        image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) * 30
    image = np.clip(image + 128, 0, 255).astype(np.uint8)
    for _ in range(60):
        x, y = int(random.integers(width)), int(random.integers(height))
        radius, colour = int(random.integers(8, max(9, height // 12))), tuple(int(c) for c in random.integers(0, 256, 3))
        cv2.circle(image, (x, y), radius, colour, -1)
        cv2.putText(image, "PS3", (x, y), cv2.FONT_HERSHEY_SIMPLEX, radius / 30, (255, 255, 255), 2)
    return image
