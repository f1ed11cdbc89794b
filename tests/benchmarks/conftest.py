"""Makes `benchmarks` importable: it is a folder of programs, not an installed package; and runs one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ps3_ros import transport

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


@pytest.fixture
def run_program(tmp_path, tiny_bundle):
    """Function of a script that takes its results' folder and then a benchmark's options: its finished process, which ended well."""

    def run(program):
        command = [sys.executable, "-c", program, str(tmp_path), "--quick", "--bundle", str(tiny_bundle), "--threads", "1"]
        names = ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", *transport.PROFILE_VARIABLES)
        environment = {name: value for name, value in os.environ.items() if name not in names}
        finished = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
        assert finished.returncode == 0, finished.stderr[-2000:]
        return finished

    return run
