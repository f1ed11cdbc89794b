"""The same curation on Ray Data, where it is installed (extra `ray`): two tasks on this machine."""

import json

import pytest

from ps3_ros.errors import Ps3Error
from ps3_training.data import shards
from ps3_training.data.curate.ray_run import ShardTask, curate_with_ray, plan
from ps3_training.data.curate.recipe import Recipe
from ps3_training.data.curate.regions import RegionSettings

SEGMENTER = """
from ps3_training.data.curate.segment import Mask

class Middle:
    def __call__(self, image):
        return [Mask((10, 10, 60, 60), 2500.0, 1.0)]
"""


@pytest.fixture
def recipe(model, tmp_path, monkeypatch):
    (tmp_path / "middle_segmenter.py").write_text(SEGMENTER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Recipe(segmenter="middle_segmenter:Middle", ocr=False, server=model.url, model="m")


def test_the_plan_keeps_its_shards_and_adds_new_pictures_at_the_end(pictures, tmp_path):
    first = plan(pictures, tmp_path / "out", per_shard=3)
    assert [len(p) for _, p in first] == [3, 1]
    (pictures / "0.jpg").write_bytes((pictures / "a.jpg").read_bytes())  # sorts before all others
    assert plan(pictures, tmp_path / "out", per_shard=3)[:2] == first and len(plan(pictures, tmp_path / "out", 3)) == 3


def test_a_task_writes_its_own_shard_and_does_nothing_twice(pictures, tmp_path, recipe, model):
    task = ShardTask(recipe, tmp_path / "out", RegionSettings())
    lines = [json.dumps(shard) for shard in plan(pictures, tmp_path / "out", per_shard=2)]
    rows = task({"shard": lines})
    assert sum(rows["done"]) == 3 and sum(rows["error"]) == 1 and sum(rows["shards"]) == 2
    asked = len(model.requests)
    assert task({"shard": lines}) == rows and len(model.requests) == asked
    assert sorted(p.stem for p in (tmp_path / "out" / "images").glob("*.tar")) == ["00000", "00001"]
    assert len(list(shards.read_samples(tmp_path / "out"))) == 3


def test_on_ray_itself(pictures, tmp_path, recipe):
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ps3_ros[ray]'")
    try:
        done = curate_with_ray(pictures, tmp_path / "out", recipe, workers=2, per_shard=2)
    except Ps3Error as error:
        if "Ray did not start" in str(error):  # its own processes wait at most half a minute for each other
            pytest.skip(f"{error}")
        raise
    finally:
        ray.shutdown()
    assert done == {"done": 3, "empty": 0, "error": 1, "regions": 3, "captions": 3, "shards": 2}
    assert {s.text for s in shards.read_samples(tmp_path / "out")} == {("red disc on a wall",)}
