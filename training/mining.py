"""What the robot would look at closely in training frames: python -m ps3_training.mining CHECKPOINT DATA OUT

The warm start teaches close-ups by cut-outs, each whole and in the middle. The robot takes them of its own candidates: pieces of large
things, boxes that lie beside, and whatever else looks like the question. So a model is asked everything that its training frames can be
asked, half of it about what is not there, and the close-ups of its best candidates are kept, with what lies under each; `pretrain.mined`
(mined.py) then teaches by them. Hard negatives, in the words of the field; not in the paper.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ps3_ros.boxes import grown, inside
from ps3_ros.close_up import SHARE, SIDE, close_up, split_budget
from ps3_ros.encoder import Encoder, Glance
from ps3_ros.errors import CheckpointError
from ps3_ros.exits import exit_code
from ps3_ros.frame import Frame
from ps3_ros.manifest import Settings
from ps3_ros.regions import RELEVANCE_WEIGHT, SURROUNDINGS, find_regions, relevance_logits
from ps3_ros.selection import Selection, normalised, select
from ps3_ros.wording import plain, written
from ps3_training.data.shards import Sample, open_data

from .errors import TrainingError
from .evaluation.answers import choose_maps, wanted_map
from .evaluation.measure import overlap
from .evaluation.questions import Question, Vocabulary, questions_of
from .evaluation.torch_backend import open_model
from .files import write_whole
from .mined_file import PATCHES, Mined

AHEAD = 2  # frames that wait for each process


class Kept:
    """In the place of a close_up.Closer: keeps the boxes that would be looked at closely, and changes nothing."""

    weight = unread = steps = 0

    def __init__(self, count: int):
        self.count, self.boxes = count, np.empty((0, 4), np.float32)

    def __call__(self, boxes: np.ndarray, canvas_of=None) -> tuple:
        """As a Closer's; boxes float32 [C, 4] px."""
        self.boxes = boxes.copy()
        return 0.0, boxes


def mine_frame(encoder: Encoder, glance: Glance, questions: list[Question], sample: Sample) -> Mined | None:
    """All close-ups of one frame; None where no question has as many candidates as there are close-ups. Written words, which have
    close-ups of their own, are left out."""
    objects = np.asarray(sample.box, np.float32).reshape(-1, 4)
    means = sample.extra.get("means") or [(name,) for name in sample.extra.get("name") or sample.text]
    found: dict[str, list] = {name: [] for name in (*Mined.ARRAYS, "texts", "things")}
    for question in questions:
        if written(question.text):
            continue
        asked = candidates(encoder, glance, question.text)
        if asked is None:
            continue
        boxes, look, evidence = asked
        for box in boxes:
            patches, position, places, _ = close_up(glance.frame, glance.plan, box)
            more = PATCHES - len(patches)
            found["patches"].append(np.concatenate([patches, np.zeros((more, *patches.shape[1:]), np.uint8)]))
            found["position"].append(np.pad(position, (0, more)))
            found["real"].append(np.arange(PATCHES) < len(patches))
            found["inside"].append(np.pad(inside(places, box[None])[0], (0, more)))
            found["iou"].append(max(_on(box, question.boxes).values(), default=0.0))
            under = _on(box, objects)
            found["things"].append([[sorted(set(means[n])), round(iou, 3)] for n, iou in under.items()])
        found["look"] += list(look.astype(np.float16))
        found["evidence"] += list(evidence.astype(np.float32))
        found["texts"].append(plain(question.text))
    if not found["texts"]:
        return None
    arrays = {name: np.stack(found[name]).astype(kind) for name, kind in Mined.ARRAYS.items()}
    return Mined(**arrays, texts=found["texts"], things=found["things"])


def close_ups_of(settings: Settings) -> int:
    """C: how many candidates of a question have close-ups, which a small budget leaves fewer of than `close_ups`."""
    return min(settings.close_ups, split_budget(settings.max_patches, settings)[1])


