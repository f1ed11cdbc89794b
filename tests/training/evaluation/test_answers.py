"""Answers under conditions: the robot's own where nothing is left out, and what each condition leaves out."""

import dataclasses
import shutil

import numpy as np
import pytest

from ps3_ros.ask import Asker
from ps3_ros.bundle import load_bundle, write_manifest
from ps3_ros.errors import BackendError
from ps3_ros.frame import Frame
from ps3_training.evaluation.answers import Condition, choose_maps, replies, under, variants
from ps3_training.evaluation.torch_backend import open_model


@pytest.fixture(scope="module")
def frame():
    return Frame(np.random.default_rng(1).integers(0, 256, (360, 640, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return open_model(tiny_bundle, threads=1)


@pytest.fixture(scope="module")
def checkpoint(tiny_checkpoint):
    return open_model(tiny_checkpoint, threads=1, device="cpu")


def boxes(reply):
    return [(region.box, region.score) for region in reply.regions]


@pytest.fixture(scope="module")
def close_bundle(tiny_bundle, tmp_path_factory):
    """Patches chosen by a fine map, and two close-ups a look."""
    folder = shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("bundles") / "close")
    manifest = load_bundle(folder).manifest
    write_manifest(folder, dataclasses.replace(manifest, settings=dataclasses.replace(manifest.settings, fine_selection=True, close_ups=2)))
    return folder


@pytest.mark.parametrize("folder", ["tiny_bundle", "close_bundle"])
def test_looks_in_a_row_are_the_robots_answers(folder, frame, request):
    asker = Asker(request.getfixturevalue(folder), threads=1)
    bundle = asker.encoder
    asker.set_frame(frame)
    conditions = [Condition(str(looks), looks) for looks in (2, 1, 4)]
    for condition, reply in zip(conditions, replies(bundle, bundle.glance(frame), ["a mug"], conditions), strict=True):
        answer = asker.ask("a mug", looks=condition.looks)
        assert boxes(reply) == [(region.box, region.score) for region in answer.regions]
        assert reply.patches == answer.patches_used
    (reply,) = replies(bundle, bundle.glance(frame), ["a mug"], [Condition("few", tokens=300)])
    assert boxes(reply) == [(region.box, region.score) for region in asker.ask("a mug", tokens=300).regions]


def test_torch_answers_as_the_exported_bundle(bundle, checkpoint, frame):
    first, second = (replies(model, model.glance(frame), ["stop sign"], [Condition("base")])[0] for model in (bundle, checkpoint))
    assert first.regions[0].box == second.regions[0].box
    assert first.regions[0].score == pytest.approx(second.regions[0].score, abs=1e-3)
    assert np.allclose(bundle.saliency(bundle.glance(frame)), checkpoint.saliency(checkpoint.glance(frame)), atol=1e-4)


def test_what_variants_leave_out(bundle, checkpoint, frame):
    assert set(variants(checkpoint)) - set(variants(bundle)) == {"no-lowres-cache"}
    glance = checkpoint.glance(frame)
    no_cache = under(glance, Condition("x", cache=False))
    assert no_cache.kv.shape[-2] == 0 and glance.kv.shape[-2] > 0
    with_, without = (replies(checkpoint, glance, ["a mug"], [Condition("x", cache=cache)])[0] for cache in (True, False))
    assert boxes(with_) != boxes(without)
    one = under(glance, Condition("x", scales=(2,)))
    assert [grid.scale for grid in one.plan.grids] == [640]
    assert replies(checkpoint, glance, ["a mug"], [Condition("x", scales=(2,))])[0].patches == checkpoint.settings.max_patches
    vectors = checkpoint.text(["a mug"])
    maps = [choose_maps(checkpoint, glance, vectors, how)[0] for how in ("top-down", "bottom-up", "random", "no-aux")]
    assert all(a.shape == maps[0].shape and not np.allclose(a, maps[0]) for a in maps[1:])


def test_every_patch_of_a_coarse_top_scale_can_be_looked_at(bundle, frame):
    glance = bundle.glance(frame)
    plan = under(glance, Condition("x", scales=(0,))).plan
    few, many = replies(bundle, glance, ["a mug"], [Condition("1", 1, scales=(0,)), Condition("8", 8, scales=(0,))])
    assert few.patches <= many.patches == plan.grids[0].patches  # later looks find nothing left, and that is no error


def test_a_bundle_cannot_leave_out_its_cache(bundle, frame):
    with pytest.raises(BackendError, match="evaluate the checkpoint"):
        under(bundle.glance(frame), Condition("x", cache=False))
