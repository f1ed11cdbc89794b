"""Time into patches: the cost model by itself, and what an answer takes on a machine whose speed the test decides."""

import numpy as np
import pytest

from ps3_ros.deadline import HITS_IN_A_ROW, LEAST_SHARE, MARGIN, MISSES_IN_A_ROW, TARGET, WIDEST, Costs, Pacer

COSTS = Costs(frame_ms=100.0, text_ms=20.0, patches=(0, 128, 256, 512, 1024), ask_ms=(10.0, 40.0, 70.0, 130.0, 250.0))


@pytest.mark.parametrize(("patches", "ms"), [(0, 10), (64, 25), (128, 40), (1024, 250), (2048, 490), (1024 + 512, 370)])
def test_costs_between_and_beyond_what_was_measured(patches, ms):
    assert COSTS.at(patches) == pytest.approx(ms)
    assert COSTS.within(ms) == patches


@pytest.mark.parametrize("costs", [COSTS, Costs(1.0, 0.0, (0, 8, 16), (5.0, 5.0, 5.0)), Costs(1.0, 0.0, (0, 4), (0.0, 3.0))])
def test_what_is_said_to_fit_does_fit(costs):
    for ms in np.linspace(0, 3 * costs.ask_ms[-1], 61):
        fit = costs.within(ms)
        assert (fit is None) == (ms < costs.ask_ms[0])
        if fit is not None and costs.ask_ms[-1] > costs.ask_ms[0]:
            assert costs.at(fit) <= ms + 1e-6
            assert costs.at(fit + 2) > ms - 1e-6, "and hardly more would"


def test_nothing_is_known_before_it_was_measured():
    pacer = Pacer()
    pacer.learn(100, 50.0)
    assert (pacer.predict(100), pacer.afford(100.0, 500), pacer.frame_ms()) == (None, None, None)


def test_a_slower_machine_is_learned_and_a_question_never_asked_costs_its_words():
    pacer = Pacer(COSTS)
    for _ in range(20):
        pacer.learn(512, 390.0)  # three times what was measured
    assert pacer.predict(512) == pytest.approx(390)
    assert pacer.afford(390.0 * MARGIN, 4096) == pytest.approx(512, abs=1)
    assert pacer.afford(390.0 * MARGIN, 4096, new_labels=1) < 512
    pacer.learn(0, 30.0)
    assert pacer.afford(20.0, 4096) is None, "the glance alone takes 30"
    assert pacer.afford(32.0, 4096) == 0
    pacer.learn_frame(333.0)
    assert pacer.frame_ms() == 333.0


def test_a_budget_never_exceeds_what_is_allowed():
    assert Pacer(COSTS).afford(10_000.0, 300) == 300


def test_answers_from_the_glance_alone_say_nothing_of_what_a_look_takes():
    pacer = Pacer(COSTS)
    for _ in range(20):
        pacer.learn(512, 260.0)  # twice what was measured
    for _ in range(100):
        pacer.learn(0, 5.0)  # half
    assert (pacer.predict(512), pacer.predict(0)) == (pytest.approx(260), pytest.approx(5))
    assert pacer.afford(260.0 * MARGIN, 4096) == pytest.approx(512, abs=1)


def test_after_a_frame_that_took_long_less_is_planned_once():
    pacer = Pacer(COSTS)
    for _ in range(20):
        pacer.learn_frame(100.0)
        pacer.learn(512, 130.0)
    usual = pacer.afford(200.0, 4096)
    pacer.learn_frame(225.0)
    assert pacer.afford(200.0, 4096) == pytest.approx(pacer.costs.within(200.0 / MARGIN / 1.5), abs=1)
    pacer.learn(512, 130.0)
    assert pacer.afford(200.0, 4096) == usual
    pacer.learn_frame(50.0)
    assert pacer.afford(200.0, 4096) == usual, "a fast frame promises nothing"


