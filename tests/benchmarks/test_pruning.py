"""The rivals that prune keep what they say, and keep everything where nothing is to go."""

import pytest

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def model():
    """(blocks, x [1, 64, D]) of a tiny random backbone."""
    from benchmarks import models
    from ps3_training.model import PS3, PS3Config

    torch.manual_seed(0)
    vision = PS3(PS3Config.from_dict(models.config_of("smoke"))).eval().vision_model
    with torch.inference_mode():
        yield vision.trunk.blocks, torch.randn(1, 64, vision.dim)


@pytest.mark.parametrize("way", ["visionzip", "fastv", "tome"])
@pytest.mark.parametrize("count", [32, 13])
def test_so_many_tokens_are_kept(model, way, count):
    from benchmarks.pruning import WAYS

    with torch.inference_mode():
        assert WAYS[way](*model, count).shape == (1, count, 64)


@pytest.mark.parametrize("way", ["visionzip", "fastv", "tome"])
def test_keeping_all_is_the_full_encoder(model, way):
    from benchmarks.pruning import WAYS, full

    with torch.inference_mode():
        torch.testing.assert_close(WAYS[way](*model, 64), full(*model, 64), atol=1e-4, rtol=1e-4)


def test_merging_is_a_mean_of_what_was_merged(model):
    from benchmarks.pruning import merge

    x = torch.arange(8.0)[None, :, None]
    keys = torch.eye(4).repeat_interleave(2, dim=0)  # tokens 0 and 1 are alike, 2 and 3, ...
    merged, sizes = merge(x, torch.ones(8), keys, 2)
    assert merged.shape == (1, 6, 1) and sizes.sum() == 8
    assert (merged[0, :, 0] * sizes).sum() == x.sum()
    assert sorted(sizes.tolist()) == [1, 1, 1, 1, 2, 2]


def test_attended_sums_to_one(model):
    from benchmarks.pruning import attended

    with torch.inference_mode():
        scores = attended(model[0][0], model[1])
    assert scores.shape == (64,) and float(scores.sum()) == pytest.approx(1, abs=1e-5)


def test_the_program_runs_through(tmp_path, monkeypatch, capsys):
    from benchmarks import pruning, report

    monkeypatch.setattr(report, "RESULTS", tmp_path)
    assert pruning.main(["--quick", "--threads", "1"]) == 0
    assert (tmp_path / "pruning-smoke.json").is_file() and "tome" in capsys.readouterr().out
