"""What a stage of an export used goes back to the system before the next one starts."""

import ctypes
import gc


def give_back() -> None:
    """Frees what only cycles hold, as traced modules do, and what the C library keeps for later: half of a closed session's weights."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # another C library, or none to look it up in
        pass
