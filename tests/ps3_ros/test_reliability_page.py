"""docs/reliability.md names every kind of fault that the tests make, and only tests that are there."""

import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="the faults' tables import ROS messages")
sys.path.insert(0, str(Path(__file__).parent))

import fault_kinds as faults  # noqa: E402

TESTS = Path(__file__).parent
PAGES = [(TESTS.parents[1] / "docs" / name).read_text(encoding="utf-8") for name in ("reliability.md", "security.md")]


def test_every_kind_is_in_the_table():
    tables = (
        faults.RAW,
        faults.STAMPS,
        faults.QUERIES,
        faults.PARAMETERS,
        faults.COMPRESSED,
        faults.CALIBRATIONS,
        faults.DEPTHS,
        faults.PRIORS,
        faults.REGIONS,
    )
    kinds = [kind for table in tables for kind in table if kind != "of no camera"]
    assert [kind for kind in kinds if kind not in PAGES[0]] == []
    assert len([line for line in PAGES[0].splitlines() if line.startswith("| ")]) > 25


@pytest.mark.parametrize("page", PAGES, ids=["reliability", "security"])
def test_every_test_that_is_named_is_there(page):
    named = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", page))
    assert named
    assert [f"{file}::{test}" for file, test in named if f"def {test}(" not in (TESTS / file).read_text(encoding="utf-8")] == []
