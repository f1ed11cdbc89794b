"""Zooming out from candidates whose right box is known."""

import numpy as np
import pytest

from ps3_ros.zoom_out import zoom_out

FRAME = 1000, 600
THING = np.array([300, 100, 700, 500], np.float32)


def judged(asked):
    """A judge that scores a box by its IoU with THING, and moves it a little towards THING; keeps what it was asked."""

    def judge(boxes):
        asked.append(boxes[0].tolist())
        return np.array([[iou(boxes[0]), 0.01]]), (boxes + 0.1 * (THING - boxes)).astype(np.float32)

    return judge


def iou(box):
    w, h = np.minimum(box[2:], THING[2:]) - np.maximum(box[:2], THING[:2])
    shared = max(w, 0) * max(h, 0)
    return shared / (np.prod(box[2:] - box[:2]) + np.prod(THING[2:] - THING[:2]) - shared)


def start(*boxes):
    boxes = np.array(boxes, np.float32)
    return boxes, np.array([[iou(box), 0.01] for box in boxes])


def test_a_piece_grows_to_the_whole_and_no_further():
    asked = []
    boxes, scores = start((470, 270, 530, 330), (0, 0, 40, 40))
    zoom_out(boxes, scores, [0], 6, FRAME, judged(asked))
    assert iou(boxes[0]) > 0.5 and scores[0, 0] > 0.3 and boxes[1].tolist() == [0, 0, 40, 40] and scores[1, 0] == 0
    assert asked[0] == [440, 240, 560, 360] and len(asked) <= 6  # about its centre


@pytest.mark.parametrize("steps, changed", [(0, False), (1, True)])
def test_no_more_steps_than_there_are(steps, changed):
    asked = []
    boxes, scores = start((470, 270, 530, 330))
    zoom_out(boxes, scores, [0], steps, FRAME, judged(asked))
    assert len(asked) == steps and (boxes[0, 0] != 470) == changed


def test_what_is_whole_stays_and_is_given_up_after_two_misses():
    asked = []
    boxes, scores = start(THING, THING + 5)
    kept = boxes.copy(), scores.copy()
    zoom_out(boxes, scores, [0, 1], 9, FRAME, judged(asked))
    assert np.array_equal(boxes, kept[0]) and np.array_equal(scores, kept[1])
    assert len(asked) == 4 and asked[0] == [100, 0, 900, 600]  # the frame's edges hold; the better candidate first


def test_the_whole_is_found_behind_one_miss():
    worse_then_better = iter([0.3, 0.9, 0.1, 0.1])
    boxes, scores = start((470, 270, 530, 330))
    scores[0] = 0.5
    zoom_out(boxes, scores, [0], 4, FRAME, lambda wide: (np.array([[next(worse_then_better)]] * 1), wide))
    assert boxes[0].tolist() == [380, 180, 620, 420] and scores[0].max() == 0.9
