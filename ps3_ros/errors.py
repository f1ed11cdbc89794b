"""What can go wrong with what comes from outside. Each message is one sentence: what was wrong, the value, what to do."""


class Ps3Error(ValueError):
    """Base of every error a user can cause; the command line prints it and exits with 2, the node counts and logs it."""


class FrameError(Ps3Error):
    """A camera image that cannot be used: size, type, encoding, or truncated data."""


class QueryError(Ps3Error):
    """A question that cannot be asked: empty, too long, or not text."""


class BundleError(Ps3Error):
    """A model folder that cannot be trusted or read: missing file, changed byte, unknown schema, wrong shape."""


class BackendError(Ps3Error):
    """An inference runtime that is missing, refused the asked-for device, or failed in a run."""


class OutOfMemoryError(BackendError):
    """A device without the memory for what was asked: fewer patches may still fit."""


class CheckpointError(Ps3Error):
    """A torch checkpoint whose tensors or settings do not fit the model."""


def sentence(error):
    """Of an expected error its own; of any other what it was, with what to do."""
    if isinstance(error, Ps3Error):
        return str(error)
    return f"{type(error).__name__}: {error}; this is a fault in ps3_ros or a library of it, please report it"
