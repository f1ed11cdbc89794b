"""Parity with the reference on every golden case (shared/golden, its README): 1e-4 relative to the tensor's largest value, float32.

Which of several equally likely patches top-k takes differs by platform, so selected sets are compared up to ties at the cut, and
features with the golden's own selection forced on stage 3. Where a case has several looks, its golden maps hold their union:
torch.topk on the golden probabilities tells the looks apart, as it did in the reference.
"""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ps3_training.model import PS3
from ps3_training.model.selection import look_schedule, share_budget

TOLERANCE = 1e-4
TIE = 1e-5  # probabilities of one cell are one number; this allows for another order of sums

ROOT = Path(__file__).resolve().parents[3]
PLACES = [Path(p) for p in (os.environ.get("PS3_GOLDEN"), ROOT.parent / "shared" / "golden", ROOT / "shared" / "golden") if p]
GOLDEN = next((p for p in PLACES if p.is_dir()), None)
FOLDERS = sorted(p.parent for p in GOLDEN.glob("*/golden.json")) if GOLDEN else []
CASES = [(folder, name) for folder in FOLDERS for name in json.loads((folder / "golden.json").read_text())["cases"]]

pytestmark = pytest.mark.skipif(GOLDEN is None, reason="the golden vectors are not beside this clone; name their folder in PS3_GOLDEN")


@pytest.fixture(scope="module")
def folders():
    """{folder: (model, golden tensors, golden.json)}"""
    torch.set_num_threads(1)
    return {f: (PS3.from_pretrained(f), load_file(f / "golden.safetensors"), json.loads((f / "golden.json").read_text())) for f in FOLDERS}


def test_golden_folder_holds_cases():
    assert len(CASES) >= 42, f"{GOLDEN} holds {len(CASES)} cases"


def images(folder: Path, names: list[str]) -> torch.Tensor:
    """float32 [B, 3, H, W] as the golden README says: RGB / 255 * 2 - 1"""
    pixels = np.stack([cv2.imread(str(folder / f"{name}.png"))[..., ::-1] for name in names])
    return torch.from_numpy(pixels.copy()).permute(0, 3, 1, 2).float() / 255 * 2 - 1


def arguments(case: str, values: dict, golden: dict) -> dict:
    """golden.json names tensors only by the word "tensor"."""
    known = {
        "prompt": golden.get(f"{case}.prompt"),
        "gt_selection_maps": golden.get("gt_selection_maps"),
        "is_global_text": torch.tensor([[False], [True]]),
    }
    return {name: known[name] if value == "tensor" else value for name, value in values.items()}


def looks_of(case: str, values: dict, golden: dict, budget: tuple) -> list:
    """The golden selection of each look, as lists of maps [B, rows, cols]."""
    count = len(budget)
    union = [golden[f"{case}.selection_maps.{s}"] for s in range(count)]
    probs = [golden[f"{case}.selection_probs.{s}"] for s in range(count)]
    first = values.get("only_select_first_n_scale")
    reach = count if first is None else max(first)
    looks, tokens = values.get("num_look_close"), values.get("num_token_look_close")
    looks = 1 if looks is None and tokens is None else looks
    schedule = look_schedule(looks, tokens, sum(p[0].numel() for p in probs[:reach]), sum(budget))
    if len(schedule) == 1:
        return [union]
    taken = [torch.zeros_like(p) for p in probs]
    found = []
    for share in schedule:
        maps = [torch.zeros_like(p) for p in probs]
        for i in range(len(union[0])):
            counts = share_budget(budget, share, [int((t[i] == 0).sum()) for t in taken], first[i] if first else None)
            for s, k in enumerate(counts):
                left = (probs[s][i] * (1 - taken[s][i]) - taken[s][i]).flatten()
                maps[s][i].view(-1)[left.topk(k).indices] = 1
        taken = [t + m for t, m in zip(taken, maps, strict=True)]
        found.append(maps)
    for merged, golden_map in zip(taken, union, strict=True):
        assert torch.equal(merged.to(torch.uint8), golden_map), "this topk breaks ties otherwise: the golden looks stay unknown"
    return found


def error(found: torch.Tensor, golden: torch.Tensor) -> float:
    """Largest difference over the golden's largest value."""
    assert found.shape == golden.shape
    return ((found - golden).abs().max() / golden.abs().max()).item()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_text(folders, folder):
    model, golden, _ = folders[folder]
    with torch.no_grad():
        out = model.text_model(golden["text.ids"])
    assert error(out.text, golden["text.pooled_output"]) < TOLERANCE
    assert error(out.prompt, golden["text.prompt"]) < TOLERANCE


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_budget(folders, folder):
    model, _, cases = folders[folder]
    assert list(model.config.vision.budget) == cases["selection_budget_per_look"]


@pytest.mark.parametrize("folder, case", CASES, ids=[f"{f.name}-{c}" for f, c in CASES])
def test_case(folders, folder, case):
    model, golden, cases = folders[folder]
    expected = cases["cases"][case]
    pixels, values = images(folder, expected["images"]), arguments(case, expected["arguments"], golden)
    with torch.no_grad():
        free = model(pixels, **values)
        forced = free
        if free.selection_maps is not None:
            forced = model(pixels, **values, selection_maps=looks_of(case, values, golden, model.config.vision.budget))

    for field in ("selection_probs", "bottomup_selection_probs", "topdown_selection_probs"):
        for s in range(len(expected.get(field, []))):
            assert error(getattr(free, field)[s], golden[f"{case}.{field}.{s}"]) < TOLERANCE, field

    assert (free.selection_maps is None) == ("selection_maps" not in expected)
    for s in range(len(expected.get("selection_maps", []))):
        ours, theirs = free.selection_maps[s].bool(), golden[f"{case}.selection_maps.{s}"].bool()
        probs = golden[f"{case}.selection_probs.{s}"]
        for i in range(len(ours)):
            assert ours[i].sum() == theirs[i].sum()
            # Patches that only one of the two took lie at the cut: they are as likely as the least likely that the reference took.
            if (ours[i] != theirs[i]).any():
                assert (probs[i][ours[i] != theirs[i]] - probs[i][theirs[i]].min()).abs().max() < TIE

    compared = [field for field in ("last_hidden_state", "pooled_output") if field in expected]
    assert compared
    for field in compared:
        assert getattr(free, field).shape == torch.Size(expected[field])
        assert error(getattr(forced, field), golden[f"{case}.{field}"]) < TOLERANCE, field
