"""What a camera message carries -> Frame. No ROS import: the functions take the plain fields of Image and CompressedImage.

Sources: sensor_msgs/msg/Image.msg and CompressedImage.msg, sensor_msgs/image_encodings.hpp; ISO/IEC 15948 (PNG); ITU-T T.81 (JPEG).
"""

import cv2
import numpy as np

from .errors import FrameError
from .frame import MAX_SIDE, MIN_SIDE, Frame

# Encoding -> (bytes a pixel, OpenCV conversion to BGR or None where it is BGR already).
# OpenCV names a Bayer pattern by the second row's second and third pixel, ROS by the first row's first two and the second row's:
# ROS rggb is OpenCV's BG. UYVY and YUY2 hold BT.601 values in video range, as OpenCV reads them.
ENCODINGS = {
    "bgr8": (3, None),
    "rgb8": (3, cv2.COLOR_RGB2BGR),
    "bgra8": (4, cv2.COLOR_BGRA2BGR),
    "rgba8": (4, cv2.COLOR_RGBA2BGR),
    "mono8": (1, cv2.COLOR_GRAY2BGR),
    "yuv422": (2, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2BGR_YUY2),
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2BGR),
}

PNG_START, JPEG_START = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
JPEG_FRAME_MARKERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # start of frame: those three are tables and a reserved code (B.1.1.3)
JPEG_SCAN, JPEG_END = 0xDA, b"\xff\xd9"


def decode_image(height, width, encoding, is_bigendian, step, data, stamp_ns=0, frame_id="") -> Frame:
    """The fields of sensor_msgs/Image -> Frame.

    bgr8 is viewed in place (the frame keeps `data` alive); padded rows (step > width * bytes a pixel) are read through a view of that step.

    Args:
        height, width: px. encoding: a key of ENCODINGS. step: bytes a row. data: a buffer of step * height bytes.
        is_bigendian: not used: every supported encoding is made of single bytes.

    Raises FrameError: unknown encoding, size out of range, step or data that does not fit the size.
    """
    if encoding not in ENCODINGS:
        raise FrameError(f"image encoding {_short(encoding)} is not supported; publish one of {', '.join(ENCODINGS)}")
    _check_size(height, width)
    channels, conversion = ENCODINGS[encoding]
    if channels == 2 and width % 2:
        raise FrameError(
            f"image of encoding {encoding!r} is {width} pixels wide where pairs of pixels share their colour; use an even width"
        )
    row = width * channels
    if step < row:
        raise FrameError(
            f"image step is {step} bytes where a row of {width} {encoding!r} pixels takes {row}; publish the bytes of a row as step"
        )
    flat = np.frombuffer(data, np.uint8)
    if flat.size != step * height:
        raise FrameError(
            f"image data is {flat.size} bytes where step {step} times height {height} is {step * height}; publish every row in full"
        )
    pixels = flat.reshape(height, step)[:, :row]
    if channels > 1:
        pixels = np.lib.stride_tricks.as_strided(pixels, (height, width, channels), (step, channels, 1), writeable=False)
    return Frame(pixels if conversion is None else cv2.cvtColor(pixels, conversion), stamp_ns, frame_id)


def decode_compressed(data, format="", stamp_ns=0, frame_id="", upright=False) -> Frame:
    """The fields of sensor_msgs/CompressedImage -> Frame. JPEG or PNG, by the data's own first bytes: drivers write `format` in many ways.

    The size is read from the header and checked before anything is decoded, so that a small file that claims 20000 x 20000 costs nothing.
    A camera's pixels stay as they were stored, as boxes and camera_info are about the stored picture; upright=True applies an EXIF
    orientation, which is right for a photograph in a file.

    Raises FrameError: another format, size out of range, truncated or damaged data.
    """
    flat = np.frombuffer(data, np.uint8)
    head = flat[:8].tobytes()
    if "compresseddepth" in str(format).lower():
        raise FrameError(f"compressed image of format {_short(format)} is depth; subscribe to the camera's colour image")
    if head == PNG_START:
        kind, size, whole = "PNG", _png_size(flat), _png_ends(flat)
    elif head.startswith(JPEG_START):
        kind, (size, whole) = "JPEG", _read_jpeg(flat)
    else:
        raise FrameError(
            f"compressed image of format {_short(format)} starts with bytes {head.hex(' ') or 'none'}, which is neither JPEG nor PNG; "
            "publish one of the two"
        )
    if size is None:
        raise FrameError(
            f"{kind} data of {flat.size} bytes has no picture size in its header; it is truncated or damaged, so send the image again"
        )
    _check_size(*size)
    if not whole:
        raise FrameError(f"{kind} data of {flat.size} bytes stops before its end; it is truncated, so send the whole image")
    try:
        pixels = cv2.imdecode(flat, cv2.IMREAD_COLOR | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION))
    except cv2.error as error:
        raise FrameError(
            f"{kind} data of {flat.size} bytes cannot be decoded ({error.err}); it is damaged, so send the image again"
        ) from error
    if pixels is None:
        raise FrameError(f"{kind} data of {flat.size} bytes cannot be decoded; it is damaged, so send the image again")
    return Frame(pixels, stamp_ns, frame_id)


def _check_size(height, width):
    """Before any pixel is touched: Frame checks it too, but only once there are pixels."""
    if not (MIN_SIDE <= height <= MAX_SIDE and MIN_SIDE <= width <= MAX_SIDE):
        raise FrameError(
            f"image is {width} x {height} pixels where each side must be {MIN_SIDE} to {MAX_SIDE}; crop, pad or resize it first"
        )


def _png_size(flat):
    """(height, width) of a PNG, or None: IHDR is always the first chunk, at byte 8."""
    header = flat[8:24].tobytes()
    if len(header) < 16 or header[4:8] != b"IHDR":
        return None
    return int.from_bytes(header[12:16], "big"), int.from_bytes(header[8:12], "big")


def _png_ends(flat):
    """Whether the chunks of a PNG reach IEND."""
    at = 8
    while at + 12 <= flat.size:
        length, name = int.from_bytes(flat[at : at + 4].tobytes(), "big"), flat[at + 4 : at + 8].tobytes()
        at += 12 + length
        if name == b"IEND":
            return at <= flat.size
    return False


def _read_jpeg(flat):
    """((height, width) | None, whether it ends) of a JPEG, by walking its segments (T.81 B.2).

    libjpeg paints the missing part of a truncated file grey and calls it a success, so the end marker is looked for here: inside a scan
    the byte ff is always stuffed, so that ff d9 after the first scan's header can only be the end. Bytes after it (cameras pad) are let be.
    """
    at, size = 2, None
    while at + 4 <= flat.size:
        if flat[at] != 0xFF:
            return size, False
        marker = int(flat[at + 1])
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # no length
            at += 2
            continue
        length = int(flat[at + 2]) << 8 | int(flat[at + 3])
        if length < 2:
            return size, False
        if marker in JPEG_FRAME_MARKERS:
            fields = flat[at + 4 : at + 9].tobytes()
            if len(fields) < 5:
                return None, False
            size = int.from_bytes(fields[1:3], "big"), int.from_bytes(fields[3:5], "big")
        if marker == JPEG_SCAN:
            return size, flat[at + 2 + length :].tobytes().rfind(JPEG_END) >= 0
        at += 2 + length
    return size, False


def _short(text):
    """A value of a message for an error sentence: quoted, escaped, at most 40 characters."""
    text = str(text)
    return repr(text if len(text) <= 40 else text[:37] + "...")
