"""What answers lose at equal tokens kept: choosing before the encoder (ours) against pruning in it or after it, on a trained model.

`python -m benchmarks.pruning_answers CHECKPOINT DATA`: one high-res scale is encoded, and 50%, 25% and 20% of its tokens are kept: by the
question's relevance before anything of it is encoded, or by attention after the last layer (`visionzip`) or after the second (`fastv`),
both of which know no question. Every way's tokens then answer the same questions in the same way (regions.py), relevance and all, so that
only what was kept differs. `kept` is the share of the asked box's patches that were. ToMe's merged tokens have no place: it is left out.
`robot` is what the robot answers by one look at all scales, close-ups included: what these questions are worth with the same model.
"""

import argparse
import statistics
import sys
import zlib
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ps3_ros.encoder import Look
from ps3_ros.exits import exit_code
from ps3_ros.frame import Frame, cut_patches
from ps3_ros.regions import find_regions
from ps3_ros.selection import Selection, select

from .pruning import FASTV_LAYER, KEPT, attended
from .report import machine, print_table, write_json

ALL = 1.0
ROBOT = "robot", None  # way, and the part of the scale that it keeps: it looks at all scales


class Pruned:
    """One frame's patches of one scale, and what each way keeps of them. `tokens(way, part, relevance)`: (Selection, tokens)."""

    def __init__(self, encoder, glance, plan):
        self.vision, self.glance, self.plan = encoder.backend.model.vision_model, glance, plan
        self.count, self.kept = plan.grids[0].patches, {}
        everything = Selection((np.arange(self.count),))
        self.patches = torch.from_numpy(cut_patches(glance.frame, plan, encoder.settings, everything))
        self.position, self.table = torch.from_numpy(plan.positions(0, everything.patches[0])), encoder.backend.table
        blocks, kv = self.vision.trunk.blocks, glance.kv
        x = self.vision.trunk.patch_embed.embed(self.patches[None]) + self.vision.embed_position(self.position[None], self.table)
        for n, block in enumerate(blocks):
            if n in (FASTV_LAYER - 1, len(blocks) - 1):
                scores = attended(block, x)
            x = block(x, kv[n])[0]
            if n == FASTV_LAYER - 1:
                early, self.early_scores = x, scores
        self.late_scores, self.full = scores, x[0]
        for part in KEPT:
            best = self._best(self.late_scores, part)
            self.kept["visionzip", part] = best, self.full[best]
            best = self._best(self.early_scores, part)
            x = early[:, best]
            for n in range(FASTV_LAYER, len(blocks)):
                x = blocks[n](x, kv[n])[0]
            self.kept["fastv", part] = best, x[0]
        self.kept["all", ALL] = torch.arange(self.count), self.full

    def _best(self, scores, part):
        return scores.topk(int(part * self.count)).indices.sort().values

    def ours(self, relevance, part):
        """(Selection, tokens float32 [n, D]) of a question: chosen first, then encoded."""
        chosen = select(relevance, self.plan, int(part * self.count))
        at = torch.from_numpy(chosen.patches[0])
        tokens = self.vision.look(self.patches[None, at], self.position[None, at], self.glance.kv, table=self.table)[0]
        return chosen, tokens.numpy()


def measure_frame(encoder, sample, questions, scale: int) -> list:
    """Rows {"way", "part", "present", "pointed", "found", "kept"}, one a question, way and part."""
    from ps3_training.evaluation.answers import Condition, replies, restrict, wanted_map
    from ps3_training.evaluation.measure import judged
    from ps3_training.evaluation.selection_recall import patches_of

    glance = encoder.glance(Frame(sample.pixels()))
    plan = restrict(glance.plan, (scale,))
    pruned, embedded, rows = Pruned(encoder, glance, plan), {}, []

    def look_at(selection, tokens):
        look = Look(tokens, selection, plan.boxes(0, selection.patches[0]), {})
        return look, encoder.embed_tokens(look)

    for key, (best, tokens) in pruned.kept.items():
        embedded[key] = look_at(Selection((best.numpy(),)), tokens.numpy())

    def entry(reply, question, way, part, kept):
        row = judged(reply, question, encoder.settings.found_threshold)
        rows.append(row | {"way": way, "part": part, "present": question.present, "kept": kept})

    for question in questions:
        entry(replies(encoder, glance, [question.text], [Condition("base")])[0], question, *ROBOT, None)
        vectors = encoder.text([question.text])
        relevance, wanted_cells = encoder.relevance(glance, vectors), wanted_map(encoder, glance, vectors)
        looks = dict(embedded)
        for part in KEPT:
            looks["ours", part] = look_at(*pruned.ours(wanted_cells, part))
        wanted = patches_of(question.box, plan, 0) if question.present else None
        for (way, part), (look, embeddings) in looks.items():
            embed = lambda mask: encoder.embed(look, mask)  # noqa: B023, E731
            regions, _ = find_regions(look, plan, relevance, vectors.text, [question.text], embeddings, embed)
            kept = None if wanted is None else float(np.isin(wanted, look.selection.patches[0]).mean())
            entry(Reply(regions, look.selection.count), question, way, part, kept)
    return rows


