"""4K frames decoded once: what a training step needs of a frame, in one small file.

A 3840 x 2160 JPEG takes 0.1 s to decode and 25 MB when decoded, and a step needs about 1% of its finest pixels. So each frame is read once
and the glance image, the selector's image (as JPEG) and the patches in and around its boxes, and in as many places where nothing is, are
kept as uint8 in <cache>/<key>.safetensors; captions and boxes stand in <cache>/index.jsonl. Frame, glance, selector image and patches are
cut by the robot's own code (ps3_ros.frame), so training sees the pixels that the robot will see.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from ps3_ros.frame import Frame, FramePlan, aux_image, cut_patches, glance_image
from ps3_ros.manifest import Settings
from ps3_ros.selection import Selection

from .errors import TrainingError
from .files import write_whole

INDEX = "index.jsonl"
MARGIN = 1  # patches kept around a box at each scale
BACKGROUND_AREAS = 8  # areas of a frame where nothing is, kept for "not found"
SELECTOR_JPEG_QUALITY = 95


@dataclass(frozen=True)
class CachedFrame:
    """One frame of a cache. P patches of all high-res scales, coarse to fine; R boxes, then the background areas."""

    key: str
    width: int
    height: int
    glance: np.ndarray  # uint8 [3, S, S] RGB
    aux: np.ndarray  # uint8 [3, A, A] RGB
    patches: np.ndarray  # uint8 [P, 3 * p * p]
    position: np.ndarray  # int32 [P]
    patch_boxes: np.ndarray  # float32 [P, 4], source px
    boxes: np.ndarray  # float32 [R, 4], source px
    areas: np.ndarray  # float32 [A, 4], source px: background
    texts: tuple[tuple[str, ...], ...]  # R tuples of captions of one box; any of them is right
    asks: tuple[tuple[str, ...], ...]  # the name that each of these captions asks for
    means: tuple[tuple[str, ...], ...]  # R tuples of the names that the box's object answers to
    global_texts: tuple[str, ...]


def build_cache(samples: Iterable[tuple[str, bytes, dict]], folder: Path, settings: Settings, processes: int = 2, seed: int = 0) -> int:
    """samples: (key, JPEG, {"text", "box", "name", "global_text"}) -> files in `folder`; returns the number of frames it then holds.

    Frames that are there already are kept, so a second call goes on where the first was stopped; those whose picture or labels changed are
    cut again, and when all samples were seen the index forgets the others. A sample that cannot be read is skipped and named in
    <folder>/skipped.txt. Raises TrainingError where the folder was made for other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / "settings.json"
    if stamp.exists():
        check_cache(folder, settings)
    else:
        write_whole(stamp, _made_for(settings))
    done = {path.stem for path in folder.glob("*.safetensors")}
    index = {line["key"]: line for line in read_index(folder)}
    skipped, marks = [], {}

    def jobs() -> Iterator[tuple]:
        for number, (key, jpeg, labels) in enumerate(samples):
            marks[key] = _mark(jpeg, labels)
            if key not in done or key not in index or index[key].get("mark", marks[key]) != marks[key]:
                yield key, jpeg, labels, str(folder), settings, seed + number

    with (folder / INDEX).open("a") as file:
        for key, line, error in tqdm(_cached(jobs(), processes), unit="frame", mininterval=5):
            if error:
                skipped.append(f"{key}: {error}")
                marks.pop(key)
            else:
                index[key] = {**line, "mark": marks[key]}
                file.write(json.dumps(index[key]) + "\n")
                file.flush()
    if index.keys() != marks.keys():
        write_whole(folder / INDEX, "".join(json.dumps(line) + "\n" for key, line in index.items() if key in marks))
    if skipped:
        write_whole(folder / "skipped.txt", "\n".join(skipped) + "\n")
    return len(index.keys() & marks.keys())


def _mark(jpeg: bytes, labels: dict) -> str:
    """Of a picture and its labels, to see that they changed."""
    said = json.dumps(labels, default=lambda value: np.asarray(value).tolist(), sort_keys=True)
    return f"{zlib.crc32(jpeg):08x}{zlib.crc32(said.encode()):08x}"


def _made_for(settings: Settings) -> str:
    names = ("scales", "patch", "aux_size", "geometry", "resampling", "mean", "std")
    return json.dumps({name: getattr(settings, name) for name in names})


