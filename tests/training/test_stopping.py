"""The first signal is noted, a second one ends the run, and one that torchrun passes on is no second one."""

import signal

import pytest

from ps3_training import stopping


@pytest.fixture
def stop():
    with stopping.StopSignals() as signals:
        yield signals


def test_one_signal_is_noted(stop):
    assert stop.name is None
    signal.raise_signal(signal.SIGTERM)
    assert stop.name == "SIGTERM"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_same_signal_again_ends_it_at_once(stop, number):
    signal.raise_signal(number)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


def test_ctrl_c_that_torchrun_passes_on_is_one_signal(stop, monkeypatch):
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
    assert stop.name == "SIGINT"
    monkeypatch.setattr(stopping, "PASSED_ON_S", -1.0)  # as if it came long after
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
