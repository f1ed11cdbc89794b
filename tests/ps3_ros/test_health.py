"""Levels by the documented rules, figures of the last minute, and a beat that nothing holds up."""

import re
import threading
from pathlib import Path

import pytest

from ps3_ros import health
from ps3_ros.answer import STAGES, Answer
from ps3_ros.desk import COUNTED
from ps3_ros.health import ERROR, OK, WARN, Health, Seen, memory_now, temperature_c
from ps3_ros.pulse import Pulse

COUNTS = {"answers": 100, "deadline_misses": 0, **dict.fromkeys((name for name, _ in health.WARNED), 0)}
DOCS = Path(__file__).parents[2] / "docs" / "node.md"


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def parts(monkeypatch):
    monkeypatch.setattr(health, "temperature_c", lambda: None)
    monkeypatch.setattr(health, "memory_now", lambda: {"memory_mb": 200.0, "memory_left_mb": 4000.0, "memory_total_mb": 8000.0})
    clock = Clock()
    return Health(clock), clock


def active(**changed):
    return Seen(**{"state": "active", "counts": COUNTS, "image_age_s": 0.1, "active_s": 100.0, **changed})


@pytest.mark.parametrize(
    ("seen", "level", "words"),
    [
        (active(), OK, "active"),
        (Seen("inactive"), OK, "inactive"),
        (Seen("unconfigured", fault="cannot configure: no bundle"), ERROR, "cannot configure: no bundle"),
        (active(hang=("look", 31.0)), ERROR, "a step (look) has not ended in 31.0 s"),
        (active(trouble="cuda failed, cpu runs in its place"), WARN, "cuda failed"),
        (active(image_age_s=7.0), WARN, "no image came for 7.0 s"),
        (active(image_age_s=None), WARN, "no image came in the 100 s"),
        (active(image_age_s=None, active_s=1.0), OK, "active"),
        (active(image_age_s=7.0, hang=("look", 9.0)), ERROR, "a step (look) has not ended in 9.0 s; no image"),
    ],
)
def test_levels(parts, seen, level, words):
    report = parts[0].report(seen)
    assert report.level == level
    assert report.message.startswith(words)


@pytest.mark.parametrize(
    ("name", "few", "many", "words"),
    [
        ("deadline_misses", 5, 6, "6 of 100 answers"),
        ("failures", 0, 1, "1 failures"),
        ("bad_images", 0, 2, "2 images that could not"),
        ("bad_depths", 0, 3, "3 depth images that could not"),
        ("bad_priors", 0, 1, "1 priors that could not"),
    ],
)
def test_what_is_counted_warns_for_a_minute(parts, name, few, many, words):
    watch, clock = parts
    watch.report(active(counts=dict.fromkeys(COUNTS, 0)))
    assert watch.report(active(counts={**COUNTS, name: few})).level == OK
    counts = {**COUNTS, name: many}
    assert words in watch.report(active(counts=counts)).message
    clock.now += 30
    assert watch.report(active(counts=counts)).level == WARN
    clock.now += 61
    watch.report(active(counts=counts))
    clock.now += 1
    assert watch.report(active(counts=counts)).level == OK


def test_memory_and_heat_warn(parts, monkeypatch):
    watch, _ = parts
    monkeypatch.setattr(health, "temperature_c", lambda: 91.0)
    assert "91 degrees" in watch.report(active()).message
    monkeypatch.setattr(health, "memory_now", lambda: {"memory_left_mb": 100.0, "memory_total_mb": 8000.0})
    assert "100 MB of the machine's memory are left" in watch.report(active()).message


def test_rates_ages_and_stage_times_are_of_the_last_seconds(parts):
    watch, clock = parts
    for n in range(100):
        clock.now += 0.1
        watch.image()
        stages = {**dict.fromkeys(STAGES, 0.0), "look": 50.0 + n}
        timing = {"deadline_ms": None, "predicted_ms": None, "real_ms": float(n), "missed": False}
        watch.answer(Answer("mug", True, age_ms=100.0, stage_ms=stages, timing=timing))
    values = dict(watch.report(active()).values)
    assert float(values["images_hz"]) == pytest.approx(10.0, abs=0.2)
    assert float(values["answers_hz"]) == pytest.approx(10.0, abs=0.2)
    assert (values["age_ms_p50"], values["age_ms_p95"]) == ("100.0", "100.0")
    assert float(values["look_ms_p95"]) == pytest.approx(144, abs=1)
    assert float(values["answer_ms_p50"]) == pytest.approx(49.5)
    assert "glance_ms_p50" not in values, "no figure that was not measured"
    clock.now += 100
    values = dict(watch.report(active()).values)
    assert values["images_hz"] == "0.00"
    assert "age_ms_p50" not in values


def test_memory_is_measured_and_what_cannot_be_read_is_left_out(tmp_path):
    memory = memory_now()
    assert 10 < memory["memory_mb"] < memory["memory_total_mb"]
    assert memory_now(tmp_path) == {}
    assert temperature_c(tmp_path) is None
    for n, text in enumerate(("45000\n", "", "61500\n")):
        (tmp_path / f"thermal_zone{n}").mkdir()
        (tmp_path / f"thermal_zone{n}" / "temp").write_text(text)
    assert temperature_c(tmp_path) == 61.5


def test_what_is_warned_of_is_counted():
    assert {name for name, _ in health.WARNED} <= set(COUNTED)


def test_the_documented_limits_are_the_codes():
    text = DOCS.read_text()
    for limit in (f"{health.MISSED_PART:.0%}", f"{health.MEMORY_LEFT:.0%}", f"{health.HOT_C:g} °C"):
        assert limit in text, limit
    assert re.search(r"\| ERROR \|", text)


def test_a_beat_goes_on_after_one_that_failed_until_it_is_stopped():
    beats, failures, enough = [], [], threading.Event()

    def beat():
        beats.append(1)
        if len(beats) == 1:
            raise RuntimeError("once")
        if len(beats) == 3:
            enough.set()

    pulse = Pulse(beat, lambda: 0.01, failures.append)
    assert enough.wait(20)
    pulse.stop(5.0)
    count = len(beats)
    assert "RuntimeError: once" in failures[0]
    assert not pulse._thread.is_alive()
    assert len(beats) == count