def check_cache(folder: Path, settings: Settings) -> None:
    """TrainingError where the folder's frames were cut for another model. A model without an auxiliary branch takes any of its own."""
    made, wanted = json.loads((folder / "settings.json").read_text()), json.loads(_made_for(settings))
    if made != wanted and not (wanted["aux_size"] == 0 and {**made, "aux_size": 0} == wanted):
        raise TrainingError(f"{folder} was made for {made} and the model asks for {wanted}; remove the folder or name another")


def _cached(jobs: Iterator[tuple], processes: int) -> Iterator[tuple]:
    """_cache_one of every job, in order: here where processes is 1, else in that many, with no more than a few JPEGs waiting in memory.

    Processes are spawned, not forked: a fork of a process whose threads hold locks (torch's, the progress bar's) can hang for ever.
    """
    if processes == 1:
        yield from map(_cache_one, jobs)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        futures = []
        for job in jobs:
            futures.append(pool.submit(_cache_one, job))
            if len(futures) >= 4 * processes:
                yield futures.pop(0).result()
        for future in futures:
            yield future.result()


def _cache_one(job: tuple) -> tuple[str, dict | None, str | None]:
    key, jpeg, labels, folder, settings, seed = job
    try:
        line, arrays = cut_frame(key, jpeg, labels, settings, np.random.default_rng(seed))
    except ValueError as error:
        return key, None, str(error)
    path = Path(folder) / f"{key}.safetensors"
    save_file(arrays, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)
    return key, line, None


def cut_frame(key: str, jpeg: bytes, labels: dict, settings: Settings, rng: np.random.Generator) -> tuple[dict, dict[str, np.ndarray]]:
    """One sample -> its line of the index and its arrays. ValueError where the JPEG or a box is bad."""
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("its image cannot be decoded")
    frame = Frame(pixels)
    boxes = np.asarray(labels["box"], np.float32).reshape(-1, 4)
    if len(boxes) != len(labels["text"]):
        raise ValueError(f"it has {len(boxes)} boxes and {len(labels['text'])} captions")
    limit = np.array([frame.width, frame.height, frame.width, frame.height], np.float32)
    if len(boxes) and not ((boxes >= 0).all() and (boxes <= limit).all() and (boxes[:, 2:] > boxes[:, :2]).all()):
        raise ValueError(f"a box lies outside the {frame.width} x {frame.height} frame or has no area")
    boxes, captions = merge_captions(boxes, labels)
    plan = FramePlan.of(frame.height, frame.width, settings)
    areas = background_areas(boxes, frame.width, frame.height, BACKGROUND_AREAS, rng)
    patches = tuple(patches_near(np.concatenate([boxes, areas]), plan, s) for s in range(len(plan.grids)))
    cut = cut_patches(frame, plan, settings, Selection(patches))
    arrays = {
        "glance": _bytes(glance_image(frame, settings)[0], settings),
        "aux": _selector_jpeg(frame, settings) if settings.aux_size else np.zeros(0, np.uint8),
        "patches": _bytes(cut.reshape(len(cut), 3, -1), settings, channel=1).reshape(len(cut), -1),
        "position": np.concatenate([plan.positions(s, flat) for s, flat in enumerate(patches)]).astype(np.int32),
        "patch_boxes": np.concatenate([plan.boxes(s, flat) for s, flat in enumerate(patches)]).astype(np.float32),
        "boxes": boxes,
        "areas": areas,
    }
    whole = labels.get("global_text") or []
    line = {
        "key": key,
        "width": frame.width,
        "height": frame.height,
        **captions,
        "global_texts": [whole] if isinstance(whole, str) else whole,
    }
    return line, {name: np.ascontiguousarray(value) for name, value in arrays.items()}


def _selector_jpeg(frame: Frame, settings: Settings) -> np.ndarray:
    pixels = _bytes(aux_image(frame, settings)[0], settings).transpose(1, 2, 0)[..., ::-1]
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, SELECTOR_JPEG_QUALITY])[1].reshape(-1)


def merge_captions(boxes: np.ndarray, labels: dict) -> tuple[np.ndarray, dict[str, list[list[str]]]]:
    """Equal boxes with several captions become one box with all of them: float32 [R, 4] and its texts, asks and means (CachedFrame).

    `asks` and `means` are our generator's; data without them, such as the reference's, is told apart by `name`, else by the caption itself.
    """
    count = len(labels["text"])
    names = labels.get("name") or labels["text"]
    asks = labels.get("asks") or names
    means = labels.get("means") or [[name, ask] for name, ask in zip(names, asks, strict=True)]
    if len(asks) != count or len(means) != count:
        raise ValueError(f"it has {count} captions, but {len(asks)} asks and {len(means)} means")
    merged: dict[tuple, dict[str, list[str]]] = {}
    for box, text, ask, meaning in zip(boxes.tolist(), labels["text"], asks, means, strict=True):
        entry = merged.setdefault(tuple(box), {"texts": [], "asks": [], "means": []})
        entry["texts"].append(text)
        entry["asks"].append(ask)
        entry["means"] = sorted({*entry["means"], *meaning})
    return np.array(list(merged), np.float32).reshape(-1, 4), {
        name: [entry[name] for entry in merged.values()] for name in ("texts", "asks", "means")
    }


