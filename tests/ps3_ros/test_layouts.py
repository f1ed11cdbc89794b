"""The layouts for RViz and Foxglove name only topics that the node declares, each with a type that the panel can show, and have the keys
that these programs read: of rviz_common, rviz_default_plugins (image_display.cpp, qos_profile_property.cpp, visualization_frame.cpp) and of
the open-source Lichtblick, whose layouts are Foxglove's (validateLayoutData, each panel's config type)."""

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

TITLES = {"foxglovePanelTitle", "lichtblickPanelTitle"}  # the same in either program
FIELDS = {  # a panel's config: what it must have, and what it may have beside
    "Image": ({"imageMode"}, {"cameraState"}),
    "RawMessages": ({"topicPath", "diffEnabled", "diffMethod", "diffTopicPath", "showFullMessageForDiff"}, {"fontSize", "expansion"}),
    "Publish": ({"topicName", "datatype", "value", "advancedView"}, {"buttonText", "buttonTooltip", "buttonColor"}),
    "DiagnosticSummary": ({"topicToRender", "minLevel", "pinnedIds", "hardwareIdFilter"}, {"sortByLevel", "secondsUntilStale"}),
}
RVIZ_IMAGE = {"Class", "Name", "Enabled", "Value", "Topic", "Normalize Range", "Min Value", "Max Value", "Median window"}
RVIZ_QOS = {
    "History Policy": {"System Default", "Keep Last", "Keep All"},
    "Reliability Policy": {"System Default", "Reliable", "Best Effort"},
    "Durability Policy": {"System Default", "Transient Local", "Volatile"},
}


def panels(layout):
    """Names in the tree of splits."""
    if isinstance(layout, str):
        yield layout
    else:
        assert layout["direction"] in ("row", "column") and set(layout) <= {"direction", "first", "second", "splitPercentage"}
        yield from panels(layout["first"])
        yield from panels(layout["second"])


def test_foxglove():
    data, seen = json.loads((CONFIG / "foxglove.json").read_text()), set()
    assert all(isinstance(data[key], dict) for key in ("configById", "globalVariables", "userNodes"))
    assert data["playbackConfig"]["speed"] == 1
    assert sorted(panels(data["layout"])) == sorted(data["configById"])  # every panel is placed once, and configured
    for name, panel in data["configById"].items():
        kind, _, own = name.partition("!")
        must, may = FIELDS[kind]
        assert own and must <= set(panel) <= must | may | TITLES and len({panel[title] for title in TITLES}) == 1
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
    manager, window = data["Visualization Manager"], data["Window Geometry"]
    assert [panel["Class"] for panel in data["Panels"]] == ["rviz_common/Displays"]
    assert {tool["Class"] for tool in manager["Tools"]} == {"rviz_default_plugins/Interact"}
    assert manager["Transformation"]["Current"]["Class"] == "rviz_default_plugins/TF"
    for display in manager["Displays"]:
        topic, policies = TYPES[display["Topic"]["Value"]], display["Topic"]
        assert display["Class"] == "rviz_default_plugins/Image" and set(display) == RVIZ_IMAGE and topic.type in IMAGES
        assert topic.name.endswith("/compressed") == topic.type.endswith("CompressedImage"), "RViz takes the transport from the topic's end"
        assert all(policies[name] in allowed for name, allowed in RVIZ_QOS.items()) and set(policies) == {*RVIZ_QOS, "Depth", "Value"}
        wanted = {"reliable": {"Reliable"}, "qos_reliability": {"Best Effort"}}[topic.reliability]
        assert policies["Reliability Policy"] in wanted
        seen.add(policies["Value"])
    assert REQUIRED <= seen
    assert window["Hide Left Dock"] is False, "the images are there, and RViz reads this without a default"
    assert set(window) <= {"Height", "Width", "Hide Left Dock", "Hide Right Dock"} | {display["Name"] for display in manager["Displays"]}
