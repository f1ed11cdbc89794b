"""Drawn objects stand in for the pictures that a user fetches, so these tests need no picture packages."""

import pytest

from ps3_training.data import backgrounds, catalogue


@pytest.fixture(scope="session")
def drawn():
    """The objects of the table that are drawn from scratch: no picture files."""
    return catalogue.load(only=("drawn",))


@pytest.fixture(autouse=True)
def no_photographs(monkeypatch, tmp_path):
    monkeypatch.setenv(backgrounds.PHOTO_FOLDERS, str(tmp_path / "none"))