def background_areas(boxes: np.ndarray, width: int, height: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Up to `count` random areas of 24 to 200 px a side that touch no box: float32 [A, 4]."""
    areas = []
    for _ in range(count * 10):
        if len(areas) == count:
            break
        w, h = np.exp(rng.uniform(np.log(24), np.log(200), 2))
        w, h = min(w, width), min(h, height)
        x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
        area = np.array([x, y, x + w, y + h], np.float32)
        if not len(boxes) or (overlap(area[None], boxes) == 0).all():
            areas.append(area)
    return np.array(areas, np.float32).reshape(-1, 4)


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Area shared by each pair of boxes: [M, 4], [K, 4] -> [M, K] px."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return np.prod(np.clip(high - low, 0, None), axis=-1)


def patches_near(boxes: np.ndarray, plan: FramePlan, s: int) -> np.ndarray:
    """Patches of high-res scale s that a box covers, and MARGIN around them: sorted int64 [n]."""
    grid = plan.grids[s]
    taken = np.zeros((grid.rows, grid.cols), bool)
    high, wide = plan.height / grid.rows, plan.width / grid.cols
    for x1, y1, x2, y2 in boxes:
        top, bottom = int(y1 // high) - MARGIN, int(np.ceil(y2 / high)) + MARGIN
        left, right = int(x1 // wide) - MARGIN, int(np.ceil(x2 / wide)) + MARGIN
        taken[max(top, 0) : bottom, max(left, 0) : right] = True
    return np.flatnonzero(taken)


def read_index(folder: Path) -> list[dict]:
    """The lines of index.jsonl, each key once, in a fixed order."""
    path = folder / INDEX
    if not path.exists():
        return []
    lines = {line["key"]: line for line in map(json.loads, path.read_text().splitlines())}
    return [lines[key] for key in sorted(lines)]


def held_out(key: str, share: float) -> bool:
    """Whether a frame is kept from training, for calibration: by its key alone, so that it stays out while a data set grows."""
    return zlib.crc32(key.encode()) < share * 2**32


def load_frame(folder: Path, line: dict) -> CachedFrame:
    """One frame of a cache; the selector's image is decoded here (about 15 ms)."""
    return frame_of(line, load_file(folder / f"{line['key']}.safetensors"))


def load_glance(folder: Path, line: dict) -> np.ndarray:
    """The glance image alone of one frame of a cache: uint8 [3, S, S]."""
    with safe_open(folder / f"{line['key']}.safetensors", "numpy") as file:
        return file.get_tensor("glance")


def frame_of(line: dict, arrays: dict[str, np.ndarray]) -> CachedFrame:
    """What cut_frame gives, as the cache or a stream has it -> CachedFrame."""
    arrays = dict(arrays)
    encoded = arrays.pop("aux")
    aux = cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1].transpose(2, 0, 1) if len(encoded) else np.zeros((3, 0, 0), np.uint8)
    return CachedFrame(
        line["key"],
        line["width"],
        line["height"],
        aux=aux,
        texts=tuple(map(tuple, line["texts"])),
        asks=tuple(map(tuple, line["asks"])),
        means=tuple(map(tuple, line["means"])),
        global_texts=tuple(line["global_texts"]),
        **arrays,
    )


def normalized(pixels: np.ndarray, settings: Settings, channel: int) -> np.ndarray:
    """uint8 with RGB along axis `channel` -> float32 (value / 255 - mean) / std."""
    shape = [3 if axis == channel else 1 for axis in range(pixels.ndim)]
    mean, std = np.reshape(settings.mean, shape), np.reshape(settings.std, shape)
    return pixels.astype(np.float32) * (1 / (255 * std)).astype(np.float32) - (mean / std).astype(np.float32)


def _bytes(values: np.ndarray, settings: Settings, channel: int = 0) -> np.ndarray:
    """Back from normalised floats to uint8; exact for the images, and within half a grey level for area-resampled patches."""
    shape = [3 if axis == channel else 1 for axis in range(values.ndim)]
    pixels = (values * np.reshape(settings.std, shape) + np.reshape(settings.mean, shape)) * 255
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
