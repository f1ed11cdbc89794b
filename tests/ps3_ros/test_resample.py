"""Taps and cuts against plain references: torch's bicubic, OpenCV's INTER_AREA, and an integral image written out here."""

import cv2
import numpy as np
import pytest

from ps3_ros.resample import (
    AxisTaps,
    area_taps,
    axis_taps,
    bicubic_strips,
    bicubic_taps,
    cut,
    resize_area,
    resize_bicubic,
    resize_halved,
    resize_near_area,
)

SIZES = [  # (source, target) of one axis
    (97, 32),  # shrinks by no whole number
    (96, 32),  # shrinks by a whole number
    (2160, 432),
    (33, 32),  # shrinks by a hair
    (20, 32),  # grows
    (32, 96),  # grows by a whole number
    (32, 32),  # stays
]


def textured(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def integral_mean(values, target):
    """Mean of the covered span of `values` [n], by its integral: float64 [target]."""
    integral = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    edges = np.arange(target + 1) * len(values) / target
    return np.diff(np.interp(edges, np.arange(len(values) + 1), integral)) * target / len(values)


@pytest.mark.parametrize(("source", "target"), SIZES)
@pytest.mark.parametrize("taps", [area_taps, bicubic_taps])
def test_taps_stay_inside_and_sum_to_one(taps, source, target):
    index, weight = taps(source, target)
    assert index.shape == weight.shape and len(index) == target
    assert index.min() >= 0 and index.max() < source
    np.testing.assert_allclose(weight.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize(("source", "target"), SIZES)
def test_area_taps_are_the_integral_mean(source, target):
    values = np.random.default_rng(1).random(source)
    index, weight = area_taps(source, target)
    np.testing.assert_allclose((values[index] * weight).sum(axis=1), integral_mean(values, target), atol=1e-9)


@pytest.mark.parametrize(("source", "target"), SIZES)
def test_bicubic_taps_are_torch(source, target):
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(1).random(source)
    index, weight = bicubic_taps(source, target)
    image = torch.from_numpy(values)[None, None, None].expand(1, 1, 4, source)
    expected = torch.nn.functional.interpolate(image, size=(4, target), mode="bicubic", align_corners=False)[0, 0, 0].numpy()
    np.testing.assert_allclose((values[index] * weight).sum(axis=1), expected, atol=1e-9)


@pytest.mark.parametrize("resampling", ["area", "bicubic"])
@pytest.mark.parametrize(("source", "patches"), [(97, 2), (2160, 27), (20, 4), (64, 4)])
def test_axis_taps_group_the_same_weights_by_patch(resampling, source, patches):
    patch = 16
    taps = axis_taps(source, patches, patch, resampling)
    index, weight = {"area": area_taps, "bicubic": bicubic_taps}[resampling](source, patches * patch)
    dense = np.zeros((patches * patch, source))
    np.add.at(dense, (np.arange(patches * patch)[:, None], index), weight)
    grouped = np.zeros((patches, patch, source))
    for n in range(patches):
        np.add.at(grouped[n].T, taps.index[n], taps.weight[n].T)
    np.testing.assert_allclose(grouped.reshape(-1, source), dense, atol=1e-6)  # float32 weights
    assert taps.identity == (source == patches * patch)


def cut_all(pixels, rows, cols, patch, resampling):
    """Every patch, cut one by one, put together: float32 [rows * patch, cols * patch, 3]."""
    taps = [axis_taps(n, count, patch, resampling) for n, count in ((pixels.shape[0], rows), (pixels.shape[1], cols))]
    row, col = np.divmod(np.arange(rows * cols), cols)
    patches = cut(pixels, *taps, row, col)
    return patches.reshape(rows, cols, 3, patch, patch).transpose(0, 3, 1, 4, 2).reshape(rows * patch, cols * patch, 3)


FRAMES = [  # height, width, rows, cols
    (64, 96, 4, 6),  # identity
    (320, 480, 4, 6),  # whole factor
    (367, 641, 4, 7),  # odd
    (500, 333, 6, 4),  # portrait
    (36, 48, 6, 8),  # grows
    (40, 300, 5, 6),  # grows in one axis, shrinks in the other
    (2160, 3840, 3, 5),  # patches of 720 x 768 px: the one-crop-at-a-time path
]


@pytest.mark.parametrize(("height", "width", "rows", "cols"), FRAMES)
def test_cut_area_is_resize_then_cut(height, width, rows, cols):
    pixels, patch = textured(height, width), 16
    got = cut_all(pixels, rows, cols, patch, "area")
    expected = np.apply_along_axis(integral_mean, 0, pixels.astype(np.float64), rows * patch)
    expected = np.apply_along_axis(integral_mean, 1, expected, cols * patch)
    np.testing.assert_allclose(got, expected, atol=0.01)  # grey levels of 255: float32
    if height != 40:  # OpenCV has no true area where one axis grows and the other shrinks
        opencv = cv2.resize(pixels, (cols * patch, rows * patch), interpolation=cv2.INTER_AREA)
        assert np.abs(got - opencv).max() <= 1.0  # grey levels: OpenCV rounds, in fixed point where it grows


@pytest.mark.parametrize(("height", "width", "rows", "cols"), FRAMES)
def test_cut_bicubic_is_resize_then_cut(height, width, rows, cols):
    torch = pytest.importorskip("torch")
    pixels, patch = textured(height, width), 16
    got = cut_all(pixels, rows, cols, patch, "bicubic")
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].double()
    expected = torch.nn.functional.interpolate(image, size=(rows * patch, cols * patch), mode="bicubic", align_corners=False)
    np.testing.assert_allclose(got, expected[0].permute(1, 2, 0).numpy(), atol=0.01)  # grey levels of 255: float32
    if height == 367:
        assert got.min() < 0 and got.max() > 255  # overshoots at edges are kept


def test_cut_of_a_few_patches_reads_only_them():
    pixels = textured(367, 641)
    taps = axis_taps(367, 4, 16, "area"), axis_taps(641, 7, 16, "area")
    row, col = np.array([3, 0, 2]), np.array([6, 0, 3])
    before = cut(pixels, *taps, row, col)
    touched = np.zeros(pixels.shape[:2], bool)
    for r, c in zip(row, col, strict=True):
        touched[taps[0].index[r][:, None], taps[1].index[c]] = True
    changed = np.where(touched[..., None], pixels, 255 - pixels)
    np.testing.assert_array_equal(cut(changed, *taps, row, col), before)
    assert touched.mean() < 0.15  # 3 of 28 patches


def test_the_two_ways_of_cutting_agree():
    pixels = textured(900, 1200)
    rows, cols = axis_taps(900, 3, 16, "area"), axis_taps(1200, 4, 16, "area")
    row, col = np.divmod(np.arange(12), 4)
    one_by_one = cut(pixels, rows, cols, row, col)  # 300 x 300 px a patch
    many = cut(pixels, AxisTaps(rows.index, rows.weight, False, False), cols, row, col)
    np.testing.assert_allclose(one_by_one, many, atol=0.01)


@pytest.mark.parametrize(("height", "width", "size"), [(367, 641, 64), (2160, 3840, 96), (60, 48, 64), (40, 300, 64), (64, 64, 64)])
def test_whole_image_resizes(height, width, size):
    torch = pytest.importorskip("torch")
    pixels = textured(height, width)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].double()
    expected = torch.nn.functional.interpolate(image, size=(size, size), mode="bicubic", align_corners=False)[0].permute(1, 2, 0).numpy()
    # grey levels of 255: OpenCV's columns have float32 coordinates, 1e-4 px off at 3840
    np.testing.assert_allclose(resize_bicubic(pixels, size, size), expected, atol=0.1)
    mean = np.apply_along_axis(integral_mean, 1, np.apply_along_axis(integral_mean, 0, pixels.astype(np.float64), size), size)
    assert np.abs(resize_area(pixels, size, size) - mean).max() <= 1.5  # rounds once an axis where one grows and the other shrinks


