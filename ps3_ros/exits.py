"""How every command of the project ends: one sentence and an exit code, never a traceback for what a user can mend."""

import sys
from collections.abc import Callable

from .errors import Ps3Error

BAD_INPUT, STOPPED = 2, 130


def exit_code(name: str, action: Callable[[], int | None]) -> int:
    """Runs a command's action and returns its exit code (None counts as 0): 2 for input that cannot be used, 130 for Ctrl-C.

    name: what stands before the sentence on stderr.
    """
    try:
        return action() or 0
    except Ps3Error as error:
        print(f"{name}: {error}", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        print(f"{name}: {error.strerror or error}: {error.filename!r}; check the path and its rights", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        return STOPPED
