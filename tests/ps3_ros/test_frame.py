"""Frames are checked; their grids, positions and boxes are the contract's; patches are those of the resized frame, for real frame sizes."""

import cv2
import numpy as np
import pytest

from ps3_ros.errors import FrameError
from ps3_ros.frame import Frame, FramePlan, aux_image, cut_patches, frame_images, glance_image
from ps3_ros.selection import Selection


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


BAD_PIXELS = [
    (np.zeros((64, 64), np.uint8), "uint8"),  # no channels
    (np.zeros((64, 64, 4), np.uint8), "64, 64, 4"),  # alpha
    (np.zeros((64, 64, 3), np.float32), "float32"),
    (np.zeros((1, 1, 3), np.uint8), "1 x 1"),
    (np.zeros((31, 64, 3), np.uint8), "64 x 31"),
    (np.broadcast_to(np.uint8(0), (20000, 20000, 3)), "20000 x 20000"),
    (np.broadcast_to(np.uint8(0), (32, 16385, 3)), "16385 x 32"),
    (None, "NoneType"),
    ([[[0, 0, 0]]], "list"),
]


@pytest.mark.parametrize(("pixels", "quoted"), BAD_PIXELS)
def test_bad_pixels_are_refused_and_quoted(pixels, quoted):
    with pytest.raises(FrameError, match=quoted):
        Frame(pixels)


@pytest.mark.parametrize("stamp", [-1, 1.5, "now", None, True])
def test_bad_stamps_are_refused(stamp):
    with pytest.raises(FrameError, match="stamp"):
        Frame(noise(64, 64), stamp_ns=stamp)


def test_frame_id_must_be_text():
    with pytest.raises(FrameError, match="frame_id"):
        Frame(noise(64, 64), 0, None)


def test_a_frame_is_made_contiguous_and_otherwise_not_copied():
    pixels = noise(64, 80)
    assert Frame(pixels).pixels is pixels
    turned = Frame(pixels[:, ::-1])
    assert turned.pixels.flags.c_contiguous and (turned.pixels == pixels[:, ::-1]).all()
    assert (turned.height, turned.width) == (64, 80)


GRIDS = [  # geometry, height, width, (rows, cols) a scale
    ("native", 2160, 3840, [(27, 48), (54, 96), (135, 240)]),
    ("native", 3840, 2160, [(48, 27), (96, 54), (240, 135)]),
    ("native", 3000, 3000, [(48, 48), (96, 96), (240, 240)]),
    ("native", 100, 16000, [(1, 48), (1, 96), (2, 240)]),  # never none; 1.5 rounds up
    ("native", 1080, 1920, [(27, 48), (54, 96), (135, 240)]),
    ("reference", 2160, 3840, [(26, 48), (52, 96), (130, 240)]),  # int(384 * 9/16) // 16 = 13, times 2, 4, 10
    ("reference", 3840, 2160, [(48, 26), (96, 52), (240, 130)]),
    ("reference", 100, 16000, [(2, 48), (4, 96), (10, 240)]),  # at least one patch at the lowest scale
    ("reference", 500, 500, [(48, 48), (96, 96), (240, 240)]),
]


@pytest.mark.parametrize(("geometry", "height", "width", "expected"), GRIDS)
def test_grids(make_settings, geometry, height, width, expected):
    plan = FramePlan.of(height, width, make_settings(geometry=geometry))
    assert [(g.rows, g.cols) for g in plan.grids] == expected
    assert [g.side for g in plan.grids] == [48, 96, 240]
    assert [g.offset for g in plan.grids] == [0, 48**2, 48**2 + 96**2]


def test_plans_are_kept(make_settings):
    assert FramePlan.of(480, 640, make_settings()) is FramePlan.of(480, 640, make_settings())
    assert FramePlan.of(480, 640, make_settings()) is not FramePlan.of(480, 640, make_settings(geometry="reference"))


