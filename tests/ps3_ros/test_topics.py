"""The table of topics: names with and without a camera, and types that exist."""

import pytest

from ps3_ros import topics

SOME = {"image": topics.topic("image"), "answer": topics.topic("answer"), "diagnostics": topics.TOPICS[-1]}


@pytest.mark.parametrize(
    ("key", "camera", "name"),
    [
        ("image", None, "image"),
        ("image", "front", "front/image"),
        ("answer", None, "~/answer"),
        ("answer", "front", "~/front/answer"),
        ("diagnostics", "front", "/diagnostics"),
    ],
)
def test_a_cameras_name_comes_before_the_topics_own(key, camera, name):
    assert SOME[key].of(camera) == name


def test_every_topic_is_declared_once_and_in_full():
    assert len({topic.name for topic in topics.TOPICS}) == len(topics.TOPICS)
    for topic in topics.TOPICS:
        assert topic.direction in ("in", "out")
        assert topic.what.endswith(".") and topic.type.count("/") == 2


def test_types_are_found_where_their_package_is_installed():
    messages = pytest.importorskip("std_msgs.msg")
    assert topics.kind("std_msgs/msg/String") is messages.String
    assert topics.kind("no_such_msgs/msg/Thing") is None
    for topic in topics.TOPICS:
        assert topics.kind(topic.type) is not None or topic.needs, topic.name


def test_an_unknown_topic_is_told():
    with pytest.raises(KeyError, match="'smell' is declared"):
        topics.topic("smell")
