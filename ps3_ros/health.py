"""How the node is doing, from what it was seen to do: rates, ages, stage times, misses, memory, temperature, and a level by fixed rules.

No ROS import. docs/node.md has the rules as a table.
"""

import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np

OK, WARN, ERROR = 0, 1, 2
WINDOW_S = 60.0  # rules and quantiles are about this long
RATE_S = 10.0
MISSED_PART = 0.05  # of the answers: more late ones than this are worth a warning
MEMORY_LEFT = 0.10  # of the machine's: less is worth a warning
HOT_C = 85.0
WARNED = (  # what is counted, by its name in desk.COUNTED, and is a warning for a minute
    ("failures", "failures"),
    ("hangs", "looks that hung"),
    ("bad_images", "images that could not be used"),
    ("bad_calibrations", "calibrations that could not be used"),
    ("bad_depths", "depth images that could not be used"),
    ("bad_priors", "priors that could not be used"),
)
THERMAL = Path("/sys/class/thermal")


@dataclass(frozen=True)
class Seen:
    """What the node knows of itself at the time of a report.

    fault: why it fell inactive; hang: (step, seconds) or None; pace: Pacer.share.
    """

    state: str
    purpose: str = ""
    fault: str | None = None
    hang: tuple | None = None
    counts: dict | None = None
    image_age_s: float | None = None
    active_s: float = 0.0
    frame_timeout_s: float = 5.0
    model: str = ""
    backend: str = ""
    trouble: str | None = None
    share: float = 1.0
    pace: float = 1.0
    standing: int = 0


@dataclass(frozen=True)
class Report:
    """level: OK, WARN or ERROR; message: every reason for it, worst first; values: ((name, text), ...)."""

    level: int
    message: str
    values: tuple


class Health:
    """Remembers the last minute. Any thread may tell it something."""

    def __init__(self, clock=time.monotonic):
        self._clock, self._lock, self._started = clock, threading.Lock(), clock()
        self._images, self._answers = deque(), deque()  # times; (time, age ms, real ms, stages)
        self._counts = deque()  # (time, counts) of earlier reports

    def image(self):
        """An image came in."""
        with self._lock:
            self._images.append(self._clock())
            _drop_before(self._images, self._clock() - RATE_S, lambda t: t)

    def answer(self, answer):
        """answer.Answer that went out."""
        real = answer.timing["real_ms"] if answer.timing else None
        with self._lock:
            self._answers.append((self._clock(), answer.age_ms, real, answer.stage_ms if answer.error is None else {}))
            _drop_before(self._answers, self._clock() - WINDOW_S, lambda a: a[0])

    def report(self, seen):
        """Report of now."""
        now, counts = self._clock(), seen.counts or {}
        with self._lock:
            _drop_before(self._images, now - RATE_S, lambda t: t)
            _drop_before(self._answers, now - WINDOW_S, lambda a: a[0])
            images, answers = len(self._images), list(self._answers)
            if self._counts and any(counts.get(k, 0) < v for k, v in self._counts[-1][1].items()):
                self._counts.clear()  # configured anew: its counts began at 0
            self._counts.append((now, counts))
            while len(self._counts) > 1 and self._counts[1][0] <= now - WINDOW_S:
                self._counts.popleft()
            before = self._counts[0][1]
        recent = {name: n - before.get(name, 0) for name, n in counts.items()}
        memory, hottest = memory_now(), temperature_c()
        found = _findings(seen, recent, memory, hottest)
        level = max((level for level, _ in found), default=OK)
        words = [text for _, text in sorted(found, key=lambda f: -f[0])] or [seen.state]
        last = [a for a in answers if a[0] >= now - RATE_S]
        values = {
            "state": seen.state,
            "purpose": seen.purpose,
            "model": seen.model,
            "backend": seen.backend,
            "up_s": f"{now - self._started:.0f}",
            "images_hz": f"{images / RATE_S:.2f}",
            "answers_hz": f"{len(last) / RATE_S:.2f}",
            "image_age_s": "none" if seen.image_age_s is None else f"{seen.image_age_s:.2f}",
            **_quantiles("age_ms", [a[1] for a in answers]),
            **_quantiles("answer_ms", [a[2] for a in answers]),
            **{
                k: v for stage in _stages(answers) for k, v in _quantiles(f"{stage}_ms", [a[3].get(stage) or None for a in answers]).items()
            },
            **{name: str(n) for name, n in counts.items()},
            "standing_queries": str(seen.standing),
            "patches_share": f"{seen.share:g}",
            "deadline_share": f"{seen.pace:g}",
            **{name: f"{value:.0f}" for name, value in memory.items()},
        }
        if hottest is not None:
            values["temperature_c"] = f"{hottest:.0f}"
        return Report(level, "; ".join(words), tuple(values.items()))


