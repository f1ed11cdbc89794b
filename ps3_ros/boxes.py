"""Boxes (x1, y1, x2, y2) in source px: which tokens are inside, wider ones, and which of them are one thing."""

import numpy as np

NMS_IOU = 0.5  # boxes that overlap more are one thing
EPS_PX = 1e-3  # boxes are float32 pixels


def inside(tokens, boxes):
    """Which tokens belong to each box: those centred in it and those that cover it; at least the nearest one. bool [R, N].

    tokens: float32 [N, 4], boxes: float32 [R, 4], source px.
    """
    t, b = tokens[None], boxes[:, None]
    x, y = (t[..., 0] + t[..., 2]) / 2, (t[..., 1] + t[..., 3]) / 2
    centred = (x >= b[..., 0]) & (x <= b[..., 2]) & (y >= b[..., 1]) & (y <= b[..., 3])
    low, high = t[..., :2] <= b[..., :2] + EPS_PX, t[..., 2:] >= b[..., 2:] - EPS_PX
    mask = centred | (low.all(axis=-1) & high.all(axis=-1))
    empty = ~mask.any(axis=1)
    if empty.any():
        distance = (x - (b[..., 0] + b[..., 2]) / 2) ** 2 + (y - (b[..., 1] + b[..., 3]) / 2) ** 2
        mask[np.nonzero(empty)[0], distance[empty].argmin(axis=1)] = True
    return mask


def grown(boxes, factor):
    """Boxes [R, 4] `factor` times as wide and high about their centres; they may reach over the frame's edge."""
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    return np.concatenate([centre - factor * half, centre + factor * half], axis=1)


def suppress(boxes, scores):
    """Non-maximum suppression: indices of the kept boxes [R, 4], best score first; equal scores by index."""
    order = np.argsort(-scores, kind="stable")
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    for n in order:
        width = np.minimum(boxes[kept, 2], boxes[n, 2]) - np.maximum(boxes[kept, 0], boxes[n, 0])
        height = np.minimum(boxes[kept, 3], boxes[n, 3]) - np.maximum(boxes[kept, 1], boxes[n, 1])
        shared = np.clip(width, 0, None) * np.clip(height, 0, None)
        if not (shared > NMS_IOU * (area[kept] + area[n] - shared)).any():
            kept.append(int(n))
    return kept
