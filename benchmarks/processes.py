"""Processes that a benchmark starts, asks by lines of JSON, and watches from outside: CPU seconds and memory out of /proc."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ps3_ros.errors import Ps3Error

from .models import ROOT

READY_S = 180.0  # for the node to load and measure, on a busy machine too
STOP_S = 5.0  # between SIGTERM and SIGKILL
LAST_LINES = 400  # characters of an ended process's output in the error
TICKS = os.sysconf("SC_CLK_TCK")


class Part:
    """`python -m module arguments`. It may answer lines (see `answer_lines`): ask() waits for each; its other output is kept for errors."""

    def __init__(self, module, *arguments, environ=None):
        self.name, self._said = module, tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **(environ or {})}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        return self.process.pid

    def ask(self, *words) -> dict:
        """Sends a line and returns its answer; without words it waits for the answer that tells that the process is ready."""
        if words:
            self.process.stdin.write(" ".join(map(str, words)) + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.check()
        return json.loads(line)

    def check(self) -> None:
        """Raises Ps3Error, with what it said last, where it has ended."""
        if self.process.poll() is not None:
            self._said.seek(0)
            said = " ".join(self._said.read().split())[-LAST_LINES:]
            raise Ps3Error(f"{self.name} ended with exit code {self.process.returncode} ({said}); run it by hand")

    def stop(self) -> None:
        self.process.stdin.close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self._said.close()


def answer_lines(answer, ready: dict) -> None:
    """The other end of Part.ask: says `ready`, then for every line what `answer(*words)` gives; ends with the input."""
    out, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    print(json.dumps(ready), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(*line.split())), file=out, flush=True)


@dataclass(frozen=True)
class Sample:
    """Of one process. at: monotonic seconds; cpu: seconds since its start; own, shared: MB in memory, its own and of shared segments."""

    at: float
    cpu: float
    own: float
    shared: float


def sample(pid: int, proc: Path = Path("/proc")) -> Sample:
    """Raises OSError where the process is gone."""
    fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    lines = dict(line.split(":", 1) for line in (proc / str(pid) / "status").read_text().splitlines())
    kilobytes = {name: int(lines[name].split()[0]) for name in ("VmRSS", "RssShmem")}
    cpu = (int(fields[11]) + int(fields[12])) / TICKS  # utime and stime: proc_pid_stat(5), fields 14 and 15
    shared = kilobytes["RssShmem"] * 1024 / 1e6
    return Sample(time.monotonic(), cpu, kilobytes["VmRSS"] * 1024 / 1e6 - shared, shared)


class Watch:
    """Samples processes by name, all `every_s` seconds, until stopped."""

    def __init__(self, pids: dict, every_s: float = 1.0):
        self.pids, self.samples = pids, {name: [] for name in pids}
        self._every_s, self._stopped = every_s, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def now(self) -> dict:
        """{name: Sample} of those that still run."""
        found = {}
        for name, pid in self.pids.items():
            try:
                found[name] = sample(pid)
            except (OSError, KeyError):  # gone, or about to be
                continue
        return found

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self):
        while not self._stopped.wait(self._every_s):
            for name, found in self.now().items():
                self.samples[name].append(found)