def weights_of(resize, source, target):
    """float64 [target, source]: how much each pixel counts along an axis, from grey levels of single lines, eight apart."""
    found, centres = np.zeros((target, source)), (np.arange(target) + 0.5) * source / target - 0.5
    for phase in range(8):
        pixels = np.zeros((source, 16, 3), np.uint8)
        pixels[phase::8] = 255
        lines = np.arange(phase, source, 8)
        nearest = lines[np.abs(lines - centres[:, None]).argmin(axis=1)]
        found[np.arange(target), nearest] = resize(pixels, target, 16)[:, 8, 0] / 255
    return found


@pytest.mark.parametrize(("source", "target"), [(309, 300), (330, 300), (360, 252), (500, 300), (640, 252), (400, 150)])
def test_near_areas_weigh_almost_as_areas(source, target):
    near, area = (weights_of(resize, source, target) for resize in (resize_near_area, resize_area))
    assert 0.01 < np.abs(near - area).sum(axis=1).max() < 0.22  # another way, of a sum of 1: half of it is moved to a neighbour
    centre, wanted = (weights @ np.arange(source) / weights.sum(axis=1) for weights in (near, area))
    assert np.abs(centre - wanted).max() < 0.2 and abs((centre - wanted).mean()) < 0.01  # pixels: nothing is shifted
    count = near.sum(axis=0) * source / target
    assert count.min() > 0.85 and count.max() < 1.3  # every pixel of the source counts about as much