def test_cells_and_boxes(make_settings):
    plan = FramePlan.of(2160, 3840, make_settings())
    rows, cols = plan.cell_of(2)
    assert rows.tolist() == [int(r * 24 / 135) for r in range(135)] and cols.tolist() == [c // 10 for c in range(240)]
    np.testing.assert_allclose(plan.boxes(2, np.array([0, 241, 32399])), [[0, 0, 16, 16], [16, 16, 32, 32], [3824, 2144, 3840, 2160]])
    np.testing.assert_allclose(plan.boxes(0, np.array([49])), [[80, 80, 160, 160]])
    assert plan.boxes(0, np.array([], np.int64)).shape == (0, 4)


def test_positions_of_the_two_geometries(make_settings):
    patches = np.arange(27 * 48)
    native = FramePlan.of(2160, 3840, make_settings()).positions(0, patches)
    row, col = np.divmod(patches, 48)
    np.testing.assert_array_equal(native, np.floor((row + 0.5) * 48 / 27).astype(int) * 48 + np.floor((col + 0.5) * 48 / 48).astype(int))
    reference = FramePlan.of(2160, 3840, make_settings(geometry="reference"))
    np.testing.assert_array_equal(reference.positions(1, [0, 95, 96, 52 * 96 - 1]), 48**2 + np.array([0, 95, 96, 51 * 96 + 95]))
    last = reference.positions(2, [130 * 240 - 1])[0]
    assert last < 48**2 + 96**2 + 240**2


def random_selection(plan, counts, seed=1):
    rng = np.random.default_rng(seed)
    return Selection(
        tuple(np.sort(rng.choice(g.patches, min(n, g.patches), replace=False)) for g, n in zip(plan.grids, counts, strict=True))
    )


def resized(pixels, size, axis):
    """One axis by area: OpenCV's INTER_AREA where it shrinks; its integral where it grows (OpenCV misses by a pixel there at times)."""
    source = pixels.shape[axis]
    if size <= source:
        shape = (size, pixels.shape[0]) if axis == 1 else (pixels.shape[1], size)
        return cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA)
    values = np.moveaxis(pixels.astype(np.float64), axis, 0)
    integral = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
    edge = np.arange(size + 1) * source / size
    base = np.minimum(edge.astype(int), source - 1)
    at_edge = integral[base] + values[base] * (edge - base)[:, None, None]
    return np.moveaxis(np.diff(at_edge, axis=0) * size / source, 0, axis).astype(np.float32)


FRAMES = [(2160, 3840), (1080, 1920), (367, 641), (641, 367), (96, 54), (33, 500)]  # real 4K, half of it, odd, portrait, small, thin


@pytest.mark.parametrize(("height", "width"), FRAMES)
@pytest.mark.parametrize("geometry", ["native", "reference"])
def test_cut_patches_are_those_of_the_resized_frame(make_settings, height, width, geometry):
    """The whole frame by area, one axis after the other, within 1.5 grey levels of 255 (OpenCV rounds at each)."""
    settings = make_settings(geometry=geometry, scales=(96, 192, 384, 960), grid=6)
    frame = Frame(noise(height, width))
    plan = FramePlan.of(height, width, settings)
    selection = random_selection(plan, (20, 60, 300))
    got = cut_patches(frame, plan, settings, selection)
    assert got.dtype == np.float32 and got.shape == (selection.count, 3 * 16 * 16)
    expected = []
    for grid, patches in zip(plan.grids, selection.patches, strict=True):
        size = (grid.cols * 16, grid.rows * 16)
        whole = resized(resized(frame.pixels, size[0], 1), size[1], 0)[:, :, ::-1].astype(np.float32)
        whole = (whole / 255 - 0.5) / 0.5
        for patch in patches:
            r, c = divmod(int(patch), grid.cols)
            expected.append(whole[r * 16 : r * 16 + 16, c * 16 : c * 16 + 16].transpose(2, 0, 1).ravel())
    assert np.abs(got - np.array(expected)).max() <= 1.5 / 127.5 + 1e-5


