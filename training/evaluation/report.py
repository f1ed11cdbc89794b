"""Figures -> markdown: a table a split, one line a condition, and every figure with its 95% interval."""

from __future__ import annotations

from pathlib import Path

WAYS = ("top-down", "bottom-up", "random")


def percent(figure: dict | float | None, interval: bool = True) -> str:
    """`62.3% (58.1-66.4)`, `62.3%` for a plain number, `-` where there is none."""
    if figure is None or (isinstance(figure, dict) and figure["value"] is None):
        return "-"
    if not isinstance(figure, dict):
        return f"{100 * figure:.1f}%"
    tail = f" ({100 * figure['low']:.1f}-{100 * figure['high']:.1f})" if interval else ""
    return f"{100 * figure['value']:.1f}%{tail}"


def number(figure: dict | None, places: int = 2) -> str:
    """`0.26 (0.24-0.28)`"""
    if figure is None or figure["value"] is None:
        return "-"
    return f"{figure['value']:.{places}f} ({figure['low']:.{places}f}-{figure['high']:.{places}f})"


def table(head: list[str], rows: list[list]) -> list[str]:
    """A markdown table, and an empty line after it."""
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(map(str, row)) + " |" for row in rows), ""]


def report(figures: dict, plots: list[Path] = ()) -> str:
    """The markdown of {"model": {...}, "splits": {split: summary.summarise(...)}}; plots stand where their split does, by name."""
    model, splits = figures["model"], figures["splits"]
    budget = f"{model['tokens']} patches" if model["tokens"] else f"{model['looks']} look{'s' * (model['looks'] > 1)}"
    lines = [
        f"# {model['name']} on {', '.join(splits)}",
        "",
        f"{budget} of at most {model['max_patches']} patches each, run by {model['backend']}; found from a score of "
        f"{model['found_threshold']:.3f}. Intervals are 95%: Wilson's for shares, by drawing frames anew for the rest.",
        "",
        *table(
            [
                "split",
                "frames",
                "questions",
                "pointing",
                "24-64 px",
                "IoU",
                "found F1",
                "in the frame or not, F1",
                "choice of 4",
                "calibration error",
            ],
            [_line(split, found) for split, found in splits.items()],
        ),
        "*Pointing*: the best region's centre lies in a box that answers the question. *Found*: precision, recall and F1 of `found`, where "
        "half of the questions are for what is not there, and one whose region lies elsewhere counts as wrong. *In the frame or not*: the "
        "same, wherever it points.",
        "",
    ]
    for split, found in splits.items():
        lines += [f"## {split}", "", *_split(found, model)]
        lines += [
            line for plot in plots if Path(plot).name.startswith(f"{split}-") for line in (f"![{Path(plot).stem}]({Path(plot).name})", "")
        ]
    if model.get("left_out"):
        lines += [f"Left out: {model['left_out']}.", ""]
    return "\n".join(lines)


def _line(split: str, found: dict) -> list[str]:
    small = found["groups"].get("24-64 px")
    return [
        split,
        found["frames"],
        found["questions"],
        percent(found["pointing"]),
        percent(small["pointing"]) if small else "-",
        number(found["iou"]),
        number(found["found"]["f1"]),
        number(found["present_or_not"]["f1"]),
        percent(found["choice"]),
        f"{found['reliability']['error']:.3f}",
    ]


def _split(found: dict, model: dict) -> list[str]:
    lines = [f"{found['questions']} questions on {found['frames']} frames, {found['present']} of them for what is there.", ""]
    lines += table(
        ["", "precision", "recall", "F1"], [_found("found", found["found"]), _found("in the frame or not", found["present_or_not"])]
    )
    lines += [
        f"F1 of found at the threshold that is best on this split, {found['best_threshold']:.3f}: {found['best']['f1']:.3f}. "
        + (
            f"A question for what is there scores above one for what is not {percent(found['separation'])} of the time. "
            if found["separation"]
            else ""
        )
        + f"Expected calibration error {found['reliability']['error']:.3f}.",
        "",
        "Selection recall: which part of a box's patches is selected.",
        "",
        *table(["share of all patches", *WAYS], [[budget, *(percent(ways[w]) for w in WAYS)] for budget, ways in found["recall"].items()]),
        *table(
            ["objects", "count", "recall, one look", "pointing", "IoU", "said found", "choice of 4"],
            [
                [
                    name,
                    g["pointing"]["count"],
                    percent(g["recall"]),
                    percent(g["pointing"]),
                    number(g["iou"]),
                    percent(g["found"]),
                    percent(g["choice"]),
                ]
                for name, g in found["groups"].items()
            ],
        ),
    ]
    if "retrieval" in found:
        r = found["retrieval"]
        lines += [
            f"Retrieval, {r['regions']} true boxes against {r['captions']} captions:",
            "",
            *table(
                ["", "R@1", "R@5"],
                [
                    [text, percent(r[f"{way} R@1"]), percent(r[f"{way} R@5"])]
                    for way, text in (("caption", "box to caption"), ("region", "caption to box"))
                ],
            ),
        ]
    if len(found["conditions"]) > 1:
        lines += [
            f"The same model under other conditions, on the first {found['study_frames']} frames:",
            "",
            *table(
                ["condition", "patches", "pointing", "IoU", "found F1", "in the frame or not, F1", "separation"],
                [
                    [
                        name,
                        f"{c['patches']:.0f}",
                        percent(c["pointing"]),
                        number(c["iou"]),
                        number(c["found"]["f1"]),
                        number(c["present_or_not"]["f1"]),
                        percent(c["separation"]),
                    ]
                    for name, c in found["conditions"].items()
                ],
            ),
        ]
    return lines


def _found(name: str, figures: dict) -> list[str]:
    return [name, percent(figures["precision"]), percent(figures["recall"]), number(figures["f1"], 3)]


def calibration_report(values: dict, about: dict, data: list[str]) -> str:
    """Markdown of what calibration.choose gave."""
    held, background = about["held_out"], values.get("background", ())
    lines = [
        "# Calibration",
        "",
        f"{about['questions']} questions on {', '.join(data)}, {about['right']} answered right: the thing is there, the region on it.",
        "",
        *table(["setting", "value"], [[name, f"{value:.5g}"] for name, value in values.items() if name != "background"]),
        f"Platt's fit: {about['slope']:.4f} * logit + {about['shift']:.4f}"
        + (f", {about['level']:.2f} times a question's level taken off its match (background)" if len(background) else "")
        + f". Expected calibration error {about['before']['error']:.4f} "
        f"before and {about['after']['error']:.4f} after"
        + (
            f"; each half of the frames by the other's fit: {held['before']:.4f} and {held['after']:.4f}, "
            f"F1 of found {held['f1 before']:.3f} and {held['f1 after']:.3f}."
            if held
            else "."
        ),
        "",
        "Pointing by relevance_threshold: " + ", ".join(f"{c}: {percent(v)}" for c, v in about["pointing"].items()) + ".",
        f"Found at the new threshold: precision {percent(about['found']['precision'])}, recall {percent(about['found']['recall'])}, "
        f"F1 {about['found']['f1']:.3f}; in the frame or not: F1 {about['present_or_not']['f1']:.3f}.",
        "",
    ]
    return "\n".join(lines)
