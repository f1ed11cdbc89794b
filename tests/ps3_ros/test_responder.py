"""Deadlines and failing backends, with a real bundle: less is looked at before a question goes without an answer."""

import numpy as np
import pytest

from ps3_ros.ask import Asker
from ps3_ros.backends import open_backend
from ps3_ros.bundle import load_bundle
from ps3_ros.errors import BackendError, QueryError
from ps3_ros.frame import Frame
from ps3_ros.recovery import QUIET_S, STEPS, Backoff, Ladder
from ps3_ros.responder import Responder

FRAME = Frame(np.random.default_rng(4).integers(0, 256, (180, 320, 3), dtype=np.uint8), 5, "front")


class Failing:
    """A real backend that breaks where it is told to: looks over `limit` patches, and the graphs in `broken`."""

    def __init__(self, bundle, name="failing"):
        self.real, self.name, self.limit, self.broken = open_backend(bundle, threads=1), name, 10**9, set()

    def run(self, graph, inputs):
        if graph in self.broken:
            raise BackendError(f"graph {graph!r} failed on {self.name} (device lost)")
        if graph == "look" and inputs["position"].size > self.limit:
            raise BackendError(f"graph 'look' failed on {self.name} (bad allocation)")
        return self.real.run(graph, inputs)


@pytest.fixture
def parts(tiny_bundle):
    """(responder, its backend, backends that the next mend finds by name)."""
    bundle = load_bundle(tiny_bundle, check_hashes=False)
    first, next_ones = Failing(bundle), {}

    def make(name):
        if name not in next_ones:
            raise BackendError(f"{name} cannot be opened")
        return Asker(bundle, backend=next_ones[name])

    responder = Responder(make, "failing", ("spare",), asker=Asker(bundle, backend=first))
    responder.set_frame(FRAME)
    yield responder, first, next_ones


def ask(responder, most=256, left_ms=None, looks=None):
    return next(responder.answers("stop sign", responder.plan("stop sign", most, left_ms), looks))[0]


def test_with_nothing_wrong_the_answer_is_the_askers_own(parts):
    responder, *_ = parts
    answer, expected = ask(responder, 256, looks=1), responder.asker.ask("stop sign")
    assert (answer.regions, answer.patches_used, answer.patches_allowed) == (expected.regions, expected.patches_used, 256)
    assert answer.note is None


def test_a_glance_alone_finds_and_rules_out_nothing(parts):
    responder, *_ = parts
    answer = ask(responder, most=0)
    assert (answer.found, answer.regions, answer.looks, answer.looked_fraction, answer.frame_id) == (False, (), 0, 0.0, "front")
    two = responder.asker.glance_answer("red | green traffic light")
    assert two.label is None
    assert responder.asker.detail.relevance.shape == (responder.asker.settings.grid,) * 2


def test_measured_costs_turn_a_deadline_into_patches(parts):
    responder, *_ = parts
    responder.prepare()
    costs = responder.pacer.costs
    assert costs.patches[0] == 0
    assert costs.look_patches == 256
    assert list(costs.ask_ms) == sorted(costs.ask_ms)
    responder.set_frame(FRAME)
    ask(responder)  # so that its words are known
    plan = responder.plan("stop sign", 256, left_ms=1e9)
    assert (plan.allowed, plan.note) == (256, None)
    plan = responder.plan("stop sign", 256, left_ms=0.0)
    assert plan.allowed == 0
    assert "the answer from the glance alone takes about" in plan.note
    assert ask(responder, left_ms=0.0).note == plan.note


def test_what_an_answer_took_corrects_the_next_plan_but_not_where_a_look_failed(parts):
    responder, backend, _ = parts
    responder.prepare()
    responder.set_frame(FRAME)
    plan = responder.plan("stop sign", 200, left_ms=1e9)
    answer, _ = next(responder.answers("stop sign", plan))
    responder.settle(plan, answer, 5000.0, missed=True)
    assert responder.pacer.predict(answer.patches_used) == pytest.approx(5000)
    assert responder.pacer.misses == 1
    assert responder.plan("stop sign", 256, left_ms=4000.0).cut
    backend.limit = 70
    plan = responder.plan("stop sign", 200)
    less, _ = next(responder.answers("stop sign", plan))
    assert less.patches_used < answer.patches_used
    responder.settle(plan, less, 1.0, missed=None)
    assert responder.pacer.predict(answer.patches_used) == pytest.approx(5000)