def test_after_a_slow_while_looks_are_tried_again():
    """Nothing but a look can tell that looks are fast again."""
    pacer = Pacer(COSTS)
    for _ in range(48):
        pacer.learn(128, 4000.0)
    given = [pacer.afford(60.0, 4096) for _ in range(100)]
    assert given[0] == 0
    assert given[-1] > 64


def test_misses_in_a_row_shrink_the_budget_and_hits_let_it_recover():
    pacer = Pacer(COSTS)
    for _ in range(MISSES_IN_A_ROW - 1):
        pacer.settle(True)
    pacer.settle(False)
    assert pacer.share == 1.0, "not in a row"
    for _ in range(20 * MISSES_IN_A_ROW):
        pacer.settle(True)
    assert (pacer.share, pacer.margin) == (LEAST_SHARE, WIDEST)
    assert pacer.afford(11.0 * WIDEST * 1.3, 4096) == 1, "a sixteenth of few patches is still a look"
    for _ in range(20 * HITS_IN_A_ROW):
        pacer.settle(False)
    assert pacer.share == 1.0
    shrunk = pacer.afford(300.0, 4096)
    for _ in range(1000):
        pacer.settle(False, cut=False)
    assert pacer.afford(300.0, 4096) == shrunk, "answers with time to spare do not narrow the margin"
    for _ in range(1000):
        pacer.settle(False)
    assert pacer.margin == 1.0
    assert pacer.afford(300.0, 4096) > shrunk


def test_first_and_further_questions_of_a_frame_keep_their_deadlines_each():
    """Three further questions a frame, which cost a tenth to all of a look: together with them one of ten first ones would be late."""
    noise, pacer, late, given = np.random.default_rng(3), Pacer(COSTS), {False: [], True: []}, {False: [], True: []}
    for n in range(1600):
        further = n % 4 > 0
        patches = pacer.afford(150.0, 1024, further=further)
        part = noise.uniform(0.1, 1.0) if further else 1.0
        real = 2 * (10.0 + part * (COSTS.at(patches or 0) - 10.0)) * noise.lognormal(0, 0.08)
        pacer.learn(patches or 0, real, further=further)
        pacer.settle(real > 150.0)
        if n >= 40:
            late[further].append(real > 150.0)
            given[further].append(patches)
    assert max(np.mean(late[False]), np.mean(late[True])) <= 0.05
    assert np.median(given[True]) > np.median(given[False])
    assert pacer.predict(512, further=True) < 0.8 * pacer.predict(512)


NOISE = np.random.default_rng(3)
MACHINES = {  # real to measured time of 800 answers, of which the pacer knows nothing before it sees them
    "a little noise": NOISE.lognormal(0.0, 0.05, 800),
    "much noise": NOISE.lognormal(0.0, 0.2, 800),
    "slow drift": np.exp(0.2 * np.sin(np.arange(800) / 20) + NOISE.normal(0, 0.08, 800)),
    "now and then half as slow again": np.where(NOISE.random(800) < 0.08, 1.5, 1.0) * NOISE.lognormal(0.0, 0.08, 800),
    "a load that comes and goes": np.where(np.arange(800) // 150 % 2, 1.8, 1.0) * NOISE.lognormal(0.0, 0.08, 800),
}  # fmt: skip


@pytest.mark.parametrize("machine", MACHINES)
def test_on_any_machine_95_of_100_answers_keep_their_deadline_and_the_time_is_used(machine):
    pacer, late, used, deadline = Pacer(COSTS), [], [], 300.0
    for n, noise in enumerate(MACHINES[machine]):
        patches = pacer.afford(deadline, 4096)
        real = 2 * COSTS.at(patches or 0) * noise
        pacer.learn(patches or 0, real)
        pacer.settle(real > deadline)
        if n >= 20:
            late.append(real > deadline)
            used.append(real)
    assert np.mean(late) <= 0.05
    assert np.mean(late) == pytest.approx(TARGET, abs=0.015)
    assert np.median(used) > 0.6 * deadline, "and it is no miser"
