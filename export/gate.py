"""The parity gate: may this bundle stand for its checkpoint? One table of limits, on graphs and on whole answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ps3_ros.errors import CheckpointError

from .reference import Outcome

SAME_BOX = 0.5  # IoU: a best region below it is another region


@dataclass(frozen=True)
class Limits:
    error: float  # largest of max|a - b| / max|b|, any output of any graph
    cosine: float  # least, any output of any graph
    overlap: float  # least mean part of the selected patches that the checkpoint selects too, ties counted as equal
    tie: float  # relevance: two cells nearer than this are a tie
    score: float  # of the best region: where it changes by more, the answer is another one
    part: float  # largest part: of the checkpoint's finds whose best region is another one, and of all answers with another score


# A bundle with rounded weights ("stored") computes in float32: its graphs must also be torch's with those weights, to `EXACT`.
LIMITS = {
    "fp32": Limits(error=1e-4, cosine=0.99999, overlap=0.999, tie=1e-5, score=1e-3, part=0.0),
    "stored": Limits(error=0.25, cosine=0.99, overlap=0.98, tie=5e-3, score=0.05, part=0.06),
    "fp16": Limits(error=0.03, cosine=0.999, overlap=0.98, tie=2e-3, score=0.03, part=0.03),
    "int8": Limits(error=0.5, cosine=0.98, overlap=0.95, tie=1e-2, score=0.1, part=0.1),
}
EXACT = 1e-4
NEAR = 0.05  # of score: two regions of the checkpoint that are no further apart are each as good an answer


@dataclass(frozen=True, eq=False)
class ViewFigures:
    """One view, the bundle's answer beside the checkpoint's."""

    name: str
    query: str
    overlap: float  # of the selected patches, as sets
    overlap_ties: float  # where a patch whose relevance is that of the last chosen cell, within the tie, counts as chosen
    shift: float  # px: largest change of a side of the best region's box
    iou: float  # of the two best boxes
    score: float  # change of the best region's score
    found: bool  # by the checkpoint: where it finds nothing, which region comes first is noise
    found_changed: bool


def compare_outcomes(expected: Sequence[Outcome], found: Sequence[Outcome], limits: Limits) -> list[ViewFigures]:
    """One ViewFigures a view."""
    return [_compare_view(a, b, limits) for a, b in zip(expected, found, strict=True)]


def _compare_view(expected: Outcome, found: Outcome, limits: Limits) -> ViewFigures:
    plan, relevance = expected.detail.plan, expected.detail.relevance.ravel()
    same = tied = total = 0
    for scale, (a, b) in enumerate(zip(expected.detail.selection.patches, found.detail.selection.patches, strict=True)):
        row_cell, col_cell = plan.cell_of(scale)
        cols = plan.grids[scale].cols

        def of_patch(patches, row_cell=row_cell, col_cell=col_cell, cols=cols):
            return relevance[row_cell[patches // cols] * plan.settings.grid + col_cell[patches % cols]]

        shared = np.isin(b, a)
        total += len(b)
        same += int(shared.sum())
        if len(a) and not shared.all():
            last = of_patch(a).min()
            tied += int((of_patch(b[~shared]) >= last - limits.tie).sum())
    best, other = expected.answer.regions[0], found.answer.regions[0]
    # The checkpoint's own second region is as good an answer where its score is the best one's within a change that a score may have.
    near = best.score - min(limits.score, NEAR)
    equals = [region for region in expected.answer.regions if region.score >= near]
    nearest = max(equals, key=lambda region: iou(region.box, other.box))
    return ViewFigures(
        name=expected.view.name,
        query=expected.view.query,
        overlap=same / max(total, 1),
        overlap_ties=(same + tied) / max(total, 1),
        shift=float(np.abs(np.subtract(nearest.box, other.box)).max()),
        iou=iou(nearest.box, other.box),
        score=abs(best.score - other.score),
        found=expected.answer.found,
        found_changed=expected.answer.found != found.answer.found,
    )


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Of two boxes x1 y1 x2 y2."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    return shared / max(area, 1e-9)


def summary(views: Sequence[ViewFigures]) -> dict[str, float]:
    """What the manifest keeps of the views."""
    finds = [view for view in views if view.found]
    return {
        "views": len({view.name for view in views}),
        "questions": len(views),
        "overlap": round(float(np.mean([v.overlap for v in views])), 5),
        "overlap_ties": round(float(np.mean([v.overlap_ties for v in views])), 5),
        "overlap_least": round(min(v.overlap_ties for v in views), 5),
        "shift_median_px": round(float(np.median([v.shift for v in views])), 2),
        "found_views": len(finds),
        "found_changed": sum(v.found_changed for v in views),
        "moved_views": sum(v.iou < SAME_BOX for v in finds),
        "moved": round(sum(v.iou < SAME_BOX for v in finds) / max(len(finds), 1), 5),
        "score_change": round(max(v.score for v in views), 6),
        "score_change_mean": round(float(np.mean([v.score for v in views])), 6),
    }


def misses(parity: Mapping[str, Mapping[str, Mapping[str, float]]], views: Sequence[ViewFigures], limits: Limits) -> list[str]:
    """One sentence for each limit that is missed; none = the gate is passed."""
    found = []
    for graph, outputs in parity.items():
        for output, figures in outputs.items():
            where = f"graph {graph!r}, output {output!r}"
            for kind in ("random", "real"):
                if not figures.get(kind, 0.0) <= limits.error:  # written so that nan misses
                    found.append(f"{where}: off by {figures[kind]:.3g} (relative) on {kind} input, over {limits.error:g}")
            if not figures["cosine"] >= limits.cosine:
                found.append(f"{where}: cosine {figures['cosine']:.6f}, under {limits.cosine:g}")
            if not figures.get("stored", 0.0) <= EXACT:
                found.append(f"{where}: off by {figures['stored']:.3g} from torch with the stored weights, over {EXACT:g}")
    if views:
        total = summary(views)
        if not total["overlap_ties"] >= limits.overlap:
            found.append(f"answers: {total['overlap_ties']:.1%} of the selected patches are the checkpoint's, under {limits.overlap:.1%}")
        # One of five would be 20%: with few questions a share says little, so one is allowed.
        if not total["moved_views"] <= max(limits.part > 0, limits.part * total["found_views"]):
            found.append(f"answers: the best region is another one in {total['moved']:.0%} of the finds, over {limits.part:.0%}")
        other = sum(not view.score <= limits.score for view in views)
        if not other <= max(limits.part > 0, limits.part * len(views)):
            found.append(
                f"answers: the best score changes by more than {limits.score:g} (up to {total['score_change']:.3f}) "
                f"in {other / len(views):.0%} of the questions, over {limits.part:.0%}"
            )
    return found


def judge(found: Sequence[str], precision: str, accept_drift: bool) -> tuple[str, ...]:
    """The misses, to be recorded; CheckpointError where there are some and they were not accepted."""
    if found and not accept_drift:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise CheckpointError(
            f"the {precision} bundle is not its checkpoint: {found[0]}{more}; nothing was written, "
            "so choose a higher precision, or --accept-drift to have it with this in its manifest"
        )
    return tuple(found)


def rounded_figures(parity: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Three digits of every error, six of every cosine: what JSON should hold."""

    def short(kind: str, value: float) -> float:
        if not np.isfinite(value):
            return 1e30  # JSON has no nan; such a graph is only ever written with --accept-drift
        return round(value, 7) if kind == "cosine" else float(f"{value:.3g}")

    return {
        graph: {output: {kind: short(kind, value) for kind, value in figures.items()} for output, figures in outputs.items()}
        for graph, outputs in parity.items()
    }
