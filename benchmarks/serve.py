"""One contender in a process of its own, run on demand. Standard library only: a peer's environment need not have ours.

The parent writes "run" lines; every run is answered by one JSON line. So contenders can take turns, and each one's peak memory is its own.
"""

import json
import sys
import time


def serve(run, about: dict) -> None:
    """Answers `about` once, then every "run" line by what `run()` gives: {stage: seconds}; ends with the input."""
    out, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    print(json.dumps({"about": about, "loaded_mb": memory_mb("VmRSS")}), file=out, flush=True)
    for line in sys.stdin:
        if line.strip() != "run":
            break
        wall, cpu = time.perf_counter(), time.process_time()
        stages = run()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        answer = {"seconds": {**stages, "total": wall}, "cpu_seconds": cpu, "peak_mb": memory_mb("VmHWM")}
        print(json.dumps(answer), file=out, flush=True)


def memory_mb(entry: str) -> float:
    """MB of a line of /proc/self/status: VmRSS now, VmHWM at most since the program began (ru_maxrss would count the parent's as well)."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(entry)) * 1024 / 1e6


class Stages:
    """Seconds of named stages: `with stages("cut"): ...`; a name that comes again is added to."""

    def __init__(self):
        self.seconds = {}

    def __call__(self, name: str):
        self.name = name
        return self

    def __enter__(self):
        self.start = time.perf_counter()

    def __exit__(self, *error):
        self.seconds[self.name] = self.seconds.get(self.name, 0.0) + time.perf_counter() - self.start
