"""What answers lose when several questions on one frame share what was looked at, by the evaluation's own questions.

`python -m benchmarks.sharing DATA [DATA ...] --limit 10`: every question of a frame is asked anew (`ask`), then in the same order of an
asker that shares looks (seen.py), then GROUP at a time from one look (`ask_all`). `pointed`, `iou` and `found` are the evaluation's
(docs/evaluation.md); `recall` is the share of the asked thing's finest patches that were looked at; `other best` is how often the best
region's centre left the box that the question got by itself.
"""

import argparse
import statistics
import sys
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from ps3_ros.ask import Asker
from ps3_ros.bundle import default_bundle
from ps3_ros.exits import exit_code
from ps3_ros.frame import Frame

from .gaze import recall
from .report import machine, print_table, write_json

GROUP = 4  # questions that share one look


def centre_in(box, other) -> bool:
    """Whether the middle of a box (x1, y1, x2, y2) lies in another."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return other[0] <= x <= other[2] and other[1] <= y <= other[3]


def ask_anew(asker, frame, texts) -> list:
    """(Answer, AskDetail) of each; likewise the other ways."""
    asker.set_frame(frame)
    return [(asker.ask(text), asker.detail) for text in texts]


def ask_sharing(asker, frame, texts):
    asker.set_frame(frame)
    asker.share_looks = True
    try:
        return [(asker.ask(text), asker.detail) for text in texts]
    finally:
        asker.share_looks = False


def ask_together(asker, frame, texts):
    asker.set_frame(frame)
    groups = [texts[start : start + GROUP] for start in range(0, len(texts), GROUP)]
    return [(answer, asker.detail) for group in groups for answer in asker.ask_all(group)]


WAYS = {"anew": ask_anew, "seen": ask_sharing, f"one look for {GROUP}": ask_together}


def measure(asker, samples, vocabulary, only_new: bool, names=tuple(WAYS)) -> dict:
    """{way: rows} of the ways in `names`, the first of which the others are compared with.

    A row a question: what the evaluation judges of its answer, and {"recall", "other_best", "score_change"}.
    """
    from ps3_training.evaluation.measure import judged
    from ps3_training.evaluation.questions import questions_of

    rows = {way: [] for way in names}
    for sample in samples:
        frame, asked, first = Frame(sample.pixels()), questions_of(sample, vocabulary, only_new), None
        if not asked:
            continue
        for way in names:
            answers = WAYS[way](asker, frame, [question.text for question in asked])
            first = first or answers
            for question, (answer, detail), (alone, _) in zip(asked, answers, first, strict=True):
                row = judged(_Reply(answer), question, asker.settings.found_threshold) | {"present": question.present}
                row |= {"recall": recall(question.box, detail.selection, detail.plan)} if question.present else {}
                row["other_best"] = not centre_in(answer.regions[0].box, alone.regions[0].box)
                row["score_change"] = answer.regions[0].score - alone.regions[0].score
                rows[way].append(row)
    return rows


class _Reply:
    """An answer as evaluation.measure.judged takes it."""

    def __init__(self, answer):
        self.regions, self.patches = answer.regions, answer.patches_used


def summarise(rows: list) -> dict:
    """Means over the questions: F1 of `found`, pointing of what is there, and the differences from asking anew."""
    hits = sum(row["found"] and row["present"] for row in rows)
    there = [row for row in rows if row["present"]]
    return {
        "questions": len(rows),
        **{key: statistics.mean(row[key] for row in there) for key in ("pointed", "recall", "iou")},
        "found_f1": 2 * hits / max(1, sum(row["found"] for row in rows) + len(there)),
        "found_accuracy": statistics.mean(row["found"] == row["present"] for row in rows),
        "other_best": statistics.mean(row["other_best"] for row in rows),
        "score_change": statistics.mean(abs(row["score_change"]) for row in rows),
    }


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sharing", description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help="evaluation splits (ps3 data make)")
    parser.add_argument("--bundle", type=Path, help="default: the bundle that the project ships")
    parser.add_argument("--backend", default="onnxruntime:cpu")
    parser.add_argument("--limit", type=int, default=10, help="frames of each split")
    parser.add_argument("--held-out-share", type=float, metavar="X", help="only the frames that training with held_out_share X left out")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="which; the first is what others are compared with")
    parser.add_argument("--threads", type=int, default=2)
    a = parser.parse_args(argv)

    def run():
        from ps3_training.cache import held_out
        from ps3_training.data.shards import open_data
        from ps3_training.evaluation.cli import NEW, vocabulary
        from ps3_training.evaluation.questions import split_of

        asker, entries = Asker(a.bundle or default_bundle(), a.backend, a.threads), []
        for folder in a.data:
            split = split_of(folder)
            share = a.held_out_share
            samples = (sample for sample in open_data(folder) if share is None or held_out(sample.key, share))
            samples = tqdm(islice(samples, a.limit), total=a.limit, desc=split, unit="frame")
            rows = measure(asker, samples, vocabulary(folder), split.startswith(NEW), a.ways)
            entries += [{"split": split, "way": way, **summarise(found)} for way, found in rows.items()]
        keys = ("split", "way", "questions", "pointed", "recall", "iou", "found_f1", "found_accuracy", "other_best", "score_change")
        print_table([key.replace("_", " ") for key in keys], [[entry[key] for key in keys] for entry in entries])
        here = machine() | {"model": asker.encoder.bundle.manifest.model_name, "frames": a.limit, "group": GROUP}
        print(write_json("sharing", {"machine": here, "ways": entries}))

    return exit_code("sharing", run)


if __name__ == "__main__":
    sys.exit(main())
