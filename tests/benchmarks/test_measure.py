"""Contenders take turns in processes of their own, and a result is written whole or not at all."""

import json
import sys

import pytest

from benchmarks import report
from benchmarks.measure import Contender, interleave
from ps3_ros.errors import Ps3Error

ORDER = """
import sys
from benchmarks.serve import Stages, serve
def run():
    with open(sys.argv[2], "a") as log:
        log.write(sys.argv[1])
    print("a library's own words")
    held.append(b"x" * int(sys.argv[3]))
    return {"stage": 0.25}
held = []
serve(run, {"name": sys.argv[1]})
"""


def contender(name, log, held=1):
    return Contender(name, [sys.executable, "-c", ORDER, name, log, held], threads=1)


def test_contenders_take_turns_and_count_for_themselves(tmp_path):
    log = tmp_path / "log"
    small, large = contender("a", log), contender("b", log, held=50_000_000)
    left_out = Contender("c", ["no such program"], threads=1, why_not="not installed")
    assert interleave([small, left_out, large], runs=2) == [small, large]
    assert log.read_text() == "ababab"  # one warm-up and two runs each
    assert len(small.rows) == 2 and small.median("stage") == 0.25 and small.median("no such stage") == 0.0
    assert small.about == {"name": "a"} and small.median() > 0
    assert large.peak_mb > small.peak_mb + 100  # three runs of 50 MB
    assert small.process is None and large.process is None


def test_a_contender_that_fails_is_one_sentence():
    broken = Contender("broken", [sys.executable, "-c", "raise SystemExit('no such weights')"], threads=1)
    with pytest.raises(Ps3Error, match="'broken' ended with exit code 1 .*no such weights"):
        interleave([broken], runs=1)


def test_a_table_lines_up(capsys):
    report.print_table(["what", "ms"], [["glance", 12.345], ["look", None], ["all", 1234.5]])
    assert capsys.readouterr().out.splitlines() == ["what      ms", "glance  12.3", "look       -", "all     1234"]


def test_json_is_written_beside_and_renamed(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    path = report.write_json("x", {"a": 1})
    assert json.loads(path.read_text()) == {"a": 1} and [p.name for p in path.parent.iterdir()] == ["x.json"]
    with pytest.raises(TypeError):
        report.write_json("x", {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1} and [p.name for p in path.parent.iterdir()] == ["x.json"]


def test_figures_come_with_their_machine():
    here = report.machine()
    assert here["cores"] >= 1 and here["load_before"] >= 0 and "numpy" in here["packages"]
