"""Bundles of the tiny checkpoint in the other precisions, made once for all tests of the export."""

import cv2
import pytest

from ps3_export.export import export_checkpoint
from ps3_export.views import textured_frame


@pytest.fixture(scope="session")
def frame_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("frames") / "frame.jpg"
    cv2.imwrite(str(path), textured_frame(270, 480))
    return path


@pytest.fixture(scope="session")
def half_bundle(made_once, tiny_checkpoint, frame_file):
    return made_once("bundles/half", lambda out: export_checkpoint(tiny_checkpoint, out, precision="fp16", frames=[frame_file], views=2))


@pytest.fixture(scope="session")
def int8_bundle(made_once, tiny_checkpoint, frame_file):
    return made_once("bundles/int8", lambda out: export_checkpoint(tiny_checkpoint, out, precision="int8", frames=[frame_file], views=2))
