"""Answers drawn over their frame: what was looked at stays bright, what was found is boxed, and the best find is enlarged."""

from pathlib import Path

import cv2
import numpy as np

DIM = 0.38  # brightness of what was not looked at: dark enough to see the look, bright enough to see the scene
FOUND, NOT_FOUND, TEXT = (80, 220, 80), (60, 160, 255), (255, 255, 255)
SCALE_COLOURS = ((230, 180, 60), (230, 120, 200), (90, 220, 240))  # outlines of looked-at areas, coarse to fine (BGR)
CAPTIONS = 8  # lines of text: more would hide the picture
INSET = 0.24  # side of the enlarged best region, of the picture's width


def draw_overlay(pixels: np.ndarray, answer, detail=None, width: int = 1920) -> np.ndarray:
    """Draws `answer` (answer.Answer) over the frame it is about.

    Args:
        pixels: uint8 [H, W, 3] BGR, the frame.
        detail: ask.AskDetail with what was looked at; without it only the regions are drawn.
        width: of the picture, px; a larger frame is reduced to it, a smaller one is kept.

    Returns:
        uint8 [h, w, 3] BGR.
    """
    return draw_answers(pixels, ((answer, detail),), width)


def draw_answers(pixels: np.ndarray, explained, width: int = 1920) -> np.ndarray:
    """As draw_overlay, for several answers about one frame: what any of them looked at is bright, and the surest find is enlarged.

    explained: (answer.Answer, ask.AskDetail or None) of each, one at least.
    """
    height, full = pixels.shape[:2]
    scale = min(1.0, width / full)
    size = (max(1, round(full * scale)), max(1, round(height * scale)))
    picture = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if scale < 1 else pixels.copy()
    line = max(1, size[0] // 900)
    details = [detail for _, detail in explained if detail is not None]
    if details:
        picture = _light_looks(picture, details, line)
    for answer, _ in explained:
        _regions(picture, answer, scale, line)
    shown = [answer for answer, _ in explained if answer.regions]
    if shown:
        best = max(shown, key=lambda answer: (answer.found, answer.regions[0].score))
        _inset(picture, pixels, best.regions[0].box, scale, FOUND if best.found else NOT_FOUND, line)
    for row, (answer, _) in enumerate(explained[:CAPTIONS]):
        _caption(picture, answer, row)
    return picture


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Writes a picture beside its target and renames it.

    Raises ValueError where the ending is not one OpenCV writes, OSError where the folder refuses.
    """
    path = Path(path)
    try:
        done, data = cv2.imencode(path.suffix or ".png", picture)
    except cv2.error:
        done = False
    if not done:
        raise ValueError(f"cannot write a picture as {path.name!r}; end its name in .png or .jpg")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    beside.write_bytes(data.tobytes())
    beside.replace(path)


def _light_looks(picture: np.ndarray, details: list, line: int) -> np.ndarray:
    """Dims what was not looked at and outlines, a scale at a time, what was."""
    size = (picture.shape[1], picture.shape[0])
    seen, outlines = np.zeros(size[::-1], np.uint8), []
    for s, grid in enumerate(details[0].plan.grids):
        looked = np.zeros(grid.rows * grid.cols, np.uint8)
        for detail in details:
            looked[detail.selection.patches[s]] = 255
        looked = cv2.resize(looked.reshape(grid.rows, grid.cols), size, interpolation=cv2.INTER_NEAREST)
        seen |= looked
        outlines.append(cv2.findContours(looked, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0])
    relevance = np.max([detail.relevance for detail in details], axis=0)
    dimmed = cv2.convertScaleAbs(picture, alpha=DIM)
    heat = cv2.resize(np.clip(relevance * 255, 0, 255).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)
    dimmed[..., 2] = cv2.add(dimmed[..., 2], cv2.convertScaleAbs(heat, alpha=0.45))  # relevance glows red where nobody looked
    cv2.copyTo(picture, seen, dimmed)
    for contours, colour in zip(outlines, SCALE_COLOURS[-len(outlines) :], strict=False):
        cv2.drawContours(dimmed, contours, -1, colour, line)
    return dimmed


def _regions(picture, answer, scale, line):
    for rank, region in reversed(list(enumerate(answer.regions))):  # the best last: on top
        colour = FOUND if answer.found and rank == 0 else NOT_FOUND
        text = f"{region.label} {region.score:.2f}" if rank == 0 or region.label != answer.label else f"{region.score:.2f}"
        _box(picture, np.asarray(region.box) * scale, text, colour, line * (2 if rank == 0 else 1))


def _box(picture, box, text, colour, line):
    x1, y1, x2, y2 = (int(round(v)) for v in box)
    cv2.rectangle(picture, (x1 - line, y1 - line), (x2 + line, y2 + line), colour, line)
    _label(picture, text, (x1, y1 - 4 * line), colour, 0.5 * picture.shape[1] / 1400)


def _label(picture, text, corner, colour, size):
    """Text on a dark plate whose lower left is `corner`, kept inside the picture."""
    thick = max(1, round(size * 2))
    (w, h), base = cv2.getTextSize(_ascii(text), cv2.FONT_HERSHEY_SIMPLEX, size, thick)
    x = int(np.clip(corner[0], 0, max(0, picture.shape[1] - w - 4)))
    y = int(np.clip(corner[1], h + base + 2, picture.shape[0] - 2))
    cv2.rectangle(picture, (x, y - h - base), (x + w + 4, y + 2), (20, 20, 20), -1)
    cv2.putText(picture, _ascii(text), (x + 2, y - base // 2), cv2.FONT_HERSHEY_SIMPLEX, size, colour, thick, cv2.LINE_AA)


def _inset(picture, pixels, box, scale, colour, line):
    """The best region enlarged in the corner farthest from it: a sign 40 px wide cannot be seen in a reduced frame."""
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = box
    side = max(x2 - x1, y2 - y1, 48) * 1.5
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
    left, top = int(np.clip(cx - side / 2, 0, max(0, width - side))), int(np.clip(cy - side / 2, 0, max(0, height - side)))
    crop = pixels[top : top + int(side), left : left + int(side)]
    if crop.size == 0 or side > width / 3:
        return
    edge = int(picture.shape[1] * INSET)
    edge = min(edge, picture.shape[0] // 2)
    shown = cv2.resize(crop, (edge, edge), interpolation=cv2.INTER_CUBIC if side < edge else cv2.INTER_AREA)
    margin = 4 * line
    x = margin if cx * scale > picture.shape[1] / 2 else picture.shape[1] - edge - margin
    y = picture.shape[0] - edge - margin
    if cy * scale > picture.shape[0] * 0.6:
        y = margin + picture.shape[0] // 16
    cv2.line(picture, (int(cx * scale), int(cy * scale)), (x + edge // 2, y + edge // 2), colour, line, cv2.LINE_AA)
    picture[y : y + edge, x : x + edge] = shown
    cv2.rectangle(picture, (x, y), (x + edge, y + edge), colour, 2 * line)


def _caption(picture, answer, row=0):
    if answer.error:
        verdict = f"error: {answer.error}"
    else:
        verdict = f"found: {answer.label}" if answer.found else "not found in what was looked at"
    text = (
        f'"{answer.query}"  {verdict}   looked at {answer.looked_fraction:.1%} '
        f"({answer.patches_used} of {answer.patches_allowed} patches), {answer.stage_ms.get('total', 0):.0f} ms"
    )
    _label(picture, text, (6, int(picture.shape[0] * 0.04 * (row + 1))), FOUND if answer.found else TEXT, 0.6 * picture.shape[1] / 1400)


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()  # OpenCV's Hershey fonts have no other characters
