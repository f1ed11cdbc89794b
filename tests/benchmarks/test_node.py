"""The node's benchmark: it runs over real DDS on a tiny bundle, and its figures are what its parts saw."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")

from benchmarks import node, node_figures, processes  # noqa: E402
from benchmarks.processes import Sample  # noqa: E402

pytestmark = pytest.mark.alone


def answer(at, age_ms=200.0, standing=True, **more):
    fields = {"error": None, "real_ms": 150.0, "deadline_ms": None, "missed": False, "glance_exceeds": False, "patches_used": 8}
    return SimpleNamespace(at=at, age_ms=age_ms, standing=standing, **(fields | more))


def a_round(start, end, sent, images, looked_at):
    counts = {"images": images, "looked_at": looked_at, "dropped": 0}
    return node_figures.Round((start, end), sent, 0, counts, {"node": 1.0}, {"frame_ms": 100.0, "ask_ms": 50.0})


def test_figures_are_of_what_was_answered_within_the_rounds():
    rounds = [a_round(0.0, 2.0, 20, 25, 8), a_round(10.0, 12.0, 20, 45, 16)]
    within = [answer(at) for at in (0.5, 1.0, 1.5, 10.5, 11.0, 11.5)] + [answer(11.9, standing=False)]
    outside = [answer(5.0), answer(1.1, error="no frame")]
    found = node_figures.summarise(rounds, {"images": 5, "looked_at": 2, "dropped": 0}, within + outside, {})
    assert (found["answers_hz"], found["standing_hz"], found["errors"]) == (7 / 4, 6 / 4, 1)
    assert (found["sent"], found["lost"]) == (40, 0)
    busy = (14 * 100 + 7 * 50) / 1e3  # frames looked at and answers, at what they cost the encoder alone
    assert found["share_of_alone"] == pytest.approx(busy / 4)
    assert found["alone_hz"] == pytest.approx(7 / busy)


@pytest.mark.parametrize(
    ("answers", "in_time", "kept"),
    [
        ([answer(0, deadline_ms=300.0)] * 4, 1.0, 1.0),
        ([answer(0, deadline_ms=300.0, missed=True)] * 3 + [answer(0, deadline_ms=300.0)], 0.25, 0.25),
        ([answer(0, deadline_ms=150.0, missed=True, glance_exceeds=True)] * 2, 0.0, 1.0),  # it says that the glance alone exceeds it
    ],
)
def test_deadlines_kept(answers, in_time, kept):
    found = node_figures.keeping(answers)
    assert (found["in_time"], found["kept"]) == (in_time, kept)


def test_no_deadline_no_figure():
    assert node_figures.keeping([answer(0)]) == {}


@pytest.mark.parametrize(
    ("own", "growth"),
    [([100.0, 200.0] + [200.0] * 8, 0.0), ([100.0 + n for n in range(10)], 6.0), ([50.0], 0.0)],  # the first fifth warms up
)
def test_growth_of_memory(own, growth):
    assert node_figures.memory_of([Sample(n, 0.0, mb, 0.0) for n, mb in enumerate(own)])["growth"] == growth


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_is_sampled_from_outside():
    program = "import sys, time\nx = b'x' * 50_000_000\nwhile time.process_time() < 0.2: pass\nprint(flush=True)\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        found = processes.sample(process.pid)
        process.stdin.close()
    assert found.own > 50
    assert 0.15 < found.cpu < 1.0
    assert found.shared < 20


def test_a_part_that_ends_is_told_with_what_it_said():
    part = processes.Part("benchmarks.dds_ends", "send", "--kind", "film")
    with pytest.raises(node.Ps3Error, match=r"benchmarks.dds_ends ended with exit code 2 .*film"):
        part.ask()
    part.stop()


PROGRAM = """
import os, sys
from pathlib import Path
from benchmarks import node, report
from ps3_ros import transport
report.RESULTS = Path(sys.argv[1])
code = node.main(sys.argv[2:])
sys.exit("the next case's camera would take this profile" if any(map(os.environ.get, transport.PROFILE_VARIABLES)) else code)
"""


def test_it_runs_over_dds(tmp_path, run_program):
    # In a process of its own: Fast DDS reads a profile once a process, and the listener's is none to send frames with, as later tests do.
    run = run_program(PROGRAM)
    data = json.loads((tmp_path / "node.json").read_text())
    case, counted = data["cases"][0], data["only_counted"]["raw 10 Hz"]
    assert case["standing_hz"] > 0.3
    assert 0 < case["age_ms"]["p50"] <= case["age_ms"]["p99"]
    assert 10 <= case["sent"] <= 21
    assert 0 <= case["lost"] <= case["sent"] / 2
    assert case["cpu"]["node"] > 0
    assert case["memory"]["node"]["own"] > 50
    assert 10 <= counted["sent"] <= 21
    assert "share" in run.stdout
    assert (tmp_path / "node-ages.png").stat().st_size > 1000
