"""What an answer's regions gain from a camera's calibration, its depth images and the answers before: bearings, positions, ids.

One Places and one Tracks a camera. No ROS import: calibrations and depth images come as the plain fields of their messages.
"""

import threading
from collections import deque
from dataclasses import asdict, dataclass, replace

import numpy as np

from .bearings import CalibrationError, locate
from .tracks import Tracker

KEPT_DEPTHS = 4  # depth images that came before the frame they belong to was chosen
KEPT_TRACKERS = 128  # of standing queries; the one that was asked longest ago goes first
DEPTH_TYPES = {"16UC1": np.uint16, "mono16": np.uint16, "32FC1": np.float32}  # mono16: what some drivers call their millimetres


@dataclass(frozen=True)
class Depth:
    """A depth image as it came. view: uint16 [h, w] millimetres or float32 [h, w] metres along z."""

    stamp_ns: int
    view: np.ndarray


def depth_image(height, width, encoding, is_bigendian, step, data, stamp_ns):
    """The fields of sensor_msgs/Image -> Depth, viewed in place (REP-118). Raises CalibrationError."""
    if encoding not in DEPTH_TYPES:
        raise CalibrationError(f"depth image has the encoding {encoding[:40]!r}; publish 16UC1 (millimetres) or 32FC1 (metres)")
    kind = np.dtype(DEPTH_TYPES[encoding]).newbyteorder(">" if is_bigendian else "<")
    if height < 1 or width < 1 or step < width * kind.itemsize or len(data) != step * height:
        raise CalibrationError(
            f"depth image of {width} x {height} {encoding} px has a step of {step} and {len(data)} bytes of data, which do not fit; "
            "publish every row in full"
        )
    return Depth(stamp_ns, np.ndarray((height, width), kind, memoryview(data), strides=(step, kind.itemsize)))


class Places:
    """A camera's calibration and newest depth images, from its callbacks; `complete` gives regions their places, in the thread that looks.

    log: function of (kind, sentence).
    """

    def __init__(self, log):
        self._log, self._lock = log, threading.Lock()
        self._camera, self._scaled = None, None
        self._depths, self._wanted, self._best = deque(maxlen=KEPT_DEPTHS), None, None

    def clear(self):
        """As after a deactivation."""
        with self._lock:
            self._camera = self._scaled = self._wanted = self._best = None
            self._depths.clear()

    def put_camera(self, camera):
        """A calibration: bearings.Camera; None where the camera has said that it has none."""
        with self._lock:
            self._camera, self._scaled = camera, None

    def put_depth(self, depth):
        """A Depth."""
        with self._lock:
            self._depths.append(depth)
            if self._wanted is not None:
                self._best = self._nearer(self._best, depth)

    def want(self, stamp_ns):
        """The depth image nearest to this stamp is kept, even if newer ones come: the frame of this stamp is looked at from now on."""
        with self._lock:
            self._wanted, self._best = stamp_ns, None
            for depth in self._depths:
                self._best = self._nearer(self._best, depth)

    def complete(self, answer, frame, tolerance_s):
        """The answer with what is known of its regions' places. tolerance_s: between the stamps of frame and depth image."""
        with self._lock:
            camera, best = self._camera, self._best
        if camera is None or not answer.regions:
            return answer
        try:
            if self._scaled is None or self._scaled[0] is not camera or self._scaled[1:3] != (frame.width, frame.height):
                self._scaled = camera, frame.width, frame.height, camera.scaled(frame.width, frame.height)
            depth = None
            if best is not None and frame.stamp_ns and abs(best.stamp_ns - frame.stamp_ns) <= tolerance_s * 1e9:
                depth = best.view
        except CalibrationError as error:
            self._log("calibration", str(error))
            return answer
        return replace(answer, regions=tuple(self._placed(region, self._scaled[3], depth) for region in answer.regions))

    def _placed(self, region, camera, depth):
        try:
            return replace(region, **asdict(locate(region.box, camera, depth)))
        except CalibrationError as error:  # of this one: at the rim of a wide lens
            self._log("calibration", str(error))
            return region

    def _nearer(self, one, other):
        far = lambda depth: abs(depth.stamp_ns - self._wanted)  # noqa: E731
        return other if one is None or far(other) <= far(one) else one


class Tracks:
    """Ids of the regions of each standing query of one camera. Used by the thread that looks."""

    def __init__(self, clock_s):
        """clock_s: function that gives seconds, for frames without a stamp."""
        self._clock, self._trackers = clock_s, {}

    def clear(self):
        """As after a deactivation: ids begin anew."""
        self._trackers = {}

    def complete(self, answer, request, frame):
        """A standing query's final answer with a track a region; another answer as it is."""
        if not (answer.standing and answer.final):
            return answer
        tracker = self._trackers.pop(request.key, None) or Tracker()
        self._trackers[request.key] = tracker
        if len(self._trackers) > KEPT_TRACKERS:
            del self._trackers[next(iter(self._trackers))]
        if answer.looks == 0:  # nothing was looked at, so nothing is gone
            return answer
        time_s = frame.stamp_ns / 1e9 if frame.stamp_ns else self._clock()
        ids = tracker.update([r.box for r in answer.regions], [r.label for r in answer.regions], time_s)
        return replace(answer, regions=tuple(replace(r, track=n) for r, n in zip(answer.regions, ids, strict=True)))