def candidates(encoder: Encoder, glance: Glance, text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The C candidates of one question that have close-ups, best first, after one look of the robot's: boxes float32 [C, 4] px, the look's
    embeddings of them float32 [C, E], the mean of two of length 1, and what relevance adds to their match, float64 [C]. None where there
    are fewer."""
    settings, plan = encoder.settings, glance.plan
    vectors = encoder.text([text])
    relevance, maps = choose_maps(encoder, glance, vectors, "top-down")
    left, _ = split_budget(settings.max_patches, settings)
    look = encoder.look(glance, select(wanted_map(encoder, glance, vectors), plan, settings.max_patches, Selection.none(plan), left))
    kept = Kept(close_ups_of(settings))
    tokens = encoder.embed_tokens(look)
    find_regions(look, plan, relevance, vectors.text, [text], tokens, lambda mask: encoder.embed(look, mask), maps, kept)
    boxes = kept.boxes
    if len(boxes) < kept.count:
        return None
    pooled = encoder.embed(look, np.concatenate([inside(look.boxes, grown(boxes, factor)) for factor in SURROUNDINGS]))
    embedding = normalised(pooled).reshape(len(SURROUNDINGS), len(boxes), -1).mean(axis=0)
    return boxes, embedding, RELEVANCE_WEIGHT * relevance_logits(boxes, maps, plan)[:, 0]


def _on(box: np.ndarray, boxes: np.ndarray) -> dict[int, float]:
    """{n: intersection over union} of those boxes [n, 4] that the centre of `box` [4] lies in."""
    if not len(boxes):
        return {}
    centre = (box[:2] + box[2:]) / 2
    on = ((centre >= boxes[:, :2]) & (centre <= boxes[:, 2:])).all(axis=1)
    shared = overlap(np.asarray(box, np.float64), np.asarray(boxes, np.float64))
    return {int(n): float(shared[n]) for n in np.flatnonzero(on)}


_encoder: Encoder | None = None  # of a worker process
_vocabulary: Vocabulary | None = None


def _open(checkpoint: Path, vocabulary: Vocabulary) -> None:
    global _encoder, _vocabulary
    import cv2
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent; the frames under way are finished
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    _encoder, _vocabulary = open_model(checkpoint, threads=1, device="cpu"), vocabulary


def _mine(sample: Sample, out: Path) -> None:
    glance = _encoder.glance(Frame(sample.pixels()))
    found = mine_frame(_encoder, glance, questions_of(sample, _vocabulary), sample)
    if found is None:
        write_whole(out / f"{sample.key}.none", "")
    else:
        found.save(out / f"{sample.key}.safetensors")


def mine(checkpoint: Path, data: Path, out: Path, processes: int = 1) -> int:
    """Every frame of `data` that `out` has not yet -> how many frames there are in it now. Written frame by frame: it goes on after a stop.

    A broken sample is left out. Raises CheckpointError, ShardError, TrainingError.
    """
    settings = open_model(checkpoint, threads=1, device="cpu").settings
    if not close_ups_of(settings):
        raise CheckpointError(
            f"{checkpoint} takes no close-ups; give thresholds.json a close_ups of 1 or more, such as 4, and the model a max_select_num "
            f"of {SHARE * SIDE**2} or more (it is {settings.max_patches})."
        )
    vocabulary = Vocabulary.of(open_data(data, on_broken="skip"))
    out.mkdir(parents=True, exist_ok=True)
    done = {path.stem for end in ("safetensors", "none") for path in out.glob(f"*.{end}")}
    left = (sample for sample in open_data(data, on_broken="skip") if sample.key not in done)
    # Processes of their own, which torch and OpenCV's threads would not survive a fork into.
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), initializer=_open, initargs=(checkpoint, vocabulary)) as pool:
        waiting: deque = deque()
        with tqdm(unit="frame", mininterval=5) as bar:
            try:
                for sample in left:
                    waiting.append(pool.submit(_mine, sample, out))
                    while len(waiting) >= AHEAD * processes:
                        waiting.popleft().result()
                        bar.update()
                while waiting:
                    waiting.popleft().result()
                    bar.update()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    count = len(list(out.glob("*.safetensors")))
    if not count:
        raise TrainingError(f"{data} has no frame with a question of {close_ups_of(settings)} candidates; give frames with named boxes")
    return count


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ps3_training.mining", description="Keeps what a model would look at closely.")
    parser.add_argument("checkpoint", type=Path, help="folder of a checkpoint with calibrated thresholds and tokenizer, or of a bundle")
    parser.add_argument("data", type=Path, help="frames that are trained on, as `ps3 data make` writes them")
    parser.add_argument("out", type=Path, help="folder for the close-ups, a file of 1 to 2 MB a frame; what `pretrain.mined.folder` names")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="frames at a time (default: one a core)")
    options = parser.parse_args(argv)

    def run() -> None:
        if options.processes < 1:
            raise CheckpointError(f"processes is {options.processes}; give 1 or more.")
        if options.out.exists() and not options.out.is_dir():
            raise CheckpointError(f"OUT is {str(options.out)!r}, which is a file; name a folder.")
        count = mine(options.checkpoint, options.data, options.out, options.processes)
        print(f"close-ups of {count} frames in {options.out}")

    return exit_code("error", run)


if __name__ == "__main__":
    sys.exit(main())
