"""Decoding once: the cached pixels are the robot's own, boxes and captions survive, bad samples are named and skipped."""

import cv2
import numpy as np
import pytest

from ps3_ros.frame import Frame, FramePlan, aux_image, cut_patches, glance_image
from ps3_ros.selection import Selection
from ps3_training import cache
from ps3_training.loop import TrainingError
from ps3_training.model import settings_of

from .conftest import sample


@pytest.fixture
def settings(tiny_model):
    return settings_of(tiny_model.config)


def test_a_cached_frame_has_the_robots_pixels(settings, tmp_path):
    key, jpeg, labels = sample(1)
    assert cache.build_cache([(key, jpeg, labels)], tmp_path, settings, processes=1) == 1
    found = cache.load_frame(tmp_path, cache.read_index(tmp_path)[0])
    frame = Frame(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))
    plan = FramePlan.of(frame.height, frame.width, settings)
    assert np.allclose(cache.normalized(found.glance, settings, 0), glance_image(frame, settings)[0], atol=1e-6)
    # JPEG at quality 95: a few grey levels
    assert np.abs(cache.normalized(found.aux, settings, 0) - aux_image(frame, settings)[0]).mean() < 4 / 127.5
    for scale in range(2):
        here = (found.position >= plan.grids[scale].offset) & (found.position < plan.grids[scale].offset + plan.grids[scale].side ** 2)
        flat = np.array([i for i in range(plan.grids[scale].patches) if plan.positions(scale, np.array([i]))[0] in found.position[here]])
        chosen = [np.empty(0, np.int64)] * 2
        chosen[scale] = flat
        values = cache.normalized(found.patches[here].reshape(-1, 3, 256), settings, 1).reshape(-1, 768)
        assert np.abs(values - cut_patches(frame, plan, settings, Selection(tuple(chosen)))).max() <= 0.51 / 127.5  # half a grey level
        assert np.allclose(found.patch_boxes[here], plan.boxes(scale, flat))
    assert found.boxes.tolist() == np.array(labels["box"], np.float32).tolist()
    assert [texts[0] for texts in found.texts] == labels["text"]


def test_every_box_is_covered_by_cached_patches_and_no_area_touches_one(settings):
    key, jpeg, labels = sample(2)
    _, arrays = cache.cut_frame(key, jpeg, labels, settings, np.random.default_rng(0))
    assert (
        cache.overlap(arrays["boxes"], arrays["patch_boxes"]).sum(1)
        >= 2 * np.prod(arrays["boxes"][:, 2:] - arrays["boxes"][:, :2], axis=1) - 1
    ).all()
    assert len(arrays["areas"]) > 0
    assert (cache.overlap(arrays["areas"], arrays["boxes"]) == 0).all()


def test_a_second_run_adds_only_what_is_new(settings, tmp_path):
    cache.build_cache([sample(1)], tmp_path, settings, processes=1)
    before = (tmp_path / "frame1.safetensors").stat().st_mtime_ns
    assert cache.build_cache([sample(1), sample(2)], tmp_path, settings, processes=1) == 2
    assert (tmp_path / "frame1.safetensors").stat().st_mtime_ns == before


def test_changed_labels_are_cut_again_and_what_is_gone_is_forgotten(settings, tmp_path):
    cache.build_cache([sample(1), sample(2)], tmp_path, settings, processes=1)
    key, jpeg, labels = sample(1)
    said = {**labels, "text": ["the stop sign", *labels["text"][1:]]}
    assert cache.build_cache([(key, jpeg, said)], tmp_path, settings, processes=1) == 1
    (line,) = cache.read_index(tmp_path)
    assert line["key"] == key and line["texts"][0] == ["the stop sign"]


def test_two_processes_make_the_same_cache(settings, tmp_path):
    for processes in (1, 2):
        assert cache.build_cache([sample(i) for i in range(3)], tmp_path / str(processes), settings, processes) == 3
    one, two = ([cache.load_frame(tmp_path / str(n), line) for line in cache.read_index(tmp_path / str(n))] for n in (1, 2))
    for first, second in zip(one, two, strict=True):
        assert first.key == second.key and (first.patches == second.patches).all() and (first.areas == second.areas).all()


def test_bad_samples_are_skipped_and_named(settings, tmp_path):
    key, jpeg, labels = sample(3)
    outside = {**labels, "box": [[0, 0, 9999, 10], *labels["box"][1:]]}
    assert cache.build_cache([(key, b"no jpeg", labels), ("outside", jpeg, outside), sample(4)], tmp_path, settings, processes=1) == 1
    assert (tmp_path / "skipped.txt").read_text().splitlines() == [
        "frame3: its image cannot be decoded",
        "outside: a box lies outside the 640 x 360 frame or has no area",
    ]


def test_a_cache_for_another_model_is_refused(settings, tmp_path):
    import dataclasses

    cache.build_cache([sample(1)], tmp_path, settings, processes=1)
    with pytest.raises(TrainingError, match="was made for"):
        cache.build_cache([sample(1)], tmp_path, dataclasses.replace(settings, aux_size=160), processes=1)
    cache.check_cache(tmp_path, dataclasses.replace(settings, aux_size=0, aux_grid=0, aux_dim=0))  # needs less than there is


def test_captions_of_one_box_are_kept_together():
    boxes = np.array([[0, 0, 9, 9], [5, 5, 9, 9], [0, 0, 9, 9]], np.float32)
    merged, captions = cache.merge_captions(
        boxes, {"text": ["red mug", "key", "a cup"], "name": ["mug", "key", "mug"], "asks": ["red mug", "key", "mug"]}
    )
    assert merged.tolist() == [[0, 0, 9, 9], [5, 5, 9, 9]]
    assert captions["texts"] == [["red mug", "a cup"], ["key"]]
    assert captions["asks"] == [["red mug", "mug"], ["key"]]
    assert captions["means"] == [["mug", "red mug"], ["key"]]


def test_held_out_frames_are_a_share_and_always_the_same():
    keys = [f"train_{i:06d}" for i in range(4000)]
    first = [cache.held_out(key, 0.03) for key in keys]
    assert first == [cache.held_out(key, 0.03) for key in keys]
    assert 0.02 < np.mean(first) < 0.04
    assert not any(cache.held_out(key, 0.0) for key in keys)