def test_near_areas_are_the_same_in_strips():
    pixels = textured(2160, 60)  # six strips of 360 rows
    samples = cv2.resize(pixels, (2 * 42, 2 * 1512), interpolation=cv2.INTER_LINEAR)
    whole = cv2.resize(samples, (42, 1512), interpolation=cv2.INTER_LINEAR)
    assert np.abs(resize_near_area(pixels, 1512, 42).astype(int) - whole).max() <= 1  # OpenCV's positions are float32: other roundings


EXACT = [  # height, width, target
    (200, 300, 240),  # an axis that grows
    (700, 900, 256),  # more than 2.7 pixels an area
    (512, 768, 256),  # whole pixels
]


@pytest.mark.parametrize(("height", "width", "size"), EXACT)
def test_other_areas_are_exact(height, width, size):
    pixels = textured(height, width)
    np.testing.assert_array_equal(resize_near_area(pixels, size, size), resize_area(pixels, size, size))


def test_an_axis_that_stays_is_not_blurred():
    columns = np.repeat(textured(1, 252), 360, axis=0)  # the same in each row
    np.testing.assert_array_equal(resize_near_area(columns, 252, 252), columns[:252])


HALVED = [  # height, width, (side, times halved) of the squares
    (3024, 160, [(1512, 1), (256, 2)]),  # 16 megapixels, but narrow: four bands
    (2160, 96, [(256, 2)]),
    (1520, 200, [(64, 1)]),  # whole pixels in many bands
    (1000, 300, [(101, 1)]),  # no common divisor: one band
]


@pytest.mark.parametrize(("height", "width", "sizes"), HALVED)
def test_squares_of_a_halved_frame_are_the_same_in_bands(height, width, sizes):
    pixels = textured(height, width)
    for square, (side, times) in zip(resize_halved(pixels, sizes), sizes, strict=True):
        whole = pixels
        for _ in range(times):
            whole = cv2.resize(whole, (whole.shape[1] // 2, len(whole) // 2), interpolation=cv2.INTER_AREA)
        np.testing.assert_array_equal(square, cv2.resize(whole, (side, side), interpolation=cv2.INTER_AREA))


def test_a_frame_is_halved_in_bands_that_do_not_grow_with_it(monkeypatch):
    shapes, resize = [], cv2.resize
    monkeypatch.setattr(cv2, "resize", lambda pixels, *args, **kwargs: shapes.append(pixels.shape) or resize(pixels, *args, **kwargs))
    for height in (1024, 2048, 4096):
        resize_halved(np.zeros((height, 64, 3), np.uint8), [(64, 2)])
    assert max(rows for rows, *_ in shapes) == 256


def test_weights_of_whole_areas_do_not_grow_with_the_source():
    small, large = (axis_taps(source, 64, 16, "area").weight for source in (64 * 20, 64 * 84))
    assert small.shape == (64, 16, 20) and small.base.nbytes == 16 * 20 * 4
    assert large.shape == (64, 16, 84) and large.base.nbytes == 16 * 84 * 4


STRIPPED = [  # height, width, target height, target width
    (360, 640, 252, 300),  # 10 rows to 7, as a 4K frame and the selector's image
    (200, 90, 300, 60),  # grows
    (130, 64, 130, 64),  # stays
    (64, 64, 640, 32),  # one row to ten
    (96, 80, 64, 80),  # one strip
]


@pytest.mark.parametrize(("height", "width", "rows", "cols"), STRIPPED)
def test_strips_meet_without_a_seam(height, width, rows, cols):
    torch = pytest.importorskip("torch")
    pixels, next_row = textured(height, width), 0
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].double()
    expected = torch.nn.functional.interpolate(image, size=(rows, cols), mode="bicubic", align_corners=False)[0].permute(1, 2, 0).numpy()
    for start, strip in bicubic_strips(pixels, rows, cols):
        assert start == next_row
        next_row += len(strip)
        np.testing.assert_allclose(strip, expected[start:next_row], atol=0.02)  # grey levels of 255: OpenCV's float32 coordinates
    assert next_row == rows
