"""How the picture moved from one frame to the next: sparse optical flow (pyramidal Lucas-Kanade) on a small grey image. No ROS import."""

from dataclasses import dataclass

import cv2
import numpy as np

from .resample import can_halve, resize_area, resize_halved

POINTS = 300  # corners that are followed
A_BOX = 16  # points besides, inside each box
WINDOW, LEVELS = 15, 4  # px of the grey image, and pyramid levels: steps of about a fifth of the frame are followed
THERE_AND_BACK = 0.7  # px of the grey image: a point that does not come back to where it was is dropped
FEWEST, LEAST_SHARE = 8, 0.3  # corners that must agree on one motion
OWN = 3  # points inside a box that tell its own motion
SAME = 2.0  # grey levels between two frames without corners, up to which nothing moved
CHANGED = 14.0  # grey levels beyond the picture's overall change, from which on a place is another


@dataclass(frozen=True, eq=False)
class Flow:
    """matrix: float64 [2, 3], similarity from px of the frame before to px of this one; start, end: float32 [n, 2] px of points that were
    followed; size: (width, height) px; changed: float32 [S, S], by how many grey levels a place differs from what the motion explains."""

    matrix: np.ndarray
    start: np.ndarray
    end: np.ndarray
    size: tuple
    changed: np.ndarray

    def moved(self, boxes):
        """Boxes float64 [n, 4] px of the frame before, where they are now: by the median of the points inside, else by the whole picture's
        motion; they grow as the picture does."""
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        zoom = float(np.hypot(*self.matrix[:, 0]))
        found = []
        for box in boxes:
            middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
            inside = ((self.start >= box[:2]) & (self.start <= box[2:])).all(axis=1)
            step = self.matrix[:, :2] @ middle + self.matrix[:, 2] - middle
            if inside.sum() >= OWN:
                step = np.median(self.end[inside] - self.start[inside], axis=0)
            found.append(np.concatenate([middle + step - zoom * half, middle + step + zoom * half]))
        return np.array(found).reshape(-1, 4)

    def carried(self, values):
        """A map [h, w] over the frame before, laid over this one: float32 [h, w], 0 where nothing was seen before."""
        h, w = values.shape
        return cv2.warpAffine(values.astype(np.float32), _scaled(self.matrix, w / self.size[0], h / self.size[1]), (w, h))

    def changed_at(self, shape):
        """Places of a map [h, w] over this frame that show something else than before: bool [h, w]."""
        return cv2.resize(self.changed, shape[::-1], interpolation=cv2.INTER_AREA) > CHANGED


def grey_image(frame, side):
    """The frame as a small square: uint8 [side, side]."""
    pixels = frame.pixels
    if can_halve(*pixels.shape[:2], side):
        (square,) = resize_halved(pixels, [(side, 1)])
    else:
        square = resize_area(pixels, side, side)
    return cv2.cvtColor(square, cv2.COLOR_BGR2GRAY)


def estimate_flow(before, after, size, boxes=()):
    """Flow between two grey images uint8 [S, S] of frames of `size` (width, height) px; None where it cannot be told.

    boxes: [n, 4] px of the frame before, for which more points are followed. It cannot be told where too few corners agree on one motion
    (another scene, a covered lens, a blur), unless both pictures are alike (a blank wall).
    """
    to_px = np.array(size, np.float32) / len(before)
    corners = cv2.goodFeaturesToTrack(before, POINTS, 0.01, 6)
    corners = np.empty((0, 2), np.float32) if corners is None else corners.reshape(-1, 2)
    points = np.concatenate([corners, *(_grid_in(box, to_px) for box in boxes)]).astype(np.float32)
    if len(corners) < FEWEST:
        alike = cv2.absdiff(before, after).mean() <= SAME
        return _flow(np.eye(2, 3), points[:0], points[:0], size, before, after) if alike else None
    follow = lambda a, b, p: cv2.calcOpticalFlowPyrLK(a, b, p, None, winSize=(WINDOW, WINDOW), maxLevel=LEVELS)[:2]  # noqa: E731
    there, found = follow(before, after, points)
    back, returned = follow(after, before, there)
    good = (found.ravel() == 1) & (returned.ravel() == 1) & (np.abs(back - points).max(axis=1) <= THERE_AND_BACK)
    good &= ((there >= 0) & (there < len(before))).all(axis=1)
    start, end = (points + 0.5) * to_px - 0.5, (there + 0.5) * to_px - 0.5
    corner = good & (np.arange(len(points)) < len(corners))
    if corner.sum() < FEWEST:
        return None
    cv2.setRNGSeed(0)  # the same frames give the same motion
    matrix, agree = cv2.estimateAffinePartial2D(start[corner], end[corner], ransacReprojThreshold=float(to_px.max()))
    if matrix is None or agree.sum() < max(FEWEST, LEAST_SHARE * corner.sum()) or not 0.5 < np.hypot(*matrix[:, 0]) < 2:
        return None
    return _flow(matrix, start[good], end[good], size, before, after)


def _flow(matrix, start, end, size, before, after):
    side = len(before)
    scaled = _scaled(matrix, side / size[0], side / size[1])
    expected = cv2.warpAffine(before, scaled, (side, side), borderMode=cv2.BORDER_REPLICATE)
    change = cv2.blur(after.astype(np.float32) - expected, (5, 5))
    return Flow(matrix, start, end, tuple(size), np.abs(change - np.median(change)))


def _grid_in(box, to_px):
    """Points of the grey image inside a box: float32 [A_BOX, 2]."""
    low, high = np.array(box[:2]) / to_px, np.array(box[2:]) / to_px
    n = round(A_BOX**0.5)
    parts = (np.arange(n) + 0.5) / n
    x, y = np.meshgrid(low[0] + parts * (high[0] - low[0]), low[1] + parts * (high[1] - low[1]))
    return np.stack([x.ravel(), y.ravel()], axis=1) - 0.5


def _scaled(matrix, sx, sy):
    """A motion in px as one between pixel centres of a map that is sx, sy times as large."""
    matrix = np.vstack([matrix, [0, 0, 1]])
    down = np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]])
    return (down @ matrix @ np.linalg.inv(down))[:2]
