"""Camera messages to frames: every encoding against colours that are known, and every bad field gets one sentence."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ps3_ros.errors import FrameError
from ps3_ros.image_decoding import ENCODINGS, decode_compressed, decode_image

RNG = np.random.default_rng(5)
PIXELS = RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8)  # BGR
SMOOTH = cv2.resize(RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8), (64, 48), interpolation=cv2.INTER_CUBIC)


def packed(encoding, pixels):
    """uint8 [H, W, 3] BGR -> [H, W * bytes a pixel] of a plain encoding."""
    blue, green, red = np.moveaxis(pixels, 2, 0)
    full = np.full_like(blue, 255)
    planes = {"bgr8": (blue, green, red), "rgb8": (red, green, blue), "bgra8": (blue, green, red, full), "rgba8": (red, green, blue, full)}
    return np.stack(planes[encoding], axis=-1).reshape(len(pixels), -1)


def message(encoding="bgr8", pixels=PIXELS, **fields):
    rows = packed(encoding, pixels)
    plain = {
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "encoding": encoding,
        "is_bigendian": 0,
        "step": rows.shape[1],
        "data": rows.tobytes(),
    }
    return {**plain, "stamp_ns": 7, "frame_id": "cam", **fields}


@pytest.mark.parametrize("encoding", ["bgr8", "rgb8", "bgra8", "rgba8"])
@pytest.mark.parametrize("padding", [0, 1, 13])
def test_plain_encodings_are_exact_with_and_without_padded_rows(encoding, padding):
    rows = np.pad(packed(encoding, PIXELS), ((0, 0), (0, padding)), constant_values=99)
    frame = decode_image(**message(encoding, step=rows.shape[1], data=rows.tobytes()))
    np.testing.assert_array_equal(frame.pixels, PIXELS)
    assert (frame.stamp_ns, frame.frame_id) == (7, "cam")


def test_bgr8_is_viewed_in_place():
    data = bytearray(PIXELS.tobytes())
    frame = decode_image(**message(data=data))
    assert np.shares_memory(frame.pixels, np.frombuffer(data, np.uint8))


def test_mono8_repeats_grey():
    frame = decode_image(**{**message(), "encoding": "mono8", "step": 64, "data": PIXELS[..., 0].tobytes()})
    np.testing.assert_array_equal(frame.pixels, np.repeat(PIXELS[..., :1], 3, axis=2))


BAYER = {
    "bayer_rggb8": "RGGB",
    "bayer_bggr8": "BGGR",
    "bayer_gbrg8": "GBRG",
    "bayer_grbg8": "GRBG",
}  # ROS: first row's two pixels, then the second's


@pytest.mark.parametrize(("encoding", "pattern"), BAYER.items())
def test_bayer_patterns_give_the_colours_that_made_the_mosaic(encoding, pattern):
    mosaic = np.empty((48, 64), np.uint8)
    for n, colour in enumerate(pattern):
        y, x = divmod(n, 2)
        mosaic[y::2, x::2] = SMOOTH[y::2, x::2, "BGR".index(colour)]
    frame = decode_image(**{**message(), "encoding": encoding, "step": 64, "data": mosaic.tobytes()})
    inner = np.abs(frame.pixels.astype(int) - SMOOTH)[4:-4, 4:-4]
    assert inner.mean() < 2.5, "demosaicing a smooth picture is off by 2.5 grey levels at most on average; a swapped pattern by tens"


@pytest.mark.parametrize("encoding", ["yuv422", "yuv422_yuy2"])
def test_yuv422_gives_the_colours_that_made_it(encoding):
    """BT.601 in video range, by its own formula: Y = 16 + 65.481 R + 128.553 G + 24.966 B for R, G, B in [0, 1], and so on."""
    blue, green, red = np.moveaxis(np.repeat(SMOOTH[:, ::2], 2, axis=1) / 255, 2, 0)
    y = 16 + 65.481 * red + 128.553 * green + 24.966 * blue
    u = 128 - 37.797 * red - 74.203 * green + 112.0 * blue
    v = 128 + 112.0 * red - 93.786 * green - 18.214 * blue
    pair = {"yuv422": (u, y, v, y), "yuv422_yuy2": (y, u, y, v)}[encoding]
    data = np.stack([p[:, n // 2 :: 2] if p is y else p[:, ::2] for n, p in enumerate(pair)], axis=-1)
    frame = decode_image(**{**message(), "encoding": encoding, "step": 128, "data": np.rint(data).astype(np.uint8).tobytes()})
    expected = np.repeat(SMOOTH[:, ::2], 2, axis=1).astype(int)
    assert np.abs(frame.pixels - expected).max() <= 4, "rounding of three 8-bit values each way"


BAD = [
    ({"encoding": "mono16"}, "'mono16' is not supported; publish one of bgr8, rgb8, bgra8"),
    ({"encoding": ""}, "'' is not supported"),
    ({"encoding": "x" * 500}, "xxx...' is not supported"),
    ({"step": 191}, "step is 191 bytes where a row of 64 'bgr8' pixels takes 192"),
    ({"step": 0}, "step is 0 bytes"),
    ({"step": 193}, "data is 9216 bytes where step 193 times height 48 is 9264"),
    ({"data": b""}, "data is 0 bytes where step 192 times height 48 is 9216"),
    ({"data": PIXELS.tobytes()[:-1]}, "data is 9215 bytes"),
    ({"data": PIXELS.tobytes() + b"x"}, "data is 9217 bytes"),
    ({"height": 0}, "image is 64 x 0 pixels where each side must be 32 to 16384"),
    ({"height": 1, "width": 1, "step": 3, "data": b"abc"}, "image is 1 x 1 pixels"),
    ({"height": 20000, "width": 20000, "step": 60000}, "image is 20000 x 20000 pixels"),
    ({"encoding": "yuv422", "width": 63, "step": 126}, "63 pixels wide where pairs of pixels share their colour"),
    ({"stamp_ns": -1}, "stamp -1 where nanoseconds"),
]


@pytest.mark.parametrize(("fields", "sentence"), BAD)
def test_each_bad_field_gets_a_sentence_with_its_value(fields, sentence):
    with pytest.raises(FrameError) as caught:
        decode_image(**{**message(), **fields})
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def png(height, width, body=b""):
    """The head of a PNG that claims a size, and a body that may not keep it."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + ihdr + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def encoded(ending, pixels=SMOOTH, *options):
    return cv2.imencode(ending, pixels, list(options))[1].tobytes()


