"""Frames from files: one picture, a folder of pictures, or a video."""

import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ps3_ros.errors import FrameError
from ps3_ros.frame import Frame
from ps3_ros.image_decoding import JPEG_START, PNG_START, decode_compressed

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"}
VIDEOS = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v"}


def read_picture(path: Path | str) -> Frame:
    """Reads one picture as a frame stamped now, its file name as frame_id.

    Raises FrameError where the file is missing, unreadable or not a picture.
    """
    path = Path(path)
    if not path.is_file():
        raise FrameError(f"there is no image at {str(path)!r}; name an image, a video, or a folder of images")
    data = path.read_bytes()
    if data.startswith((JPEG_START, PNG_START)):  # OpenCV alone would fill what a cut-off file lacks with grey
        try:
            return decode_compressed(data, path.suffix, time.time_ns(), path.name, upright=True)
        except FrameError as error:
            raise FrameError(f"{str(path)!r}: {error}") from error
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error as error:  # a header that promises more pixels than OpenCV reads
        raise FrameError(
            f"{str(path)!r} cannot be read as an image ({str(error.err)[:120]}); give a JPEG or PNG of a common size"
        ) from error
    if pixels is None:
        raise FrameError(f"{str(path)!r} is not an image that OpenCV can read; give a JPEG, PNG, BMP, WebP or TIFF file")
    return Frame(pixels, time.time_ns(), path.name)


def count_frames(path: Path) -> int:
    """How many frames `read_frames` will give: for a progress bar; 0 where a video does not tell."""
    if path.is_dir():
        return len(_pictures_in(path))
    if path.suffix.lower() in VIDEOS:
        capture = cv2.VideoCapture(str(path))
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        capture.release()
        return max(count, 0)
    return 1


def read_frames(path: Path) -> Iterator[tuple[str, Frame]]:
    """Yields (name, frame) of one picture, of every picture in a folder (sorted), or of every frame of a video.

    Raises FrameError where there is nothing to read.
    """
    if path.is_dir():
        pictures = _pictures_in(path)
        if not pictures:
            raise FrameError(f"the folder {str(path)!r} holds no images; put {', '.join(sorted(PICTURES))} files in it or name another")
        for picture in pictures:
            yield picture.stem, read_picture(picture)
    elif path.suffix.lower() in VIDEOS:
        yield from _video_frames(path)
    else:
        yield path.stem, read_picture(path)


def _pictures_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES and p.is_file())


def _video_frames(path: Path) -> Iterator[tuple[str, Frame]]:
    if not path.is_file():
        raise FrameError(f"there is no video at {str(path)!r}; name an image, a video, or a folder of images")
    capture = cv2.VideoCapture(str(path))
    try:
        number = 0
        while True:
            more, pixels = capture.read()
            if not more:
                break
            yield f"{path.stem}-{number:06d}", Frame(pixels, time.time_ns(), f"{path.name}#{number}")
            number += 1
        if number == 0:
            raise FrameError(f"{str(path)!r} holds no frame that OpenCV can decode; re-encode it, for example as H.264 in MP4")
    finally:
        capture.release()
