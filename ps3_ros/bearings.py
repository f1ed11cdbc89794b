"""Where in the world a region is: a ray for each box from the camera's calibration, and a point where an aligned depth image measured one.

Optical frame (REP-103): x right, y down, z forward. Calibration as sensor_msgs/CameraInfo has it. No ROS import; nothing is told that was
not measured: without a calibration there is no ray, without valid depth no point.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from .errors import Ps3Error

PINHOLE = ("plumb_bob", "rational_polynomial", "")  # "": no distortion is told, which a rectified image has
FISHEYE = ("equidistant", "fisheye")
MOST_DEPTHS = 64  # a side: more tell a median no better, and a large box must not cost more than a small one
LEAST_DEPTHS = 5  # valid depths in a box; fewer are no measurement
INNER = 0.5  # of a box's sides: what is measured, as a box's rim shows what is behind
FARTHEST = 1e6  # from the middle of the plane at depth 1: a ray that is 90 degrees off, or none
MILLIMETRES = 1000  # a metre
SPREAD = 1.4826  # of the median absolute deviation, to a normal distribution's standard deviation
MIDDLE_STD = 1 / 12  # of a box's side: its edges lie on patches, a few to a side, and its middle is known no better


class CalibrationError(Ps3Error):
    """A CameraInfo, or a depth image, that cannot be used."""


@dataclass(frozen=True)
class Camera:
    """A calibration. matrix: float64 [3, 3]; distortion: float64 [n]; fisheye: bool; width, height: of the image it is of, px."""

    matrix: np.ndarray
    distortion: np.ndarray
    fisheye: bool
    width: int
    height: int

    @staticmethod
    def of(width, height, model, k, d, binning=(1, 1), offset=(0, 0)):
        """From CameraInfo's fields. k: 9 numbers; d: any; binning, offset: of the image in the full sensor, px. Raises CalibrationError."""
        matrix, distortion = np.array(k, np.float64).reshape(3, 3), np.array(d, np.float64)
        if not (np.isfinite(matrix).all() and np.isfinite(distortion).all()) or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
            raise CalibrationError(f"camera_info has the K {[float(v) for v in k]}; an uncalibrated camera has no bearings, calibrate it")
        if model not in (*PINHOLE, *FISHEYE):
            raise CalibrationError(f"camera_info has the distortion model {model!r}; known are plumb_bob, rational_polynomial, equidistant")
        fisheye = model in FISHEYE
        if fisheye and distortion.size != 4 or not fisheye and distortion.size not in (0, 4, 5, 8, 12, 14):
            raise CalibrationError(f"camera_info has {distortion.size} distortion coefficients for {model!r}; calibrate the camera again")
        if width < 1 or height < 1:
            raise CalibrationError(f"camera_info is of {width} x {height} px; set its width and height")
        scale = 1 / np.maximum(np.array(binning, np.float64), 1)
        matrix = np.diag([*scale, 1.0]) @ matrix
        matrix[:2, 2] -= np.array(offset) * scale
        return Camera(matrix, distortion, fisheye, int(width), int(height))

    def scaled(self, width, height):
        """The calibration of the same image at another size. Raises CalibrationError where the shape is another (more than 1%)."""
        x, y = width / self.width, height / self.height
        if abs(x / y - 1) > 0.01:
            raise CalibrationError(
                f"camera_info is of {self.width} x {self.height} px where the frame is {width} x {height}; they must match"
            )
        # Pixel centres are whole numbers in K: the scaling is about the corner of the image at -0.5.
        grow = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1.0]])
        return Camera(grow @ self.matrix, self.distortion, self.fisheye, int(width), int(height))

    def rays(self, points):
        """Unit rays of points in pixels, corners at whole numbers as boxes have them: [n, 2] -> float64 [n, 3].

        Raises CalibrationError where the distortion has no inverse there.
        """
        centres = np.asarray(points, np.float64).reshape(-1, 1, 2) - 0.5
        undistort = cv2.fisheye.undistortPoints if self.fisheye else cv2.undistortPoints
        try:
            plane = undistort(centres, self.matrix, self.distortion if self.distortion.size else np.zeros(4)).reshape(-1, 2)
        except cv2.error:
            plane = np.full((len(centres), 2), np.nan)
        if not (np.abs(plane) < FARTHEST).all():
            told = [float(v) for v in self.distortion]
            raise CalibrationError(f"camera_info's distortion {told} has no inverse at a region; calibrate the camera again")
        rays = np.column_stack([plane, np.ones(len(plane))])
        return rays / np.linalg.norm(rays, axis=1, keepdims=True)