def test_png_is_exact_and_jpeg_is_close():
    np.testing.assert_array_equal(decode_compressed(encoded(".png"), "png", 7, "cam").pixels, SMOOTH)
    frame = decode_compressed(encoded(".jpg", SMOOTH, cv2.IMWRITE_JPEG_QUALITY, 95), "bgr8; jpeg compressed bgr8", 7, "cam")
    assert np.abs(frame.pixels.astype(int) - SMOOTH).mean() < 4, "quality 95 with halved colour on a smooth picture"
    assert (frame.stamp_ns, frame.frame_id) == (7, "cam")


def test_progressive_jpeg_jpeg_with_bytes_after_its_end_and_a_grey_png_are_read():
    progressive = encoded(".jpg", SMOOTH, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert decode_compressed(progressive, "jpeg").pixels.shape == (48, 64, 3)
    assert decode_compressed(encoded(".jpg") + bytes(1000), "jpeg").pixels.shape == (48, 64, 3)
    assert decode_compressed(encoded(".png", SMOOTH[..., 0]), "png").pixels.shape == (48, 64, 3)


def test_an_exif_orientation_is_not_applied():
    tiff = (
        b"MM\x00*\x00\x00\x00\x08" + b"\x00\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + b"\x00\x00\x00\x00"
    )  # 6: turn by 90 degrees
    exif = b"Exif\x00\x00" + tiff
    plain = encoded(".jpg")
    turned = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape == (64, 48, 3), "OpenCV itself turns it"
    assert decode_compressed(turned, "jpeg").pixels.shape == (48, 64, 3)


@pytest.mark.parametrize("ending", [".jpg", ".png"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_truncated_data_is_refused(ending, part):
    data = encoded(ending, PIXELS)
    with pytest.raises(FrameError, match="truncated"):
        decode_compressed(data[: int(len(data) * part)], ending[1:])


def test_a_truncated_jpeg_with_a_thumbnail_is_refused():
    """The thumbnail in its header has an end marker of its own."""
    plain, thumbnail = encoded(".jpg", PIXELS), encoded(".jpg", SMOOTH[:32, :32])
    whole = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + plain[2:]
    assert decode_compressed(whole, "jpeg").pixels.shape == (48, 64, 3)
    with pytest.raises(FrameError, match="truncated"):
        decode_compressed(whole[:-100], "jpeg")


BAD_COMPRESSED = [
    (b"", "jpeg", "starts with bytes none, which is neither JPEG nor PNG"),
    (b"GIF89a" + bytes(50), "gif", "format 'gif' starts with bytes 47 49 46"),
    (png(48, 64)[:20], "png", "no picture size in its header"),
    (png(1, 1), "png", "image is 1 x 1 pixels"),
    (png(20000, 20000, zlib.compress(bytes(10**6))), "png", "image is 20000 x 20000 pixels"),
    (png(48, 64, b"not deflate"), "png", "cannot be decoded"),
    (encoded(".png"), "16UC1; compressedDepth png", "is depth"),
    (b"\xff\xd8\xff\xe0" + bytes(3), "jpeg", "no picture size"),
]


@pytest.mark.parametrize(("data", "format", "sentence"), BAD_COMPRESSED)
def test_each_bad_compressed_image_gets_a_sentence(data, format, sentence):
    with pytest.raises(FrameError) as caught:
        decode_compressed(data, format)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch):
    def decode(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", decode)
    header = encoded(".jpg")
    at = header.index(b"\xff\xc0") + 5
    bomb = header[:at] + struct.pack(">HH", 20000, 20000) + header[at + 4 :]
    for data in (bomb, png(20000, 20000, zlib.compress(bytes(10**6)))):
        with pytest.raises(FrameError, match="20000 x 20000"):
            decode_compressed(data, "")


@settings(max_examples=200, deadline=None)
@given(
    height=st.integers(0, 2**32 - 1) | st.integers(30, 40),
    width=st.integers(0, 2**32 - 1) | st.integers(30, 40),
    encoding=st.sampled_from(sorted(ENCODINGS)) | st.text(max_size=20),
    step=st.integers(0, 2**32 - 1) | st.integers(30, 200),
    size=st.integers(0, 10_000),
)
def test_any_image_fields_give_a_frame_or_a_sentence(height, width, encoding, step, size):
    try:
        frame = decode_image(height, width, encoding, 0, step, bytes(size), 0, "cam")
    except FrameError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 400
    else:
        assert frame.pixels.shape == (height, width, 3)


@settings(max_examples=200, deadline=None)
@given(
    data=st.binary(max_size=200),
    start=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]),
    cut=st.integers(0, 2000),
    flip=st.integers(0, 2000),
)
def test_any_compressed_bytes_give_a_frame_or_a_sentence(data, start, cut, flip):
    whole = bytearray(encoded(".jpg"))
    whole[flip % len(whole)] ^= 0x55
    for candidate in (start + data, bytes(whole), bytes(whole[: cut % len(whole)])):
        try:
            frame = decode_compressed(candidate, "jpeg")
        except FrameError as error:
            assert "\n" not in str(error)
        else:
            assert frame.pixels.ndim == 3
