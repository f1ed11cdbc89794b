"""Shares against the reference's (shared golden figures are in test_selection.py) and against what must always hold."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ps3_ros.budget import share_budget

PLENTY = (10**6,) * 3


def grids(*scales):
    return [SimpleNamespace(scale=scale) for scale in scales]


SHARES = [  # max_patches, scales, expected
    (2560, (756, 1512, 3780), (85, 341, 2133)),
    (1024, (768, 1536, 3840), (34, 136, 853)),
    (256, (128, 256, 640), (8, 34, 213)),  # the golden four_scales
    (120, (192, 384), (24, 96)),  # the golden three_scales
]


@pytest.mark.parametrize(("max_patches", "scales", "expected"), SHARES)
def test_shares(max_patches, scales, expected):
    assert share_budget(max_patches, grids(*scales), PLENTY[: len(scales)]) == expected


SMALLER = [  # tokens, expected: shares of a full look (8, 34, 213) shrunk in proportion, as the golden token_budget cases
    (85, (2, 11, 71)),
    (63, (1, 8, 52)),
    (255, (8, 34, 213)),
    (10**6, (8, 34, 213)),  # a look is never larger than full
    (1, (0, 0, 1)),  # too small to share
]


@pytest.mark.parametrize(("tokens", "expected"), SMALLER)
def test_smaller_looks(tokens, expected):
    assert share_budget(256, grids(128, 256, 640), PLENTY, tokens) == expected


def test_what_a_scale_cannot_use_passes_to_the_next():
    assert share_budget(256, grids(128, 256, 640), (3, 34, 1000)) == (3, 34, 213 + 5)
    assert share_budget(256, grids(128, 256, 640), (3, 1000, 1000)) == (3, 39, 213)
    assert share_budget(256, grids(128, 256, 640), (0, 20, 1000)) == (0, 20, 213 + 8 + 14)
    assert share_budget(256, grids(128, 256, 640), (1000, 1000, 5)) == (8, 34, 5)  # nothing below the finest to pass to


def test_a_tiny_budget_goes_to_the_finest_scale():
    assert share_budget(1, grids(768, 1536, 3840), PLENTY) == (0, 0, 1)


@given(
    st.integers(1, 5000),
    st.lists(st.integers(1, 20), min_size=1, max_size=4, unique=True).map(sorted),
    st.lists(st.integers(0, 3000), min_size=4, max_size=4),
    st.none() | st.integers(1, 6000),
)
def test_never_more_than_allowed_or_available(max_patches, scales, available, tokens):
    available = available[: len(scales)]
    shares = share_budget(max_patches, grids(*scales), available, tokens)
    assert sum(shares) <= min(max_patches, tokens or max_patches)
    assert all(0 <= share <= left for share, left in zip(shares, available, strict=True))
    if all(left >= max_patches for left in available):
        assert sum(shares) >= 1
