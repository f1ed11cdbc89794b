"""Selection against a plain slow version on random input, against the reference's golden maps, and its priors."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ps3_ros.bundle import Settings
from ps3_ros.errors import QueryError
from ps3_ros.frame import FramePlan
from ps3_ros.selection import Guide, Selection, adaptive_max, combine_prior, relevance_map, select, select_guided

GOLDEN = Path(os.environ.get("PS3_GOLDEN", Path(__file__).parents[3] / "shared" / "golden"))


def small_settings(scales=(64, 128, 256, 640), patch=16, geometry="native", max_patches=256):
    return Settings(
        scales=scales, patch=patch, grid=scales[0] // patch, dim=8, embed_dim=8, layers=1, heads=1, aux_size=0, aux_grid=0, aux_dim=0,
        max_patches=max_patches, mean=(0.5,) * 3, std=(0.5,) * 3, geometry=geometry, resampling="area", logit_scale=1.0, logit_bias=0.0,
        found_threshold=0.5, relevance_threshold=0.5, context_length=16, pad_id=0, fixed_length=False,
    )  # fmt: skip


def plain_select(relevance, plan, shares, taken):
    """What `select` does, written without any care for time: sort every patch by (-relevance of its cell, cell, patch)."""
    out = []
    for s, (grid, share) in enumerate(zip(plan.grids, shares, strict=True)):
        g = plan.settings.grid
        keys = []
        for patch in range(grid.patches):
            row, col = divmod(patch, grid.cols)
            i, j = row * g // grid.rows, col * g // grid.cols
            if patch not in taken[s]:
                keys.append((-relevance[i, j], i * g + j, patch))
        out.append(sorted(patch for _, _, patch in sorted(keys)[:share]))
    return out


@st.composite
def cases(draw):
    height, width = draw(st.integers(32, 700)), draw(st.integers(32, 700))
    geometry = draw(st.sampled_from(["native", "reference"]))
    plan = FramePlan.of(height, width, small_settings(geometry=geometry, max_patches=draw(st.integers(1, 400))))
    levels = draw(st.integers(1, 12))  # few levels make ties
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return plan, (rng.integers(0, levels, (4, 4)) / levels).astype(np.float32), draw(st.integers(1, 4))


@settings(max_examples=40, deadline=None)
@given(cases())
def test_select_is_the_plain_version_over_several_looks(case):
    plan, relevance, looks = case
    taken = Selection.none(plan)
    for _ in range(looks):
        chosen = select(relevance, plan, plan.settings.max_patches, taken)
        shares = [len(p) for p in chosen.patches]
        assert sum(shares) <= plan.settings.max_patches
        expected = plain_select(relevance, plan, shares, [set(p.tolist()) for p in taken.patches])
        assert [p.tolist() for p in chosen.patches] == expected
        assert all(p.dtype == np.int64 for p in chosen.patches)
        taken = taken.union(chosen)
    assert all(len(np.unique(p)) == len(p) for p in taken.patches)


def test_looks_go_on_until_nothing_is_left():
    plan = FramePlan.of(480, 640, small_settings())
    relevance, taken, looks = np.random.default_rng(0).random((4, 4)), Selection.none(plan), 0
    while (chosen := select(relevance, plan, 256, taken)).count:
        taken, looks = taken.union(chosen), looks + 1
    assert [len(p) for p in taken.patches] == [g.patches for g in plan.grids]
    assert looks >= taken.count / 256


def test_ties_are_broken_by_index():
    plan = FramePlan.of(640, 640, small_settings(max_patches=120))
    chosen = select(np.ones((4, 4), np.float32), plan, 120)
    assert [len(p) for p in chosen.patches] == [4, 16, 100]
    assert chosen.patches[0].tolist() == [0, 1, 8, 9]  # the first cell's 2 x 2
    assert chosen.patches[2].tolist() == [r * 40 + c for r in range(10) for c in range(10)]  # the first cell's 10 x 10


def test_a_4k_look_at_one_cell_is_that_cell(make_settings):
    plan = FramePlan.of(2160, 3840, make_settings())
    relevance = np.zeros((24, 24), np.float32)
    relevance[5, 7] = 1
    chosen = select(relevance, plan, 60)
    assert [len(p) for p in chosen.patches] == [2, 8, 50]
    row_cell, col_cell = plan.cell_of(2)
    row, col = np.divmod(chosen.patches[2], 240)
    assert set(row_cell[row]) == {5} and set(col_cell[col]) == {7}


def test_tokens_make_a_smaller_look():
    plan = FramePlan.of(640, 640, small_settings())
    relevance = np.random.default_rng(0).random((4, 4))
    assert [len(p) for p in select(relevance, plan, 256, tokens=85).patches] == [2, 11, 71]


# --- relevance and priors -----------------------------------------------------------------------------------------------------------------


def test_relevance_map_is_the_formula():
    rng = np.random.default_rng(0)
    features, aux = rng.standard_normal((36, 8)).astype(np.float32), rng.standard_normal((5, 13, 13)).astype(np.float32)
    prompt, prompt_aux = rng.standard_normal(8).astype(np.float32), rng.standard_normal(5).astype(np.float32)

    def cosine(a, b):
        return float(a.astype(np.float64) @ b / np.linalg.norm(a.astype(np.float64)) / np.linalg.norm(b.astype(np.float64)))

    got = relevance_map(features, aux, prompt, prompt_aux)
    assert got.shape == (6, 6) and got.dtype == np.float32
    for i in range(6):
        for j in range(6):
            window = [
                cosine(aux[:, y, x], prompt_aux)
                for y in range(i * 13 // 6, -(-(i + 1) * 13 // 6))
                for x in range(j * 13 // 6, -(-(j + 1) * 13 // 6))
            ]
            mean = (cosine(features[6 * i + j], prompt) + max(window)) / 2
            assert got[i, j] == pytest.approx(1 / (1 + np.exp(-5 * mean)), abs=1e-6)
    alone = relevance_map(features, None, prompt, None)
    assert alone[0, 0] == pytest.approx(1 / (1 + np.exp(-5 * cosine(features[0], prompt))), abs=1e-6)


def test_relevance_of_nothing_is_even():
    assert (relevance_map(np.zeros((16, 8), np.float32), None, np.zeros(8, np.float32), None) == 0.5).all()


@pytest.mark.parametrize("size", [2, 4, 6, 13, 54])
def test_adaptive_max_is_torch(size):
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(0).random((size, size + 1)).astype(np.float32)
    expected = torch.nn.functional.adaptive_max_pool2d(torch.from_numpy(values)[None], 6)[0].numpy()
    np.testing.assert_array_equal(adaptive_max(values, 6), expected)


def test_a_prior_of_one_goes_first_whatever_its_size():
    relevance = np.full((4, 4), 0.9, np.float32)
    prior = np.zeros((480, 640))
    prior[470:475, 630:635] = 1  # a ground-truth box in the last cell
    combined = combine_prior(relevance, prior)
    assert combined[3, 3] == 1 and (combined.ravel()[:-1] == np.float32(0.9)).all()
    plan = FramePlan.of(480, 640, small_settings(max_patches=30))
    chosen = select(combined, plan, 30).patches[2]
    row_cell, col_cell = plan.cell_of(2)
    assert set(row_cell[chosen // 40]) == {3} and set(col_cell[chosen % 40]) == {3}
    assert (combine_prior(relevance, np.array([[1]], bool)) == 1).all()  # one value for the whole frame


@pytest.mark.parametrize(
    "prior", [np.zeros(4), np.zeros((0, 4)), np.full((2, 2), 1.1), np.full((2, 2), -0.1), np.full((2, 2), np.nan), [["a"]], None]
)
def test_bad_priors(prior):
    with pytest.raises(QueryError, match="prior"):
        combine_prior(np.zeros((4, 4), np.float32), prior)


# --- the reference's golden maps ----------------------------------------------------------------------------------------------------------

LOOKS = {  # case: budgets of its looks, None = full
    "bottom_up_one_look": [None],
    "bottom_up_two_looks": [None, None],
    "top_down_one_look": [None],
    "top_down_two_looks": [None, None],
    "token_budget_small": "num_token_look_close",
    "token_budget_over_one_look": "num_token_look_close",
    "batch_of_two": [None],
    "wide": [None],
    "tall": [None, None],
    "top_down_all": [None] * 20,
}


@pytest.mark.parametrize("folder", ["four_scales", "three_scales", "no_aux"])
@pytest.mark.parametrize("case", LOOKS)
def test_selection_is_the_references_up_to_ties(folder, case):
    safetensors = pytest.importorskip("safetensors.numpy")
    if not (GOLDEN / folder).is_dir():
        pytest.skip(f"no golden vectors at {GOLDEN}; set PS3_GOLDEN to their folder")
    config = json.loads((GOLDEN / folder / "config.json").read_text())["vision_config"]
    described = json.loads((GOLDEN / folder / "golden.json").read_text())
    tensors = safetensors.load_file(GOLDEN / folder / "golden.safetensors")
    scales = tuple(config["ps3_scales"])
    model = small_settings(scales=scales, geometry="reference", max_patches=config["max_select_num"])
    count = len(scales) - 1
    for image in range(tensors[f"{case}.selection_maps.0"].shape[0]):
        probs = [tensors[f"{case}.selection_probs.{s}"][image] for s in range(count)]
        maps = [tensors[f"{case}.selection_maps.{s}"][image] > 0 for s in range(count)]
        plan = FramePlan.of(*(n * model.patch for n in probs[-1].shape), model)
        assert [(g.rows, g.cols) for g in plan.grids] == [p.shape for p in probs]
        row_cell, col_cell = plan.cell_of(count - 1)
        relevance = np.full((model.grid, model.grid), np.nan, np.float32)
        relevance[row_cell[:, None], col_cell] = probs[-1]
        assert not np.isnan(relevance).any()
        for s in range(count):  # our cells are the reference's nearest neighbour
            rows, cols = plan.cell_of(s)
            np.testing.assert_array_equal(relevance[rows[:, None], cols], probs[s])
        full = sum(described["selection_budget_per_look"])
        budgets = LOOKS[case]
        if isinstance(budgets, str):
            tokens = described["cases"][case]["arguments"][budgets]
            budgets = [full] * (tokens // full) + [tokens % full]
        taken = Selection.none(plan)
        for budget in budgets:
            taken = taken.union(select(relevance, plan, model.max_patches, taken, budget))
        for s in range(count):
            ours, theirs, value = np.zeros(probs[s].size, bool), maps[s].ravel(), probs[s].ravel()
            ours[taken.patches[s]] = True
            assert ours.sum() == theirs.sum()
            cut = value[theirs].min()
            np.testing.assert_array_equal(ours[value > cut], theirs[value > cut])
            assert not ours[value < cut].any()


def test_a_finer_map_chooses_patch_by_patch():
    plan = FramePlan.of(360, 640, small_settings(max_patches=100))
    fine = np.random.default_rng(0).random((12, 12)).astype(np.float32)
    chosen = select(fine, plan, 100)
    for grid, patches in zip(plan.grids, chosen.patches, strict=True):
        shape = min(12, grid.rows), min(12, grid.cols)
        values = adaptive_max(fine.astype(np.float64), shape)
        of_patch = values[np.arange(grid.rows)[:, None] * shape[0] // grid.rows, np.arange(grid.cols) * shape[1] // grid.cols].ravel()
        assert of_patch[patches].min() >= np.delete(of_patch, patches).max(initial=0)  # none that is left would answer better
    guided = select_guided(fine, Guide(np.zeros((1, 1))), plan, 100)  # a guide that knows nothing changes nothing
    assert all(np.array_equal(a, b) for a, b in zip(chosen.patches, guided.patches, strict=True))
