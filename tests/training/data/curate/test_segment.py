"""The classical segmenter on drawn pictures."""

import numpy as np
import pytest

from ps3_training.data.curate.segment import contrast, iou, segment, suppress, tiles

from .conftest import drawn


@pytest.fixture(scope="module")
def masks():
    return segment(drawn())


@pytest.mark.parametrize(
    "box",
    [
        (80, 60, 160, 140),  # the disc
        (60, 240, 150, 320),  # the blue box
        (300, 60, 560, 150),  # the board
    ],
)
def test_drawn_things_have_a_mask(masks, box):
    assert max(iou(np.asarray(box, float), np.asarray([m.box for m in masks], float))) > 0.7
    assert all(0 <= m.score <= 1 and m.area > 0 and m.box[2] <= 640 and m.box[3] <= 360 for m in masks)


def test_the_same_picture_gives_the_same_masks(masks):
    assert segment(drawn()) == masks


@pytest.mark.parametrize("shape", [(40, 40, 3), (32, 900, 3)])
def test_a_picture_without_anything_has_no_masks(shape):
    assert segment(np.full(shape, 128, np.uint8)) == []


@pytest.mark.parametrize("height, width, count", [(100, 100, 1), (100, 101, 2), (250, 100, 4), (2160, 3840, 1)])
def test_tiles_cover_every_pixel_once_or_more(height, width, count):
    image = np.zeros((height, width), np.uint8)
    parts = tiles(image, 100 if height < 1000 else 4000, overlap=30)
    for _, _, view in parts:
        view += 1
    assert len(parts) == count and image.min() >= 1


def test_contrast_is_high_for_a_box_on_its_edge_and_low_on_nothing(picture):
    thing, nothing, inside = contrast(picture, np.array([[60, 240, 150, 320], [200, 200, 280, 280], [80, 260, 130, 300]], float))
    assert thing > 0.8 and nothing < 0.1 and inside < 0.1


def test_suppress_keeps_the_first_of_boxes_that_overlap():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]], float)
    assert suppress(boxes, 0.5).tolist() == [0, 2] and suppress(boxes, 0.9).tolist() == [0, 1, 2]