def test_a_further_question_on_a_frame_is_planned_with_what_further_ones_took(parts):
    responder, *_ = parts
    responder.asker.share_looks = True
    responder.prepare()
    responder.set_frame(FRAME)
    first = responder.plan("stop sign", 200)
    answer, _ = next(responder.answers("stop sign", first))
    responder.settle(first, answer, 5000.0, missed=None)
    further = responder.plan("stop sign", 200, left_ms=6000.0)
    assert (first.further, further.further, further.predicted_ms) == (False, True, pytest.approx(5000, rel=0.02)), "nothing better is known"
    responder.settle(further, answer, 50.0, missed=False)
    assert responder.plan("stop sign", 200).predicted_ms == pytest.approx(50, rel=0.02)
    assert responder.plan("stop sign", 200, left_ms=100.0).allowed == 200
    responder.set_frame(FRAME)
    assert responder.plan("stop sign", 200, left_ms=100.0).allowed < 200


def test_out_of_memory_means_fewer_patches_and_the_answer_says_so(parts):
    responder, backend, _ = parts
    backend.limit = 70
    answer = ask(responder)
    assert answer.error is None
    assert 0 < answer.patches_used <= 70
    assert "bad allocation" in answer.note
    assert responder.share == 0.25
    assert ask(responder).patches_used == answer.patches_used, "the next one does not try in vain"
    with pytest.raises(QueryError):
        responder.plan("a | ", 256)


def test_a_look_that_always_fails_leaves_the_glance_then_another_backend(parts, tiny_bundle):
    responder, backend, next_ones = parts
    backend.broken = {"look"}
    answer = ask(responder)
    assert (answer.looks, answer.found) == (0, False)
    assert "device lost" in answer.note
    assert responder.needs_mending()
    next_ones["spare"] = Failing(load_bundle(tiny_bundle, check_hashes=False), "spare")
    assert responder.mend()
    assert (responder.backend, responder.share) == ("spare", 1.0)
    assert "spare runs in its place" in responder.trouble
    responder.set_frame(FRAME)
    assert ask(responder).patches_used > 0


def test_where_no_backend_can_look_the_glance_goes_on_and_is_tried_again_later(parts, tiny_bundle):
    responder, backend, next_ones = parts
    next_ones["failing"] = Failing(load_bundle(tiny_bundle, check_hashes=False))
    next_ones["failing"].broken = backend.broken = {"look"}
    ask(responder)
    assert responder.mend()
    assert not responder.needs_mending(), "not at once again"
    assert responder.mending_due_s() > 5
    responder.set_frame(FRAME)
    answer = ask(responder)
    assert answer.looks == 0
    assert "at most 0 patches" in answer.note


def test_where_nothing_works_that_is_said_until_something_does(parts, tiny_bundle):
    responder, backend, next_ones = parts
    backend.broken = {"glance"}
    with pytest.raises(BackendError, match="device lost"):
        responder.set_frame(FRAME)
    assert responder.needs_mending()
    assert not responder.mend()
    assert responder.trouble.startswith("no backend works (spare cannot be opened)")
    with pytest.raises(BackendError, match="no backend works"):
        responder.set_frame(FRAME)
    next_ones["failing"] = Failing(load_bundle(tiny_bundle, check_hashes=False))
    assert responder.mend()
    assert responder.trouble is None
    responder.set_frame(FRAME)
    assert ask(responder).patches_used > 0


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_ladder_goes_down_and_up_again_more_slowly_after_each_vain_try():
    clock = Clock()
    ladder = Ladder(clock)
    for step in STEPS[1:]:
        assert ladder.failed()
        assert ladder.share == step
    assert not ladder.failed()
    waits = []
    for _ in range(3):
        ladder.step = 2
        start = clock.now
        while ladder.step == 2:
            clock.now += 1.0
            ladder.worked()
        waits.append(clock.now - start)
        ladder.failed()
    assert waits == [QUIET_S, 2 * QUIET_S, 4 * QUIET_S]


def test_what_failed_is_tried_again_after_longer_and_longer():
    clock = Clock()
    backoff = Backoff(10.0, 25.0, clock)
    waits = []
    for _ in range(4):
        backoff.failed()
        waits.append(backoff.left_s())
        assert not backoff.due()
        clock.now += waits[-1]
        assert backoff.due()
    assert waits == [10.0, 20.0, 25.0, 25.0]
