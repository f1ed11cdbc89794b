"""One split, frame by frame: rows of what was asked and what came of it, kept on disk as they are made, so that a run can go on."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ps3_ros.encoder import Encoder
from ps3_ros.frame import Frame
from ps3_training.data.shards import Sample
from ps3_training.files import write_whole

from .answers import Condition, Reply, replies, wanted_map
from .questions import Question, Vocabulary, questions_of
from .retrieval import box_embedding
from .selection_recall import patches_of, recall, selections

BASE = "base"  # the condition the main figures are of


@dataclass(frozen=True)
class Plan:
    """What is measured of a split. conditions: the first is BASE and is asked of every frame, the others of the first `study` frames."""

    conditions: tuple  # of Condition
    study: int
    only_new: bool = False  # questions about objects that training never showed alone
    answers_only: bool = False  # for calibration: no recall, retrieval and choices, but what a question matches anywhere

    def to_dict(self) -> dict:
        return json.loads(json.dumps(asdict(self)))


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of a box with each of some: [4], [n, 4] px -> float [n]."""
    low, high = np.maximum(first[:2], second[:, :2]), np.minimum(first[2:], second[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    area = np.prod(first[2:] - first[:2]) + np.prod(second[:, 2:] - second[:, :2], axis=1)
    return shared / (area - shared)


def judged(reply: Reply, question: Question, threshold: float) -> dict:
    """{"score", "found", "patches"} of a reply, and for what is there {"pointed", "iou"}: the best region's centre lies in a box
    that answers the question; its IoU with the best of them."""
    best = reply.regions[0]
    row = {"score": best.score, "found": bool(best.score >= threshold), "patches": reply.patches}
    if question.present:
        box = np.asarray(best.box, np.float64)
        centre = (box[:2] + box[2:]) / 2
        row["pointed"] = bool(((centre >= question.boxes[:, :2]) & (centre <= question.boxes[:, 2:])).all(axis=1).any())
        row["iou"] = round(float(overlap(box, question.boxes).max()), 4)
    return row


def measure_frame(encoder: Encoder, sample: Sample, vocabulary: Vocabulary, plan: Plan, study: bool) -> dict:
    """The row of a frame: {"frame", "questions": [...]}; one glance, however many questions. study: ask under all conditions."""
    glance = encoder.glance(Frame(sample.pixels()))
    seed = abs(hash_of(sample.key))
    grid = encoder.settings.grid
    without_query = {
        "bottom-up": selections(encoder.saliency(glance), glance.plan),
        "random": selections(np.random.default_rng(seed).random((grid, grid), np.float32), glance.plan),
    }
    groups = {}
    for condition in plan.conditions if study else plan.conditions[:1]:
        groups.setdefault(condition.group, []).append(condition)
    rows = []
    for number, question in enumerate(questions_of(sample, vocabulary, plan.only_new)):
        row = {"text": question.text, "asks": question.asks, "present": question.present, "answers": {}}
        for conditions in groups.values():
            for condition, reply in zip(conditions, replies(encoder, glance, [question.text], conditions, seed + number), strict=True):
                row["answers"][condition.name] = judged(reply, question, encoder.settings.found_threshold)
                if plan.answers_only:  # of the last condition: what differs between them hardly changes it
                    row |= {"text_vector": reply.text.mean(axis=0), "pooled": reply.pooled}
        if question.present:
            row |= {"size": question.size, "seen": question.seen, "means": list(question.means)}
        if question.present and not plan.answers_only:
            row["recall"] = _recalls(encoder, glance, question, without_query)
            row["embedding"] = [round(float(v), 4) for v in box_embedding(encoder, glance, question.box)]
            if question.choices:
                offered = replies(encoder, glance, list(question.choices), list(plan.conditions[:1]), seed + number)[0]
                row["choice"] = bool(offered.by_label.argmax() == question.right)
        rows.append(row)
    return {"frame": sample.key, "study": study, "questions": rows}


def hash_of(key: str) -> int:
    """A whole number that is the same for the same key on every machine."""
    from zlib import crc32

    return crc32(key.encode())


def _recalls(encoder: Encoder, glance, question: Question, without_query: dict) -> dict:
    wanted = [patches_of(question.box, glance.plan, s) for s in range(len(glance.plan.grids))]
    top_down = selections(wanted_map(encoder, glance, encoder.text([question.text])), glance.plan)
    ways = {"top-down": top_down, **without_query}
    return {budget: {way: round(recall(chosen[budget], wanted), 4) for way, chosen in ways.items()} for budget in top_down}


def measure_split(
    encoder: Encoder, samples: Iterable[Sample], vocabulary: Vocabulary, plan: Plan, kept: Path | None = None, about: dict | None = None
) -> list[dict]:
    """Rows of all frames. kept: a JSON lines file of rows that a stopped run goes on with, where its first line equals `about` and plan;
    else it begins anew and what was there goes beside it, as NAME.1.jsonl. How many frames, and how many of them are studied, may differ.
    samples: an iterable, a progress bar round it if wished."""
    head = {"about": about or {}, "plan": {k: v for k, v in plan.to_dict().items() if k != "study"}}
    done = read_rows(kept, head) if kept else {}
    rows = []
    file = _open(kept, head, done) if kept else None
    try:
        for number, sample in enumerate(samples):
            row = done.get(sample.key)
            if row is None or row["study"] != (number < plan.study):
                row = measure_frame(encoder, sample, vocabulary, plan, number < plan.study)
                if file:
                    file.write(json.dumps(row) + "\n")
                    file.flush()
            if row["questions"]:
                rows.append(row)
    finally:
        if file:
            file.close()
    return rows


def read_rows(path: Path, head: dict) -> dict[str, dict]:
    """{frame: row} of a file that began with `head`; {} for any other. A last line that was cut short is left out."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").split("\n")
    try:
        if json.loads(lines[0]) != head:
            return {}
        rows = [json.loads(line) for line in lines[1:-1]]
    except ValueError:
        return {}
    return {row["frame"]: row for row in rows}


def _open(path: Path, head: dict, done: dict):
    """The file, rewritten with what is good in it, open for more."""
    if path.is_file() and not done and path.read_bytes().count(b"\n") > 1:  # rows of another plan: maybe hours of work
        path.rename(next(p for n in itertools.count(1) if not (p := path.with_suffix(f".{n}.jsonl")).exists()))
    write_whole(path, "".join(json.dumps(line) + "\n" for line in (head, *done.values())))
    return path.open("a", encoding="utf-8")


def flat(rows: list[dict], condition: str = BASE) -> list[dict]:
    """One dict a question that was asked under a condition, with its frame and its answer's values beside the question's."""
    return [
        {"frame": row["frame"], **{k: v for k, v in question.items() if k != "answers"}, **question["answers"][condition]}
        for row in rows
        for question in row["questions"]
        if condition in question["answers"]
    ]


def conditions_of(encoder: Encoder, looks: int, tokens: int | None, curve: tuple, names: tuple, found: dict) -> tuple:
    """The conditions of a run: BASE, the same for every count of looks in `curve` and every top scale, then the named variants.

    found: answers.variants(encoder).
    """
    scales = encoder.settings.high_scales
    out = [Condition(BASE, looks, tokens)]
    for top in reversed(range(len(scales))):
        chosen = None if top == len(scales) - 1 else tuple(range(top + 1))
        out += [Condition(f"top {scales[top]}, looks {count}", count, None, "top-down", chosen) for count in curve]
    out += [Condition(name, looks, tokens, **found[name]) for name in names if name != BASE]
    return tuple(out)
