"""Pictures in, a data set with boxes and captions out: segment -> salient regions -> captions, each step replaceable.

steps = Steps(segment=segment, read_text=TextReader(), caption=in_turn(caption_text, server.caption), describe=server.describe)
curate(find_pictures("photos"), "out", lambda: steps)
"""

import hashlib
import math
import re
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import local

import cv2

from ps3_ros.errors import FrameError, Ps3Error
from ps3_ros.media import PICTURES, read_picture

from .. import shards
from .caption import global_from_local
from .manifest import Manifest
from .regions import RegionSettings, salient_regions
from .vision_server import ServerError

PER_SHARD = 25
JPEG_QUALITY = 95  # of pictures that are no upright JPEG already


@dataclass(frozen=True)
class Steps:
    """The replaceable steps. `segment`: image -> list[Mask]; `read_text`: image -> list[Mask] with text, or None; `caption`: (image,
    regions) -> list[Caption | None]; `describe`: image -> str | None, or None to make the global caption of the local ones; `names`:
    what they are, for the manifest."""

    segment: Callable
    caption: Callable
    read_text: Callable | None = None
    describe: Callable | None = None
    names: dict = field(default_factory=dict)


def find_pictures(source):
    """(root, paths) of the pictures of a folder and its subfolders, sorted, or of one picture. Raises Ps3Error if there is none."""
    source = Path(source)
    if source.is_file():
        return source.parent, [source]
    if not source.is_dir():
        raise Ps3Error(f"There is no folder of pictures at {str(source)!r}; name one, or a single picture.")
    paths = sorted(p for p in source.rglob("*") if p.suffix.lower() in PICTURES and p.is_file())
    if not paths:
        raise Ps3Error(f"The folder {str(source)!r} holds no pictures; put {', '.join(sorted(PICTURES))} files in it or name another.")
    return source, paths


