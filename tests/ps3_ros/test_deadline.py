"""Time into patches: the cost model by itself, and what an answer takes on a machine whose speed the test decides."""

import numpy as np
import pytest

from ps3_ros.deadline import HITS_IN_A_ROW, LEAST_SHARE, MISSES_IN_A_ROW, Costs, Pacer

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
    assert pacer.afford(390.0, 4096) == pytest.approx(512, abs=1)
    assert pacer.afford(390.0, 4096, new_labels=1) < 512
    assert pacer.afford(20.0, 4096) is None, "the glance alone takes 30"
    pacer.learn_frame(333.0)
    assert pacer.frame_ms() == 333.0


def test_a_budget_never_exceeds_what_is_allowed():
    assert Pacer(COSTS).afford(10_000.0, 300) == 300


def test_misses_in_a_row_shrink_the_budget_and_hits_let_it_recover():
    pacer = Pacer(COSTS)
    before = pacer.afford(300.0, 4096)
    for _ in range(MISSES_IN_A_ROW - 1):
        pacer.settle(True)
    pacer.settle(False)
    assert pacer.share == 1.0, "not in a row"
    for _ in range(MISSES_IN_A_ROW):
        pacer.settle(True)
    assert pacer.afford(300.0, 4096) == before // 2
    for _ in range(20 * MISSES_IN_A_ROW):
        pacer.settle(True)
    assert pacer.share == LEAST_SHARE
    for _ in range(20 * HITS_IN_A_ROW):
        pacer.settle(False)
    assert pacer.share == 1.0
    assert pacer.afford(300.0, 4096) == before


def test_with_noise_in_the_machine_95_of_100_answers_keep_their_deadline():
    """Real time = 2 x measured x noise, of which the pacer knows nothing before it sees the answers."""
    rng, pacer, late, deadline = np.random.default_rng(3), Pacer(COSTS), [], 300.0
    for n in range(400):
        patches = pacer.afford(deadline, 4096)
        real = 2 * COSTS.at(patches or 0) * rng.lognormal(0.0, 0.15)
        pacer.learn(patches or 0, real)
        pacer.settle(real > deadline)
        if n >= 20:
            late.append(real > deadline)
    assert np.mean(late) <= 0.06
    assert 256 <= patches <= 512, "and it is no miser: 300 ms are worth about 400 patches then"