def some_of(questions, count: int, key: str) -> list:
    """`count` of a frame's questions, half of them about what is there, drawn by the frame's key: the first ones are not like others."""
    random, found = np.random.default_rng(zlib.crc32(key.encode())), []
    for present, most in ((True, -(-count // 2)), (False, count // 2)):
        mine = [question for question in questions if question.present == present]
        found += [mine[n] for n in sorted(random.permutation(len(mine))[:most])]
    return found


class Reply:
    """Regions and a number of patches, as evaluation.measure.judged takes an answer."""

    def __init__(self, regions, patches: int):
        self.regions, self.patches = regions, patches


def summarise(rows: list) -> list:
    entries = []
    for way, part in dict.fromkeys((row["way"], row["part"]) for row in rows):
        mine = [row for row in rows if (row["way"], row["part"]) == (way, part)]
        there = [row for row in mine if row["present"]]
        entries.append({
            "way": way, "part": part, "questions": len(mine), "there": len(there), "pointed": sum(row["pointed"] for row in there),
            "kept": None if part is None else statistics.mean(row["kept"] for row in there),
            "found_right": sum(row["found"] == row["present"] for row in mine),
        })  # fmt: skip
    return sorted(entries, key=lambda entry: (-(entry["part"] or 2 * ALL), entry["way"]))


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pruning_answers", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="a trained checkpoint folder (ps3 train)")
    parser.add_argument("data", type=Path, help="an evaluation split (ps3 data make)")
    parser.add_argument("--limit", type=int, default=8, help="frames")
    parser.add_argument("--questions", type=int, default=6, help="of each frame at most, half of them about what is not there")
    parser.add_argument("--scale", type=int, default=1, help="which high-res scale, from 0 (default 1: a nano's 1536 px)")
    parser.add_argument("--threads", type=int, default=2)
    a = parser.parse_args(argv)

    def run():
        from ps3_training.data.shards import open_data
        from ps3_training.evaluation.cli import NEW, vocabulary
        from ps3_training.evaluation.questions import questions_of, split_of
        from ps3_training.evaluation.torch_backend import open_model

        torch.set_num_threads(a.threads)
        encoder, words, rows = open_model(a.checkpoint, device="cpu"), vocabulary(a.data), []
        split = split_of(a.data)
        here = machine() | {"model": encoder.bundle.manifest.model_name, "split": split, "scale": a.scale}
        with torch.inference_mode():
            bar = tqdm(islice(open_data(a.data), a.limit), total=a.limit, desc=split, unit="frame")
            for frames, sample in enumerate(bar, start=1):
                asked = questions_of(sample, words, split.startswith(NEW))
                rows += measure_frame(encoder, sample, some_of(asked, a.questions, sample.key), a.scale)
                written = write_json("pruning_answers", {"machine": here | {"frames": frames}, "ways": summarise(rows)})
        entries, keys = summarise(rows), ("way", "part", "kept", "there", "pointed", "questions", "found_right")
        head = ["way", "tokens kept", "of the box kept", "things", "pointed at", "questions", "found right"]
        print_table(head, [[entry[key] for key in keys] for entry in entries])
        print(written)

    return exit_code("pruning_answers", run)


if __name__ == "__main__":
    sys.exit(main())
