"""The list of labels that goes out beside the detections."""

import sys
from pathlib import Path

import pytest

from ps3_ros.errors import QueryError
from ps3_ros.labels import UNLABELED, LabelBook, label_info_message

pytestmark = pytest.mark.alone


def test_labels_keep_their_numbers_and_new_ones_are_told():
    book = LabelBook()
    assert book.add("mug")
    assert book.add("red | green traffic light")
    assert not book.add("mug")
    assert not book.add("green | red traffic light")
    assert book.items() == ((0, "mug"), (1, "red traffic light"), (2, "green traffic light"))


def test_only_the_labels_asked_last_are_kept_and_no_number_means_unlabeled():
    book = LabelBook(kept=2)
    for n in range(3):
        assert book.add(f"q{n}")
    assert book.items() == ((1, "q1"), (2, "q2"))
    assert not book.add("q1"), "asked again, so the other is dropped next"
    assert book.add("q3")
    assert book.items() == ((1, "q1"), (3, "q3"))
    assert book.add("q2"), "forgotten, so it is new"
    for n in range(UNLABELED):
        book.add(f"x{n}")
        assert all(number < UNLABELED for number, _ in book.items())


def test_what_is_no_question_is_refused():
    with pytest.raises(QueryError, match="empty choice"):
        LabelBook().add("a | ")


def test_the_message_tells_number_name_and_threshold():
    pytest.importorskip("vision_msgs", reason="vision_msgs has no wheel; it comes with every ROS distribution")
    from ps3_ros.messages import header

    book = LabelBook()
    book.add("mug")
    message = label_info_message(book, 0.25, header(7, "camera"))
    assert [(c.class_id, c.class_name) for c in message.class_map] == [(0, "mug")]
    assert message.threshold == 0.25
    assert message.header.frame_id == "camera"


def test_a_late_joiner_of_the_running_node_hears_every_label_that_was_asked(tiny_bundle, tmp_path):
    info = pytest.importorskip("vision_msgs.msg", reason="vision_msgs has no wheel; it comes with every ROS distribution").LabelInfo
    sys.path.insert(0, str(Path(__file__).parent))
    from fault_helpers import Ledger, start
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from ros_helpers import free_domain

    domain = free_domain()
    node, robot, told = start(tiny_bundle, domain, tmp_path), Ledger(domain), []
    try:
        robot.wait_connected()
        robot.good(timeout_s=90)
        robot.one("red | green traffic light")
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        robot.node.create_subscription(info, "ps3/label_info", told.append, latched)
        robot.until(lambda: told, 20, "the list")
        assert [c.class_name for c in told[-1].class_map] == ["mug", "red traffic light", "green traffic light"]
        assert told[-1].threshold == 0.5
        robot.one("stop sign")
        robot.until(lambda: told[-1].class_map[-1].class_name == "stop sign", 20, "the new label")
    finally:
        node.stop()
        robot.close()
