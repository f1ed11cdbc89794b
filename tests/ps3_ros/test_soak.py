"""The node under everything at once for a while: its memory does not grow, and every question has exactly one final answer.

PS3_SOAK_S says how many seconds: 20, or 300 before a release.
"""

import json
import os
import re
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")
sys.path.insert(0, str(Path(__file__).parent))

from fault_helpers import SCENE, Ledger, start  # noqa: E402
from ros_helpers import free_domain  # noqa: E402
from std_msgs.msg import String  # noqa: E402

pytestmark = pytest.mark.alone

SOAK_S = float(os.environ.get("PS3_SOAK_S", "20"))
WARM_S = 5.0  # not counted: the text cache, the middleware's history and the allocator fill
MARGIN_MB = 9.0  # the last third's median over the middle third's: three of the largest frame (2.8 MB), as freed memory is kept at its peak
STEADY_MB = 0.5  # the median of the five steps between six parts of those two thirds: a leak grows in each of them, a new peak in one
PERIOD_S = 0.05
WAITING = 40  # questions without an answer at most: a busy machine is not to fill the node's queue of 64


def anonymous_mb(status):
    """Megabytes that a process has of its own: not files, of which the system drops pages, nor the middleware's shared memory."""
    return int(re.search(r"RssAnon:\s+(\d+) kB", status.read_text())[1]) / 1024


@pytest.mark.timeout(SOAK_S + 240)
def test_memory_does_not_grow_and_every_question_has_one_final_answer(tiny_bundle, tmp_path, record_property):
    domain = free_domain()
    node = start(tiny_bundle, domain, tmp_path, log_period_s=1.0, wake_saliency=0.9)
    robot = Ledger(domain)
    status = Path(f"/proc/{node.process.pid}/status")
    if not status.exists() or "RssAnon" not in status.read_text():
        pytest.skip("this system has no /proc, which tells a process's memory")
    rng = np.random.default_rng(3)
    scenes = [
        SCENE,
        np.ascontiguousarray(SCENE[::-1, ::-1]),
        rng.integers(0, 256, (720, 1280, 3), dtype=np.uint8),
        SCENE[:120, :200].copy(),
    ]
    asked = answered = 0
    memory, numbers = [], []  # MB; of the questions with an id
    try:
        robot.wait_connected()
        robot.spin(0.5)
        robot.good(timeout_s=90)
        began = time.monotonic()
        for n in range(10**9):
            now_s = time.monotonic() - began
            if now_s > WARM_S + SOAK_S:
                break
            if n % 2 == 0:  # 10 Hz of frames, one in a second broken
                broken = {"data": b"gone"} if n % 20 == 0 else {}
                robot.send_frame(scenes[n // 2 % len(scenes)], robot.next_stamp(), **broken)
            if robot.owed < WAITING:
                robot.put(f"mug number {n}", id=f"q{n}")  # each text is new: the cache of vectors turns over
                numbers.append(n)
            if n % 3 == 0:
                robot.put(("red | green mug", "", "{", '{"cancel": "nobody"}', "a\x1b", "x" * 5000)[n // 3 % 6])
            if n % 40 == 0:
                robot.watch.publish(String(data=json.dumps({"query": f"car {n}", "id": "soak", "max_rate_hz": 3})))
            if n % 40 == 30:
                robot.unwatch.publish(String(data='{"id": "soak"}'))
            if n % 10 == 0:
                if now_s > WARM_S:
                    memory.append(anonymous_mb(status))
                for heard in (robot.answers, robot.relevance, robot.looked, robot.standing, robot.status):
                    heard.clear()
            robot.spin(PERIOD_S)
        asked = robot.asked
        answers = robot.paid(timeout_s=120)
        answered = len(answers)
        ids = [answer["id"] for answer in answers if answer["id"] and answer["id"].startswith("q")]
        assert sorted(ids) == sorted(f"q{n}" for n in numbers)
        assert all(answer["error"] is None for answer in answers if answer["id"] and answer["id"].startswith("q"))
        assert robot.good()["error"] is None
    finally:
        code, _ = node.stop()
        robot.close()
    third = len(memory) // 3
    middle, last = statistics.median(memory[third : 2 * third]), statistics.median(memory[2 * third :])
    parts = [statistics.median(part) for part in np.array_split(memory[third:], 6)]
    growth = statistics.median(float(step) for step in np.diff(parts))
    told = (
        f"{SOAK_S:g} s, {asked} questions, {answered} final answers; memory {middle:.1f} MB, then {last:.1f} MB, a step of {growth:.2f} MB"
    )
    record_property("soak", told)
    print(told)
    assert code == 0
    assert last - middle < MARGIN_MB, told
    assert growth < STEADY_MB, told
