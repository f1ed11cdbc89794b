"""Where things are, who looks at them and in which light: what render.py draws.

World: metres, y up. A camera looks along -z of its own axes; matrices are for column vectors (world = matrix @ point).
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Placed:
    """A model in the world. matrix: float [4, 4], model to world. number: its id, 0 = nobody's; tint multiplies its colours."""

    model: object  # models.Model
    matrix: np.ndarray
    number: int = 0
    tint: tuple = (1.0, 1.0, 1.0)
    shadow: bool = True  # throws one


@dataclass(frozen=True)
class Camera:
    """eye: metres. yaw, pitch, roll: degrees; yaw 0 looks along -z, positive turns left; positive pitch looks up. focal: picture widths."""

    eye: tuple = (0.0, 1.5, 0.0)
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    focal: float = 0.9
    near: float = 0.05
    far: float = 300.0

    def view(self):
        """float [4, 4], world to camera."""
        yaw, pitch, roll = np.radians([self.yaw, self.pitch, self.roll])
        turn = _about(1, yaw) @ _about(0, pitch) @ _about(2, roll)
        matrix = np.eye(4)
        matrix[:3, :3] = turn.T
        matrix[:3, 3] = -turn.T @ np.asarray(self.eye, float)
        return matrix

    def projection(self, size):
        """float [4, 4], camera to clip space, for a picture of (width, height) px."""
        width, height = size
        near, far = self.near, self.far
        matrix = np.zeros((4, 4))
        matrix[0, 0], matrix[1, 1] = 2 * self.focal, 2 * self.focal * width / height
        matrix[2, 2], matrix[2, 3] = (far + near) / (near - far), 2 * far * near / (near - far)
        matrix[3, 2] = -1
        return matrix


@dataclass(frozen=True)
class Light:
    """Where light comes from. Colours are linear red, green, blue. bounds: float [2, 3], the part of the world that has shadows."""

    direction: tuple = (0.4, 1.0, 0.5)  # towards the sun, or the window
    sun: tuple = (2.4, 2.3, 2.1)
    sky: tuple = (0.7, 0.75, 0.85)  # from above
    ground: tuple = (0.35, 0.33, 0.3)  # from below
    lamps: tuple = field(default=())  # of (position, colour, reach in metres)
    fog: tuple = (0.7, 0.75, 0.8, 0.0)  # colour, and density a metre
    exposure: float = 1.0
    bounds: np.ndarray | None = None


def _about(axis, angle):
    """Rotation matrix [3, 3] about x (0), y (1) or z (2), angle in radians."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    matrix = np.eye(3)
    matrix[i, i], matrix[j, j], matrix[i, j], matrix[j, i] = c, c, -s, s
    return matrix


def placed_at(position, turn=0.0, scale=1.0):
    """Model-to-world matrix [4, 4]: position in metres, turn about the vertical in degrees, one scale or three."""
    matrix = np.eye(4)
    matrix[:3, :3] = _about(1, np.radians(turn)) @ np.diag(np.broadcast_to(scale, 3))
    matrix[:3, 3] = position
    return matrix