@pytest.mark.parametrize(("height", "width"), FRAMES)
def test_cut_patches_bicubic_are_torch(make_settings, height, width):
    torch = pytest.importorskip("torch")
    settings = make_settings(geometry="reference", resampling="bicubic", scales=(84, 168, 336, 840), patch=14, grid=6, mean=(0.4, 0.5, 0.6))
    frame = Frame(noise(height, width))
    plan = FramePlan.of(height, width, settings)
    selection = random_selection(plan, (20, 60, 300))
    image = torch.from_numpy(frame.pixels[:, :, ::-1].copy()).permute(2, 0, 1)[None].double() / 255
    image = (image - torch.tensor(settings.mean).view(1, 3, 1, 1)) / torch.tensor(settings.std).view(1, 3, 1, 1)
    expected = []
    for grid, patches in zip(plan.grids, selection.patches, strict=True):
        whole = torch.nn.functional.interpolate(image, size=(grid.rows * 14, grid.cols * 14), mode="bicubic", align_corners=False)[0]
        for patch in patches:
            r, c = divmod(int(patch), grid.cols)
            expected.append(whole[:, r * 14 : r * 14 + 14, c * 14 : c * 14 + 14].reshape(-1).numpy())
    np.testing.assert_allclose(cut_patches(frame, plan, settings, selection), np.array(expected), atol=1e-4)


def test_the_finest_patches_of_a_4k_frame_are_the_cameras_own_pixels(make_settings):
    frame, settings = Frame(noise(2160, 3840)), make_settings(mean=(0, 0, 0), std=(1, 1, 1))
    plan = FramePlan.of(2160, 3840, settings)
    empty = np.empty(0, np.int64)
    got = cut_patches(frame, plan, settings, Selection((empty, empty, np.array([240 * 7 + 5])))).reshape(3, 16, 16)
    np.testing.assert_allclose(got * 255, frame.pixels[112:128, 80:96, ::-1].transpose(2, 0, 1), atol=1e-4)


def test_a_plan_of_another_size_is_refused(make_settings):
    settings = make_settings()
    with pytest.raises(FrameError, match="64 x 48"):
        cut_patches(
            Frame(noise(48, 64)), FramePlan.of(64, 48, settings), settings, random_selection(FramePlan.of(64, 48, settings), (1, 1, 1))
        )


@pytest.mark.parametrize(("height", "width"), FRAMES)
def test_glance_and_aux_images(make_settings, height, width):
    torch = pytest.importorskip("torch")
    frame = Frame(noise(height, width))
    area = make_settings(scales=(96, 192), grid=6, aux_size=160)
    for image, size in ((glance_image(frame, area), 96), (aux_image(frame, area), 160)):
        assert image.shape == (1, 3, size, size) and image.dtype == np.float32 and image.flags.c_contiguous
        exact = resized(resized(frame.pixels.astype(np.float32), size, 1), size, 0)[:, :, ::-1].transpose(2, 0, 1)
        assert np.abs((image[0] + 1) * 127.5 - exact).max() <= 1.5  # grey levels of 255: rounded once or twice
    cubic = make_settings(scales=(96, 192), grid=6, aux_size=160, resampling="bicubic")
    rgb = torch.from_numpy(frame.pixels[:, :, ::-1].copy()).permute(2, 0, 1)[None].double() / 127.5 - 1
    for image, size in ((glance_image(frame, cubic), 96), (aux_image(frame, cubic), 160)):
        expected = torch.nn.functional.interpolate(rgb, size=(size, size), mode="bicubic", align_corners=False).numpy()
        np.testing.assert_allclose(image, expected, atol=1e-3)  # OpenCV's columns have float32 coordinates, 1e-4 px off at 3840


