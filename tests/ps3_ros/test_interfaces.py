"""The service and the action over real DDS, where ps3_interfaces is built: the final answer, better ones on the way, errors, a cancel."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")
try:
    from ps3_interfaces.action import Look
    from ps3_interfaces.srv import Ask
except ImportError:  # importorskip would find the folder of its sources
    pytest.skip("ps3_interfaces is not built: colcon build it and source its setup file", allow_module_level=True)
sys.path.insert(0, str(Path(__file__).parent))

from action_msgs.msg import GoalStatus  # noqa: E402
from rclpy.action import ActionClient  # noqa: E402
from ros_helpers import Client, Process, free_domain, stamp_of  # noqa: E402

pytestmark = pytest.mark.alone

STAMP = 1_700_000_000_123_456_789
NOISE = np.random.default_rng(2).integers(0, 256, (9, 16, 3), dtype=np.uint8)
SMALL = cv2.resize(NOISE, (640, 360), interpolation=cv2.INTER_CUBIC)


class Robot(Client):
    def __init__(self, domain):
        super().__init__(domain)
        self.action, self.feedback = ActionClient(self.node, Look, "ps3/look"), []

    def done(self, future, timeout_s=60.0):
        self.until(future.done, timeout_s, "the future")
        return future.result()

    def ask_service(self, query):
        """The Answer."""
        return self.call(Ask, "ask", Ask.Request(query=query), 60.0).answer

    def look(self, query):
        """The accepted goal's handle."""
        self.feedback.clear()
        self.until(self.action.server_is_ready, 30.0, "the action")
        sent = self.action.send_goal_async(Look.Goal(query=query), lambda message: self.feedback.append(message.feedback.answer))
        goal = self.done(sent)
        assert goal.accepted
        return goal


@pytest.fixture(scope="module")
def robot(tiny_bundle, tmp_path_factory):
    domain = free_domain()
    values = {"bundle": str(tiny_bundle), "threads": 1, "frame_timeout_s": 600.0, "query_timeout_s": 2.0}
    arguments = [part for name, value in values.items() for part in ("-p", f"{name}:={json.dumps(value)}")]
    node = Process("ps3_ros.node", "--ros-args", *arguments, domain=domain, logs=tmp_path_factory.mktemp("node"))
    robot = Robot(domain)
    try:
        robot.wait_connected()
        robot.ask_about("mug", SMALL, STAMP, timeout_s=90)
        yield robot
        code, _ = node.stop()
        assert code == 0, node.output
        assert "Traceback" not in node.output
    finally:
        node.stop()
        robot.action.destroy()
        robot.close()


def test_the_service_gives_the_final_answer(robot):
    robot.settle()
    answer = robot.ask_service('{"query": "stop sign", "id": "s", "looks": 2, "anytime": true}')
    told = json.loads(answer.json)
    assert (answer.query, answer.error, answer.camera, answer.looks, told["final"]) == ("stop sign", "", "", 2, True)
    assert (answer.header.stamp.sec, answer.header.frame_id) == (STAMP // 10**9, "camera")
    assert [(r.label, r.track, len(r.bearing)) for r in answer.regions] == [(r["label"], -1, 0) for r in told["regions"]]
    assert [round(r.x2) for r in answer.regions] == [round(r["box"][2]) for r in told["regions"]]
    robot.until(lambda: any(a["id"] == "s" and a["final"] for a in robot.answers), what="the same on ~/answer")


@pytest.mark.parametrize(
    ("query", "words"), [("", "query is empty"), ('{"looks": 1}', "neither 'query'"), ('{"cancel": "x"}', "is no question")]
)
def test_what_cannot_be_asked_comes_back_as_an_error(robot, query, words):
    answer = robot.ask_service(query)
    assert words in answer.error
    assert not answer.found


def test_the_action_tells_each_better_answer_and_ends_with_the_final_one(robot):
    goal = robot.look('{"query": "mug", "looks": 3}')
    result = robot.done(goal.get_result_async())
    assert result.status == GoalStatus.STATUS_SUCCEEDED
    assert (result.result.answer.looks, result.result.answer.error) == (3, "")
    robot.until(lambda: len(robot.feedback) == 3, 5.0, "the feedback")
    assert [answer.looks for answer in robot.feedback] == [0, 1, 2]
    assert stamp_of(json.loads(result.result.answer.json)) == STAMP


def test_a_goal_that_fails_is_aborted_with_the_reason(robot):
    result = robot.done(robot.look("stop sign " * 200).get_result_async())
    assert result.status == GoalStatus.STATUS_ABORTED
    assert "tokens" in result.result.answer.error


def test_a_goal_can_be_cancelled_while_it_waits(robot):
    busy = [robot.look(json.dumps({"query": f"mug {n}", "looks": 8})) for n in range(4)]
    last = robot.look("car")
    robot.done(last.cancel_goal_async())
    result = robot.done(last.get_result_async())
    assert result.status == GoalStatus.STATUS_CANCELED
    assert result.result.answer.error == "the question was cancelled"
    for goal in busy:
        assert robot.done(goal.get_result_async()).status == GoalStatus.STATUS_SUCCEEDED
    assert robot.ask_service("mug").error == ""


def test_an_inactive_node_says_so_and_what_waits_gets_its_answer(robot):
    assert robot.change_state("deactivate")
    assert "the node is not active" in robot.ask_service("mug").error
    assert robot.change_state("activate")
    robot.wait_connected()
    goal = robot.look("car")  # no frame yet
    assert robot.change_state("deactivate")
    result = robot.done(goal.get_result_async())
    assert result.status == GoalStatus.STATUS_ABORTED
    assert "deactivated before" in result.result.answer.error
    assert robot.change_state("cleanup") and robot.change_state("configure") and robot.change_state("activate")
    robot.wait_connected()
    robot.ask_about("mug", SMALL, STAMP + 1)
    assert robot.ask_service("mug").error == ""
