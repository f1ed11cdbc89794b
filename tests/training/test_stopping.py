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


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_it_at_once_and_one_that_torchrun_passes_on_does_not(stop, monkeypatch, second):
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(second)
    assert stop.name == "SIGINT"
    monkeypatch.setattr(stopping, "PASSED_ON_S", -1.0)  # as if it came later
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(second)
