"""The layouts for RViz and Foxglove name only topics that the node declares, each with a type that the panel can show."""

import json
from pathlib import Path

import pytest

from ps3_ros.topics import TOPICS

CONFIG = Path(__file__).resolve().parents[2] / "config"
TYPES = {("" if t.name.startswith("/") else "/") + t.name.replace("~/", "ps3/"): t for t in TOPICS}  # of a node /ps3 in the root namespace
IMAGES = {"sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"}
SHOWN = {"Image": IMAGES, "RawMessages": {"std_msgs/msg/String"}, "DiagnosticSummary": {"diagnostic_msgs/msg/DiagnosticArray"}}
ANNOTATIONS = {"visualization_msgs/msg/ImageMarker"}
REQUIRED = {"/image", "/ps3/overlay/compressed", "/ps3/saliency"}  # what both layouts must show


def panels(layout):
    if isinstance(layout, str):
        yield layout
    else:
        yield from panels(layout["first"])
        yield from panels(layout["second"])


def test_foxglove():
    data, seen = json.loads((CONFIG / "foxglove.json").read_text()), set()
    assert sorted(panels(data["layout"])) == sorted(data["configById"])  # every panel is placed once, and configured
    for name, panel in data["configById"].items():
        kind = name.split("!")[0]
        if kind == "Publish":
            topic = TYPES[panel["topicName"]]
            assert (topic.direction, topic.type) == ("in", panel["datatype"]) and set(json.loads(panel["value"])) == {"data"}
            continue
        shown = panel.get("imageMode", {}).get("imageTopic") or panel.get("topicPath") or panel["topicToRender"]
        assert TYPES[shown].type in SHOWN[kind], shown
        assert all(TYPES[topic].type in ANNOTATIONS for topic in panel.get("imageMode", {}).get("annotations", {}))
        seen.add(shown)
    assert REQUIRED | {"/ps3/answer"} <= seen


def test_rviz():
    yaml = pytest.importorskip("yaml")
    data, seen = yaml.safe_load((CONFIG / "ps3.rviz").read_text()), set()
    for display in data["Visualization Manager"]["Displays"]:
        topic = TYPES[display["Topic"]["Value"]]
        assert display["Class"] == "rviz_default_plugins/Image" and topic.type in IMAGES
        wanted = {"reliable": {"Reliable"}, "qos_reliability": {"Best Effort"}}[topic.reliability]
        assert display["Topic"]["Reliability Policy"] in wanted
        seen.add(display["Topic"]["Value"])
    assert REQUIRED <= seen