IMAGE_SETTINGS = [  # settings, grey levels on average by which the glance and the auxiliary image may differ on noise (None: none is made)
    ({"scales": (96, 192), "grid": 6, "aux_size": 288}, 1, 4),  # areas of 1.3 x 2.2 pixels, made of samples; the glance image from them
    ({"scales": (96, 192), "grid": 6, "aux_size": 192}, 0.2, 0),  # 1.9 x 3.3 pixels: the auxiliary image is exact
    ({"scales": (96, 192), "grid": 6, "aux_size": 160}, 0, 0),  # 160 is no multiple of 96, 4.0 pixels are too many for samples
    ({"scales": (96, 192), "grid": 6, "aux_size": 768}, 0, 0),  # more than the frame's shorter side
    ({"scales": (96, 192), "grid": 6, "aux_size": 288, "resampling": "bicubic"}, 0, 0),
    ({"scales": (96, 192), "grid": 6, "aux_size": 0, "aux_grid": 0, "aux_dim": 0}, 0, None),
]


@pytest.mark.parametrize(("changed", "glance_levels", "aux_levels"), IMAGE_SETTINGS)
def test_frame_images_are_nearly_the_two_images(make_settings, changed, glance_levels, aux_levels):
    frame, settings = Frame(noise(367, 641)), make_settings(**changed)
    glance, aux = frame_images(frame, settings)
    assert (aux is None) == (aux_levels is None)
    assert near(glance, glance_image(frame, settings), glance_levels)
    assert aux is None or near(aux, aux_image(frame, settings), aux_levels)


def near(found, expected, levels):
    """Whether they differ by at most `levels` of 255 on average and by more than half of that; levels 0: whether they are the same."""
    mean = np.abs(found - expected).mean() * 127.5
    return np.array_equal(found, expected) if levels == 0 else levels / 2 < mean <= levels


HALVED = [  # height, width, glance's side, auxiliary side (0: none), which of the two are made from the halved frame, or as roughly
    (368, 642, 96, 160, (True, True)),
    (368, 642, 96, 288, (True, True)),  # not of it: of samples, and the glance's from them
    (768, 1024, 96, 0, (True, False)),  # of one halved twice
    (368, 642, 96, 200, (True, False)),
    (367, 642, 96, 160, (False, False)),  # an odd side
    (642, 368, 192, 0, (False, False)),
]


@pytest.mark.parametrize(("height", "width", "size", "aux_size", "which"), HALVED)
def test_images_of_a_halved_frame_are_means_too(make_settings, height, width, size, aux_size, which):
    settings = make_settings(scales=(size, 2 * size), grid=size // 16, aux_size=aux_size)
    rough, smooth = noise(height, width), cv2.GaussianBlur(noise(height, width), (0, 0), 3)
    for pixels, limit in ((rough, 255 * (size / height + size / width)), (smooth, 3)):  # levels: at most half a pair at each edge
        images = frame_images(Frame(pixels), settings)
        exact = glance_image(Frame(pixels), settings), aux_image(Frame(pixels), settings) if aux_size else None
        for image, mean, made_from_half in zip(images, exact, which, strict=True):
            if mean is not None:
                levels = (image - mean) * 127.5
                assert np.abs(levels).max() <= limit and abs(levels.mean()) < 0.3  # OpenCV rounds halves of a level up: 0.125 a time
                assert pixels is smooth or made_from_half == (np.abs(levels).max() > 1.001)


@pytest.mark.parametrize("resampling", ["area", "bicubic"])
def test_images_can_be_written_in_place(make_settings, resampling):
    frame, settings = Frame(noise(367, 641)), make_settings(scales=(96, 192), grid=6, aux_size=288, resampling=resampling)
    fresh = frame_images(frame, settings)
    held = tuple(np.full_like(image, np.nan) for image in fresh)
    written = frame_images(frame, settings, held)
    for image, kept, expected in zip(written, held, fresh, strict=True):
        assert image is kept
        np.testing.assert_array_equal(image, expected)
