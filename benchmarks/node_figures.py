"""What benchmarks/node.py makes of what it saw: rates, ages, losses, memory, deadlines kept; tables and plots of them."""

import statistics
from dataclasses import asdict, dataclass

import numpy as np

from .report import print_table, save_plot

COUNTS = ("images", "looked_at", "dropped")  # the node's own, from /diagnostics


@dataclass(frozen=True)
class Round:
    """Of one stretch of frames.

    at: monotonic seconds of its ends; counts: the node's, afterwards; cpu: {process: seconds a second}; alone: of benchmarks.asking.
    """

    at: tuple
    sent: int
    late: int
    counts: dict
    cpu: dict
    alone: dict


def summarise(rounds, before, answers, samples) -> dict:
    """Rates of the rounds, ages of the answers (milliseconds), processes' CPU (seconds a second) and memory (MB).

    before: the node's counts when the first round began. share_of_alone: the time that the encoder alone takes for the same frames and
    questions, of the time that they took.
    """
    elapsed = sum(r.at[1] - r.at[0] for r in rounds)
    within = [a for a in answers if a.error is None and any(r.at[0] <= a.at <= r.at[1] for r in rounds)]
    alone = {name: statistics.median(r.alone[name] for r in rounds) for name in ("frame_ms", "ask_ms")}
    counts = {name: rounds[-1].counts[name] - before[name] for name in COUNTS}
    busy = (counts["looked_at"] * alone["frame_ms"] + len(within) * alone["ask_ms"]) / 1e3
    ages = [a.age_ms for a in within if a.standing]
    sent = sum(r.sent for r in rounds)
    found = {
        "seconds": elapsed, "answers_hz": len(within) / elapsed, "standing_hz": len(ages) / elapsed,
        "alone_hz": len(within) / busy if busy else None, "share_of_alone": busy / elapsed, "alone": alone,
        "errors": sum(a.error is not None for a in answers), "age_ms": quantiles(ages),
        "asked_ms": quantiles([a.real_ms for a in within if not a.standing and a.real_ms is not None]),
        "sent": sent, "late": sum(r.late for r in rounds), "lost": sent - counts["images"], "replaced": counts["dropped"],
        "cpu": {name: statistics.median(r.cpu[name] for r in rounds) for name in rounds[0].cpu},
        "memory": {name: memory_of(taken) for name, taken in samples.items() if taken},
        "rounds": [asdict(r) for r in rounds],
    }  # fmt: skip
    begin = rounds[0].at[0]
    found["ages"] = [[round(a.at - begin, 3), round(a.age_ms, 1)] for a in within if a.standing]
    found["memory_over_time"] = [[round(s.at - begin, 1), round(s.own, 1)] for s in samples.get("node", [])]
    found["deadline"] = keeping(within)
    return found


def quantiles(values) -> dict:
    return {f"p{q}": float(np.percentile(values, q)) for q in (50, 95, 99)} if values else {}


def memory_of(samples) -> dict:
    """MB: own at the end, shared segments, and how much the last fifth of the samples lies over the second."""
    own, fifth = [s.own for s in samples], max(1, len(samples) // 5)
    growth = statistics.median(own[-fifth:]) - statistics.median(own[fifth : 2 * fifth] or own)
    return {"own": own[-1], "shared": samples[-1].shared, "growth": growth}


def keeping(answers) -> dict:
    """Parts of the answers with a deadline: in time, those that say that the glance alone exceeds it, either of the two; patches used."""
    told = [a for a in answers if a.deadline_ms is not None]
    if not told:
        return {}
    in_time, glance = [not a.missed for a in told], [a.glance_exceeds for a in told]
    return {
        "answers": len(told), "in_time": float(np.mean(in_time)), "glance_exceeds": float(np.mean(glance)),
        "kept": float(np.mean(np.logical_or(in_time, glance))), "real_ms": quantiles([a.real_ms for a in told]),
        "patches": statistics.median(a.patches_used for a in told),
    }  # fmt: skip


def print_cases(found) -> None:
    head = ["case", "answers/s", "alone/s", "share", "age p50", "p95", "p99", "asked p50", "sent", "lost", "replaced"]
    head += ["node CPU", "camera CPU", "node MB", "growth MB"]
    rows = []
    for f in found:
        age, memory = f["age_ms"], f["memory"].get("node", {})
        rows.append([
            f["name"], f["answers_hz"], f["alone_hz"], f["share_of_alone"], *(age.get(q) for q in ("p50", "p95", "p99")),
            f["asked_ms"].get("p50"), f["sent"], f["lost"], f["replaced"], f["cpu"]["node"], f["cpu"]["camera"], memory.get("own"),
            memory.get("growth"),
        ])  # fmt: skip
    print_table(head, rows)


def print_counting(found) -> None:
    rows = [
        [name, f["sent"], f["lost"], f["age_ms"][0] if f["age_ms"] else None, *(f["cpu_ms_a_frame"][end] for end in ("counter", "camera"))]
        for name, f in found.items()
    ]
    print_table(["only counted", "sent", "lost", "age p50", "consumer CPU ms a frame", "camera CPU ms a frame"], rows)


def print_deadlines(found) -> None:
    rows = [
        [f["name"], d["answers"], d["in_time"], d["glance_exceeds"], d["kept"], d["real_ms"]["p50"], d["real_ms"]["p95"], d["patches"]]
        for f in found
        if (d := f["deadline"])
    ]
    print_table(["case", "answers", "in time", "glance exceeds", "either", "real p50 ms", "p95", "patches p50"], rows)


def draw(name, found) -> None:
    def ages(axes):
        for f in found:
            axes.plot(*np.array(f["ages"] or [[0, 0]]).T, ".", markersize=3, label=f["name"])
        axes.set(xlabel="seconds", ylabel="age of the answer, stamp to publish, ms", ylim=(0, None))
        axes.legend()

    def memory(axes):
        for f in found:
            axes.plot(*np.array(f["memory_over_time"] or [[0, 0]]).T, label=f["name"])
        axes.set(xlabel="seconds", ylabel="memory of the node's own, MB", ylim=(0, None))
        axes.legend()

    for what, drawing in (("ages", ages), ("memory", memory)):
        print(save_plot(f"{name}-{what}", drawing) or "no plot: matplotlib is not installed")
