"""The parity report of a bundle, for people: parity.md, and parity.jpg with the frame whose answer moved most."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from ps3_ros.bundle import Manifest
from ps3_ros.overlay import draw_overlay, write_picture

from .gate import SAME_BOX, Limits, ViewFigures
from .reference import Outcome

REPORT, PICTURE = "parity.md", "parity.jpg"
WIDTH = 960  # px of one picture


def write_report(
    folder: Path, manifest: Manifest, limits: Limits, views: Sequence[ViewFigures], expected: Sequence[Outcome], found: Sequence[Outcome]
) -> None:
    """Writes both files into the bundle's folder. expected, found: the checkpoint's and the bundle's answers, one a view."""
    worst = min(range(len(views)), key=lambda n: (views[n].overlap_ties, views[n].iou, -views[n].score))
    pictures = [_picture(outcome, title) for outcome, title in ((expected[worst], "checkpoint"), (found[worst], "bundle"))]
    write_picture(folder / PICTURE, np.vstack(pictures))
    (folder / REPORT).write_text(markdown(manifest, limits, views, worst, found[0].answer.backend), encoding="utf-8")


def markdown(manifest: Manifest, limits: Limits, views: Sequence[ViewFigures], worst: int, backend: str) -> str:
    """The report's text."""
    verdict = [f"- missed and accepted: {line}" for line in manifest.drift] or ["Every limit is kept."]
    gate = manifest.gate
    lines = [
        f"# Parity of {manifest.model_name}, {manifest.precision}",
        "",
        f"The bundle beside its checkpoint in torch, {gate['questions']} questions on {gate['views']} frames, answers by {backend}.",
        "",
        *verdict,
        "",
        "| answers | | limit |",
        "|---|---|---|",
        f"| selected patches the same, ties aside (mean) | {gate['overlap_ties']:.2%} | at least {limits.overlap:.1%} |",
        f"| the same with ties counted against it | {gate['overlap']:.2%} | |",
        f"| worst view, ties aside | {gate['overlap_least']:.2%} | |",
        f"| best region is another one (IoU under {SAME_BOX}), of {gate['found_views']} finds | {gate['moved']:.1%} "
        f"| at most {limits.part:.0%} |",
        f"| questions whose `found` changes | {gate['found_changed']} of {gate['questions']} | |",
        f"| shift of the best region's box, median | {gate['shift_median_px']:g} px | |",
        f"| change of the best score: more than {limits.score:g} | {sum(not v.score <= limits.score for v in views) / len(views):.1%} "
        f"| at most {limits.part:.0%} |",
        f"| the same: mean, largest | {gate['score_change_mean']:.4f}, {gate['score_change']:.4f} | |",
        "",
        "| graph | output | relative error, random | real | cosine, least |" + (" int8 |" if manifest.quantization else ""),
        "|---|---|---|---|---|" + ("---|" if manifest.quantization else ""),
    ]
    for graph, outputs in manifest.parity.items():
        for output, figures in outputs.items():
            cells = [graph, output, _number(figures, "random"), _number(figures, "real"), f"{figures['cosine']:.6f}"]
            if manifest.quantization:
                cells.append(manifest.quantization[graph])
            lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        f"Limits on graphs: relative error at most {limits.error:g}, cosine at least {limits.cosine:g}. "
        f"Relevance nearer than {limits.tie:g} is a tie.",
        "",
        "| view | question | overlap | ties aside | box shift, px | IoU | score change |",
        "|---|---|---|---|---|---|---|",
    ]
    for n, view in enumerate(views):
        name = f"**{view.name}**" if n == worst else view.name
        lines.append(
            f"| {name} | {view.query} | {view.overlap:.2%} | {view.overlap_ties:.2%} "
            f"| {view.shift:.1f} | {view.iou:.2f} | {view.score:.4f} |"
        )
    lines += ["", f"The view that moved most, {views[worst].name}: the checkpoint above, the bundle below.", ""]
    return "\n".join([*lines, f"![worst view]({PICTURE})", ""])


def _number(figures: Mapping[str, float], kind: str) -> str:
    return f"{figures[kind]:.1e}" if kind in figures else ""


def _picture(outcome: Outcome, title: str) -> np.ndarray:
    picture = draw_overlay(outcome.view.frame().pixels, outcome.answer, outcome.detail, width=WIDTH)
    cv2.putText(picture, title, (8, picture.shape[0] - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 0), 4)
    cv2.putText(picture, title, (8, picture.shape[0] - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 1)
    return picture
