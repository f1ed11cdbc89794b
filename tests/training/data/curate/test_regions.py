"""Which masks become regions."""

import numpy as np
import pytest

from ps3_ros.errors import Ps3Error
from ps3_training.data.curate.regions import RegionSettings, blocks, crop, salient_regions
from ps3_training.data.curate.segment import Mask


def mask(x1, y1, x2, y2, score=0.8, text=""):
    return Mask((x1, y1, x2, y2), (x2 - x1) * (y2 - y1), score, text)


@pytest.mark.parametrize(
    "masks, expected",
    [
        ([mask(10, 10, 60, 60)], ["small"]),
        ([mask(0, 0, 900, 700)], []),  # large: a low-resolution look sees it
        ([mask(10, 10, 20, 20)], []),  # under `smallest`
        ([mask(10, 10, 60, 60), mask(12, 12, 60, 60)], ["small"]),  # one thing twice
        ([mask(10, 10, 90, 90, 0.9), mask(20, 20, 70, 70, 0.5)], ["small"]),  # a part of it
        ([mask(100, 100, 200, 130, text="EXIT"), mask(105, 105, 125, 125)], ["text"]),  # a letter
        ([mask(100, 100, 200, 130, text="EXIT"), mask(300, 300, 340, 340)], ["text", "small"]),
    ],
)
def test_salient_are_text_and_small_masks_once(masks, expected):
    assert [r.why for r in salient_regions(masks, 1000, 800)] == expected


def test_many_masks_close_together_are_one_dense_region_around_them():
    jars = [mask(500 + 22 * i, 400, 518 + 22 * i, 430) for i in range(7)]
    scattered = [mask(x, y, x + 18, y + 18) for x, y in ((30, 30), (900, 100), (100, 700), (800, 750))]
    dense = [r for r in salient_regions(jars + scattered, 1000, 800) if r.why == "dense"]
    assert len(dense) == 1 and dense[0].box == (500, 400, 650, 430)
    assert not [r for r in salient_regions(scattered, 1000, 800) if r.why == "dense"]


def test_the_budget_holds_and_small_ones_go_first():
    masks = [mask(60 * i, 60 * j, 60 * i + 20 + i, 60 * j + 20 + i) for i in range(10) for j in range(10)]
    chosen = salient_regions(masks, 1000, 800, RegionSettings(budget=5))
    assert len(chosen) == 5 and {r.box[2] - r.box[0] for r in chosen if r.why == "small"} == {20}


def test_lines_under_each_other_are_read_as_one_block_and_each():
    lines = [
        mask(100, 100, 300, 130, text="NO PARKING"),
        mask(110, 136, 290, 164, text="AT ALL TIMES"),
        mask(700, 120, 800, 150, text="EXIT"),
    ]
    assert [[m.text for m in block] for block in blocks(lines)] == [["NO PARKING", "AT ALL TIMES"], ["EXIT"]]
    texts = {r.text: r.box for r in salient_regions(lines, 1000, 800)}
    assert texts["NO PARKING AT ALL TIMES"] == (100, 100, 300, 164) and {"NO PARKING", "AT ALL TIMES", "EXIT"} < set(texts)


@pytest.mark.parametrize("plate, expected", [((90, 90, 310, 140), True), ((0, 0, 900, 700), False), ((90, 90, 200, 140), False)])
def test_text_on_a_close_surface_takes_its_box(plate, expected):
    region = salient_regions([mask(100, 100, 300, 130, text="EXIT"), mask(*plate)], 1000, 800)[0]
    assert region.text == "EXIT" and region.plate is expected and region.box == (plate if expected else (100, 100, 300, 130))


def test_a_crop_has_surroundings_where_the_picture_has_them():
    image = np.arange(100 * 100).reshape(100, 100)
    assert crop(image, (40, 40, 60, 60), 2).shape == (41, 41) and crop(image, (0, 0, 20, 20), 2).shape == (31, 31)


def test_settings_that_cannot_be_used_are_one_sentence():
    with pytest.raises(Ps3Error, match="budget 0"):
        RegionSettings(budget=0)