def key_of(path, root):
    """The key of a picture: its path in the folder, with what WebDataset keys cannot hold replaced, and eight digits that tell it apart."""
    relative = str(Path(path).relative_to(root))
    digits = hashlib.sha1(relative.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', relative.rsplit('.', 1)[0])[:80]}_{digits}"


def curate_picture(path, key, name, steps, settings):
    """One picture: its manifest line, with the label of its shard entry under "label" where it has captions.

    What is wrong with the picture or with a step's result becomes a line of status "error"; a ServerError is raised.
    """
    start = time.perf_counter()
    line = {"key": key, "image": name}
    try:
        image = read_picture(Path(path)).pixels
        line |= _curated(image, steps, settings)
    except ServerError:
        raise
    except Exception as error:  # whatever a picture or a plugged-in step raises: the run goes on, the line says what it was
        said = " ".join(str(error).split()) or type(error).__name__
        line |= {"status": "error", "error": (said if isinstance(error, Ps3Error) else f"{type(error).__name__}: {said}")[:500]}
    return line | {"seconds": round(time.perf_counter() - start, 2)}


def _curated(image, steps, settings):
    height, width = image.shape[:2]
    masks = checked(steps.segment(image)) + (checked(steps.read_text(image)) if steps.read_text else [])
    regions = salient_regions(masks, width, height, settings)
    captions = steps.caption(image, regions) if regions else []
    if len(captions) != len(regions):
        raise Ps3Error(f"The captioner gave {len(captions)} captions for {len(regions)} regions; give one, or None, for each.")
    rows = [
        {"box": list(r.box), "why": r.why, "score": round(r.score, 3), "caption": c.text if c else None, "by": c.by if c else None}
        for r, c in zip(regions, captions, strict=True)
    ]
    record = {"status": "empty", "width": width, "height": height, "masks": len(masks), "regions": rows}
    kept = [(r, c) for r, c in zip(regions, captions, strict=True) if c]
    if not kept:
        return record
    said = [c for _, c in kept]
    label = {
        "text": [c.text for c in said],
        "box": [_inside(r.box, width, height) for r, _ in kept],
        "global_text": (steps.describe(image) if steps.describe else None) or global_from_local(said),
        "name": [c.asks for c in said],
        "asks": [c.asks for c in said],
        "means": [list(c.means) for c in said],
        "visible": [1.0] * len(said),
        "colour": [""] * len(said),
        "seen": [True] * len(said),
        "absent": [],  # nobody has said what is not in the picture
        "place": "photo",
        "width": width,
        "height": height,
    }
    return record | {"status": "done", "label": label}


def checked(masks):
    """The masks as a list. Raises Ps3Error for one whose box is not four finite numbers with x2 > x1 and y2 > y1."""
    masks = list(masks)
    for mask in masks:
        x1, y1, x2, y2 = box = tuple(mask.box)
        if not all(math.isfinite(v) for v in box) or x2 <= x1 or y2 <= y1:
            raise Ps3Error(f"The segmenter gave the box {box}; give x1, y1, x2, y2 in px with x2 > x1 and y2 > y1.")
    return masks


def _inside(box, width, height):
    x1, y1, x2, y2 = box
    return [float(v) for v in (max(0, x1), max(0, y1), min(width, x2), min(height, y2))]


def jpeg_of(path):
    """The picture as the bytes of an upright JPEG: its own where it is one already. Raises FrameError if it cannot be read."""
    data = Path(path).read_bytes()
    if data.startswith(b"\xff\xd8"):
        from PIL import Image

        with Image.open(path) as image:
            if image.getexif().get(0x0112, 1) == 1 and image.mode in ("RGB", "L"):
                return data
    ok, jpg = cv2.imencode(".jpg", read_picture(Path(path)).pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return jpg.tobytes()


def curate(source, out, make_steps, settings=None, workers=1, per_shard=PER_SHARD, retry_errors=False, progress=True):
    """Curates the pictures of a folder into shards of `out` and returns counts {done, empty, error, regions, captions, shards}.

    source: a folder or one picture. make_steps: called once a worker thread, gives its Steps. What out/manifest.jsonl has is not done
    again, errors only with retry_errors. Raises Ps3Error for arguments that cannot be used, ServerError if a vision server fails.
    """
    root, paths = find_pictures(source)
    settings = settings or RegionSettings()
    first = [make_steps()]
    manifest = Manifest(Path(out) / "manifest.jsonl", {"regions": asdict(settings), "steps": first[0].names})

    def make():
        try:
            return first.pop()
        except IndexError:
            return make_steps()

    pictures = [(path, key_of(path, root), str(path.relative_to(root))) for path in paths]
    return run(pictures, out, manifest, make, settings, workers, per_shard, retry_errors, progress)


def run(pictures, out, manifest, make_steps, settings, workers=1, per_shard=PER_SHARD, retry_errors=False, progress=True, first_shard=0):
    """The loop behind `curate`: pictures are (path, key, name); shards are numbered from first_shard on. Returns the counts."""
    from tqdm import tqdm

    if workers < 1 or per_shard < 1:
        raise Ps3Error(f"workers is {workers} and per_shard {per_shard}; both must be at least 1.")
    sources = {key: path for path, key, _ in pictures}
    skip = {key for key, line in manifest.pictures.items() if not (retry_errors and line["status"] == "error")}
    todo = iter([p for p in pictures if p[1] not in skip])
    own = local()

    def one(path, key, name):
        if not hasattr(own, "steps"):
            own.steps = make_steps()
        return curate_picture(path, key, name, own.steps, settings)

    pool, waiting = ThreadPoolExecutor(workers), set()
    try:
        with tqdm(total=len(pictures), initial=len(skip & sources.keys()), unit="picture", disable=not progress) as bar:
            while True:
                while len(waiting) < workers + 1 and (picture := next(todo, None)):
                    waiting.add(pool.submit(one, *picture))
                if not waiting:
                    break
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    manifest.append(future.result())
                    waiting.remove(future)
                    bar.update()
                if len(manifest.unpacked()) >= per_shard:
                    pack(out, manifest, sources, per_shard, first_shard)
            while manifest.unpacked():
                pack(out, manifest, sources, per_shard, first_shard)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for future in waiting:  # stopped: what was under way is done by now, and is kept
            if not future.cancelled() and future.exception() is None:
                manifest.append(future.result())
    return counts(manifest, sources)


def pack(out, manifest, sources, per_shard, first_shard=0):
    """Writes the next shard from done pictures. One that can no longer be read gets an error line instead."""
    samples = []
    for key in manifest.unpacked()[:per_shard]:
        line = manifest.pictures[key]
        try:
            samples.append((key, jpeg_of(sources[key]), line["label"]))
        except (KeyError, OSError, FrameError) as error:
            problem = "it is no longer in the folder" if isinstance(error, KeyError) else str(error)
            manifest.append({"key": key, "image": line["image"], "status": "error", "error": f"read once, but not again: {problem}"})
    if samples:
        number = manifest.next_shard()
        shards.write_shard(out, first_shard + number, samples)
        manifest.append({"shard": number, "keys": [key for key, *_ in samples]})


def counts(manifest, sources):
    """What the manifest says of the given pictures."""
    lines = [line for key, line in manifest.pictures.items() if key in sources]
    regions = [region for line in lines for region in line.get("regions", ())]
    states = {status: sum(line["status"] == status for line in lines) for status in ("done", "empty", "error")}
    return {**states, "regions": len(regions), "captions": sum(r["caption"] is not None for r in regions), "shards": len(manifest.shards)}
