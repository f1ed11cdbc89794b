"""When saliency is looked at with nothing to ask, and what wakes the node."""

import numpy as np
import pytest

from ps3_ros.standby import Standby


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def scene(**cells):
    """float32 [4, 4] of 0.2, other values by "r0c1" names."""
    saliency = np.full((4, 4), 0.2, np.float32)
    for name, value in cells.items():
        saliency[int(name[1]), int(name[3])] = value
    return saliency


@pytest.fixture
def parts():
    clock = Clock()
    return Standby(clock), clock


def test_looks_come_at_their_rate_and_not_at_all_at_0(parts):
    standby, clock = parts
    assert standby.due_s(0.0) is None
    assert standby.due_s(2.0) == 0.0
    standby.see(scene(), 0.5, 10.0)
    assert standby.due_s(2.0) == 0.5
    clock.now = 0.6
    assert standby.due_s(2.0) == 0.0


def test_what_newly_rises_over_the_threshold_wakes_and_tells_where(parts):
    standby, clock = parts
    assert not standby.see(scene(r0c0=0.9), 0.5, 10.0).awake, "the first look is the scene"
    glimpse = standby.see(scene(r0c0=0.9, r2c1=0.7), 0.5, 10.0)
    assert (glimpse.woke, glimpse.awake, glimpse.place) == (True, True, (0.375, 0.625))
    assert glimpse.peak == pytest.approx(0.9)
    assert standby.due_s(0.01) == 0.0, "awake: every frame"
    assert not standby.see(scene(r0c0=0.9, r2c1=0.7), 0.5, 10.0).woke, "it is awake already"
    clock.now = 30.0
    assert not standby.awake


def test_what_stays_becomes_part_of_the_scene(parts):
    standby, clock = parts
    standby.see(scene(), 0.5, 1.0)
    woken = 0
    for _ in range(60):
        clock.now += 2.0
        woken += standby.see(scene(r1c1=0.7), 0.5, 1.0).woke
    assert 1 <= woken <= 12
    assert not standby.see(scene(r1c1=0.7), 0.5, 1.0).awake


def test_a_deactivation_forgets_the_scene(parts):
    standby, _ = parts
    standby.see(scene(), 0.5, 10.0)
    standby.see(scene(r1c1=0.9), 0.5, 10.0)
    standby.reset()
    assert not standby.awake
    assert not standby.see(scene(r1c1=0.9), 0.5, 10.0).woke
