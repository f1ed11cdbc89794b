"""Freed memory is kept: told by page faults, in processes of their own, as the setting is a whole process's."""

import os
import subprocess
import sys

import pytest

# A block of 24.9 MB, taken, written and freed in turns by a second thread, as a frame is: page faults a turn, after the first turns.
PROGRAM = """
import resource, sys, threading
from ps3_ros.memory import keep_freed_memory
done = keep_freed_memory() if sys.argv[1] == "keep" else None
def work():
    for turn in range(8):
        if turn == 4:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        blocks = [b"x" * (3840 * 2160 * 3) for _ in range(3)]
        del blocks
    print(done, (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 4)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def run(way, **environ):
    """(what keep_freed_memory gave, page faults a turn)"""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_") and name != "GLIBC_TUNABLES"}
    done = subprocess.run([sys.executable, "-c", PROGRAM, way], env=env | environ, capture_output=True, text=True, timeout=60, check=True)
    word, faults = done.stdout.split()
    return word, int(faults)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's setting")
def test_freed_blocks_come_back_without_page_faults():
    if run("keep")[0] != "True":
        pytest.skip("this C library has no mallopt")
    assert run("keep")[1] < 100
    assert run("leave")[1] > 3000, "6,075 pages a block, or the setting does nothing here"


@pytest.mark.parametrize(
    "environ",
    [{"MALLOC_ARENA_MAX": "4"}, {"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}],
)
def test_what_the_user_set_is_left_alone(environ):
    assert run("keep", **environ)[0] == "False"
