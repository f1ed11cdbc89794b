"""The bundles that the repository ships: whole, small enough, and right about what anyone would try first."""

import json
from pathlib import Path

import pytest

from ps3_ros.ask import Asker
from ps3_ros.bundle import load_bundle
from ps3_ros.media import read_picture

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 50e6
SHIPPED = sorted(path.parent for path in ROOT.glob("engines/*/manifest.json"))


@pytest.fixture(scope="module")
def street():
    """(Frame, {query: boxes}) of the driving sample."""
    samples = ROOT / "samples"
    queries = json.loads((samples / "street.json").read_text(encoding="utf-8"))["queries"]
    return read_picture(samples / "street.jpg"), {entry["query"]: entry["boxes"] for entry in queries}


def test_both_precisions_are_there():
    if not (ROOT / "engines").is_dir():
        pytest.skip("bundles are in the source tree only")
    assert {load_bundle(folder).manifest.precision for folder in SHIPPED} == {"fp32", "int8"}


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_a_shipped_bundle_is_small_and_sees_the_stop_sign(folder, street):
    bundle = load_bundle(folder)
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MOST_BYTES
    assert bundle.manifest.license["weights"] == "Apache-2.0" or bundle.manifest.license["weights"].startswith("Apache-2.0;")
    assert not bundle.manifest.drift
    frame, boxes = street
    asker = Asker(bundle, threads=2)
    asker.set_frame(frame)
    answer = asker.ask("stop sign")
    x1, y1, x2, y2 = answer.regions[0].box
    (left, top, right, bottom) = boxes["stop sign"][0]
    assert answer.found and left < (x1 + x2) / 2 < right and top < (y1 + y2) / 2 < bottom
    assert not boxes["ambulance"] and not asker.ask("ambulance").found
