"""A picture file for tests of the folder form."""

import cv2
import numpy as np


def picture(path, seed=0, shape=(48, 64, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 255, shape, np.uint8))
