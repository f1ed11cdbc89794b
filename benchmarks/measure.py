"""Contenders in turn: processes that serve.py drives, interleaved so that a busy machine is as busy for each of them."""

import json
import os
import statistics
import subprocess
import tempfile
from dataclasses import dataclass, field

from tqdm import tqdm

from ps3_ros.errors import Ps3Error

from .models import ROOT

LAST_LINES = 400  # characters of a failed contender's stderr in the error


@dataclass
class Contender:
    """name: in tables; command: argv; environ: more variables. rows: what every counted run answered; why_not: set where it could not."""

    name: str
    command: list
    threads: int
    environ: dict = field(default_factory=dict)
    about: dict = field(default_factory=dict)
    loaded_mb: float = 0.0
    rows: list = field(default_factory=list)
    why_not: str = ""
    process: subprocess.Popen | None = None
    errors: object = None  # a file: a pipe that nobody reads would fill and stop the contender

    def start(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads), "PYTHONPATH": str(ROOT), **self.environ}
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [str(part) for part in self.command],
            cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
        )  # fmt: skip
        answer = self._answer()
        self.about, self.loaded_mb = answer["about"], answer["loaded_mb"]

    def run(self) -> dict:
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        return self._answer()

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()
        self.process = None

    def median(self, stage: str = "total") -> float:
        """Seconds of a stage over the counted runs; 0.0 where it has no such stage."""
        return statistics.median(row["seconds"].get(stage, 0.0) for row in self.rows)

    @property
    def cpu_seconds(self) -> float:
        return statistics.median(row["cpu_seconds"] for row in self.rows)

    @property
    def peak_mb(self) -> float:
        return max(row["peak_mb"] for row in self.rows)

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            said = " ".join(self.errors.read().split())[-LAST_LINES:]
            raise Ps3Error(f"contender {self.name!r} ended with exit code {self.process.returncode} ({said}); run its command by hand")
        return json.loads(line)


def interleave(contenders: list, runs: int, warm_ups: int = 1) -> list:
    """Each contender once, then each again, `runs` times after the warm-ups. Returns those that ran; the others have `why_not`.

    A contender that is to be left out has `why_not` set beforehand. All processes end with the call, whatever happens in it.
    """
    ready = [c for c in contenders if not c.why_not]
    try:
        for contender in ready:
            contender.start()
        with tqdm(total=(runs + warm_ups) * len(ready), desc="runs", unit="run") as bar:
            for turn in range(warm_ups + runs):
                for contender in ready:
                    bar.set_postfix_str(contender.name)
                    row = contender.run()
                    if turn >= warm_ups:
                        contender.rows.append(row)
                    bar.update()
    finally:
        for contender in ready:
            contender.stop()
    return ready