def _findings(seen, recent, memory, hottest):
    """((level, reason), ...) by the rules of docs/node.md."""
    found = []
    if seen.hang is not None:
        found.append((ERROR, f"a step ({seen.hang[0]}) has not ended in {seen.hang[1]:.1f} s"))
    if seen.fault is not None:
        found.append((ERROR, seen.fault))
    if seen.trouble is not None and seen.fault is None:
        found.append((WARN, seen.trouble))
    if seen.state == "active":
        if seen.image_age_s is None and seen.active_s > seen.frame_timeout_s:
            found.append((WARN, f"no image came in the {seen.active_s:.0f} s since the node was activated"))
        elif seen.image_age_s is not None and seen.image_age_s > seen.frame_timeout_s:
            found.append((WARN, f"no image came for {seen.image_age_s:.1f} s"))
    answered, late = recent.get("answers", 0), recent.get("deadline_misses", 0)
    if answered and late > MISSED_PART * answered:
        found.append((WARN, f"{late} of {answered} answers in the last minute missed their deadline"))
    for name, text in WARNED:
        if recent.get(name):
            found.append((WARN, f"{recent[name]} {text} in the last minute"))
    if memory.get("memory_left_mb", np.inf) < MEMORY_LEFT * memory.get("memory_total_mb", 0):
        found.append((WARN, f"{memory['memory_left_mb']:.0f} MB of the machine's memory are left"))
    if hottest is not None and hottest >= HOT_C:
        found.append((WARN, f"a thermal zone is at {hottest:.0f} degrees C"))
    return found


def memory_now(proc=Path("/proc")):
    """Megabytes: memory_mb of this process, memory_left_mb and memory_total_mb of the machine; {} where the system does not tell."""
    try:
        pages = int((proc / "self" / "statm").read_text().split()[1])
        lines = dict(line.split(":", 1) for line in (proc / "meminfo").read_text().splitlines())
        left, total = (int(lines[name].split()[0]) / 1024 for name in ("MemAvailable", "MemTotal"))
    except (OSError, KeyError, ValueError, IndexError):
        return {}
    return {"memory_mb": pages * os.sysconf("SC_PAGE_SIZE") / 2**20, "memory_left_mb": left, "memory_total_mb": total}


def temperature_c(folder=THERMAL):
    """Degrees of the hottest thermal zone; None where the platform has none."""
    found = []
    for zone in folder.glob("thermal_zone*/temp"):
        try:
            found.append(int(zone.read_text()) / 1000)
        except (OSError, ValueError):  # a zone that is switched off cannot be read
            continue
    return max(found, default=None)


def _quantiles(name, values):
    values = [value for value in values if value is not None]
    return {f"{name}_p{q}": f"{np.percentile(values, q):.1f}" for q in (50, 95)} if values else {}


def _stages(answers):
    return list(dict.fromkeys(stage for answer in answers for stage in answer[3] if stage != "total"))


def _drop_before(values, time_s, of):
    while values and of(values[0]) < time_s:
        values.popleft()
