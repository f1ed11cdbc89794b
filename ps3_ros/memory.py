"""Freed memory is kept for the next frame. Standard library only: it must run before numpy and the runtimes start threads.

A 4K frame is 24.9 MB and the attention of a look as much again. glibc gives blocks of that size back to the system when they are freed,
so that the next frame gets them as fresh pages, one fault each: on a virtual machine this was 27 of the 34 ms that receiving a frame takes,
and 14% of the encoder's CPU time (docs/performance.md). What is kept is what was in use at the peak.
"""

import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h
ALL, OLD_MOST = 1 << 30, 32 << 20  # bytes; glibc before 2.36 refuses a higher threshold than 32 MB for blocks that are mapped by themselves
CHOSEN_BY_USER = ("MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_")


def keep_freed_memory(environ=os.environ):
    """Has this process keep what it frees, in one arena for all threads: other arenas go back to the system at 64 MB whatever is set.

    For the processes of a command, not for a library's caller. Returns whether it was done: not where another C library runs, or where the
    user has set malloc's own variables.
    """
    if any(environ.get(name) for name in CHOSEN_BY_USER) or "glibc.malloc" in environ.get("GLIBC_TUNABLES", ""):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no such function, or no C library to look it up in
        return False
    kept = mallopt(M_MMAP_THRESHOLD, ALL) or mallopt(M_MMAP_THRESHOLD, OLD_MOST)
    return bool(kept and mallopt(M_TRIM_THRESHOLD, ALL) and mallopt(M_ARENA_MAX, 1))