@dataclass(frozen=True)
class Place:
    """A region in the optical frame.

    bearing: unit ray to the box's middle; size: angles (width, height) in radians; position: metres, and its covariance: 9 numbers, row by
    row, m^2; both None where no depth was measured.
    """

    bearing: tuple
    size: tuple
    position: tuple | None = None
    covariance: tuple | None = None


def locate(box, camera, depth=None):
    """Place of a box (x1, y1, x2, y2) in source px.

    depth: along z, aligned with the frame at any size: float [h, w] metres, or uint16 [h, w] millimetres, 0 for none (REP-118); or None.
    """
    x1, y1, x2, y2 = box
    middle = ((x1 + x2) / 2, (y1 + y2) / 2)
    sides = [(x1, middle[1]), (x2, middle[1]), (middle[0], y1), (middle[0], y2)]
    ray, left, right, top, bottom = camera.rays([middle, *sides])
    place = Place(_rounded(ray), _rounded([_angle(left, right), _angle(top, bottom)]))
    measured = None if depth is None else _depth_in(box, camera, depth)
    if measured is None:
        return place
    z, deviation = measured
    position = ray / ray[2] * z
    # Across the ray the middle is known to a part of the box's size, along it to the depths' spread.
    across = [max(1e-3, MIDDLE_STD * 2 * z * np.tan(angle / 2)) for angle in place.size]
    axes = _axes(ray)
    spread = np.diag([across[0] ** 2, across[1] ** 2, deviation**2])
    return Place(place.bearing, place.size, _rounded(position), _rounded((axes @ spread @ axes.T).ravel(), 9))


def _depth_in(box, camera, depth):
    """(median, standard deviation of that median's surface) of the valid depths in the inner part of a box, metres; None for too few."""
    h, w = depth.shape
    x1, y1, x2, y2 = box
    middle, half = ((x1 + x2) / 2, (y1 + y2) / 2), (INNER * (x2 - x1) / 2, INNER * (y2 - y1) / 2)
    low = [max(0, int(np.floor((middle[n] - half[n]) * s))) for n, s in ((0, w / camera.width), (1, h / camera.height))]
    high = [int(np.ceil((middle[n] + half[n]) * s)) for n, s in ((0, w / camera.width), (1, h / camera.height))]
    step = [max(1, (high[n] - low[n]) // MOST_DEPTHS) for n in (0, 1)]
    inner = depth[low[1] : high[1] : step[1], low[0] : high[0] : step[0]]
    if inner.dtype.kind == "u":
        inner = inner.astype(np.float32) / MILLIMETRES
    valid = inner[np.isfinite(inner) & (inner > 0)]
    if valid.size < LEAST_DEPTHS:
        return None
    valid = valid.astype(np.float64)  # float32 overflows between two of its largest
    z = float(np.median(valid))
    return z, max(1e-3, SPREAD * float(np.median(np.abs(valid - z))))


def _axes(ray):
    """Columns: right and down across a ray, and the ray itself: float64 [3, 3]."""
    right = np.cross([0.0, 1.0, 0.0], ray)
    right = right / np.linalg.norm(right) if np.linalg.norm(right) > 1e-9 else np.array([1.0, 0.0, 0.0])
    return np.column_stack([right, np.cross(ray, right), ray])


def _angle(a, b):
    return float(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b))


def _rounded(values, digits=6):
    return tuple(round(float(value), digits) for value in values)
