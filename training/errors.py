"""What can go wrong in training."""

from ps3_ros.errors import Ps3Error


class TrainingError(Ps3Error):
    """Training cannot start or go on: settings, data, or a loss that is not a number."""


class Stopped(Exception):
    """A signal asked the run to stop; everything is saved. Its text is the sentence for the user."""
