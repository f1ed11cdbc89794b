import cv2
import numpy as np
import pytest

from ps3_ros.errors import FrameError
from ps3_ros.media import count_frames, read_frames, read_picture


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)


def test_a_png_comes_back_pixel_for_pixel_with_its_name(tmp_path, picture):
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    frame = read_picture(str(tmp_path / "a.png"))
    assert np.array_equal(frame.pixels, picture) and frame.frame_id == "a.png" and frame.stamp_ns > 0


def test_a_folder_is_read_in_order_and_other_files_are_left_out(tmp_path, picture):
    for name in ("b.png", "a.jpg"):
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / "notes.txt").write_text("no picture")
    assert count_frames(tmp_path) == 2
    assert [name for name, _ in read_frames(tmp_path)] == ["a", "b"]


def test_every_frame_of_a_video_is_read(tmp_path, picture):
    path = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for _ in range(5):
        writer.write(picture)
    writer.release()
    frames = list(read_frames(path))
    assert len(frames) == count_frames(path) == 5
    assert frames[3][1].frame_id == "v.avi#3"


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("missing.jpg", None, "no image at"),
        ("empty.jpg", b"", "not an image"),
        ("text.png", b"hello", "not an image"),
        ("broken.mp4", b"hello", "no frame"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_with_the_path(tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FrameError, match=says) as error:
        list(read_frames(tmp_path / name))
    assert name in str(error.value) and "\n" not in str(error.value)


def test_an_empty_folder_says_what_it_looked_for(tmp_path):
    with pytest.raises(FrameError, match="holds no images"):
        list(read_frames(tmp_path))


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_cut_off_picture_is_refused_and_not_filled_with_grey(tmp_path, picture, ending):
    whole = cv2.imencode(ending, picture)[1].tobytes()
    (tmp_path / f"cut{ending}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FrameError, match=f"cut{ending}.*truncated"):
        read_picture(tmp_path / f"cut{ending}")


def test_a_bmp_is_read_too(tmp_path, picture):
    cv2.imwrite(str(tmp_path / "a.bmp"), picture)
    assert np.array_equal(read_picture(tmp_path / "a.bmp").pixels, picture)
