"""Faults that take a node of their own, over real DDS: every transition, errors in them, a full disk, a kill, two nodes, other names."""

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")
sys.path.insert(0, str(Path(__file__).parent))

from fault_helpers import SCENE, Ledger, start  # noqa: E402
from ros_helpers import Process, free_domain, stamp_of  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from std_msgs.msg import String  # noqa: E402

from ps3_ros.ros_docs import TRANSITIONS  # noqa: E402

pytestmark = pytest.mark.alone

# docs/ros.md has the same table; the lifecycle's own name of a shutdown has the state in it.
ALLOWED = {
    state: {f"shutdown_{state}" if way == "shutdown" else way: to for way, to in ways.items()} for state, ways in TRANSITIONS.items()
}
TRANSITION_FAILS = """
import sys
from pathlib import Path
from ps3_ros import node

def failing(name):
    real = getattr(node.Ps3Node, name)
    def run(self, state):
        if Path(sys.argv[1]).read_text() == name:
            raise OSError(f"{name} broke")
        return real(self, state)
    return run

for name in ("on_configure", "on_activate", "on_deactivate", "on_cleanup"):
    setattr(node.Ps3Node, name, failing(name))
sys.exit(node.main(sys.argv[2:]))
"""


def test_every_transition_from_every_state_is_made_or_refused_and_an_error_leads_to_unconfigured(tiny_bundle, tmp_path):
    script, plot, domain = tmp_path / "fails.py", tmp_path / "plot", free_domain()
    script.write_text(TRANSITION_FAILS)
    plot.write_text("")
    values = [part for value in (f"bundle:={tiny_bundle}", "autostart:=false", "threads:=1") for part in ("-p", value)]
    node = Process(str(script), plot, "--ros-args", *values, domain=domain, logs=tmp_path)
    robot = Ledger(domain)
    try:

        def go(transition, to):
            assert robot.change_state(transition) == (to is not None), transition
            if to is not None:
                assert robot.state() == to

        def refuse_the_others():
            state = robot.state()
            for transition in {t for ways in ALLOWED.values() for t in ways} - set(ALLOWED[state]):
                go(transition, None)
            assert robot.state() == state

        for transition in ("configure", "activate", "deactivate", "cleanup"):
            refuse_the_others()
            go(transition, ALLOWED[robot.state()][transition])
        for transition, way in {
            "configure": (), "activate": ("configure",), "deactivate": ("configure", "activate"), "cleanup": ("configure",)
        }.items():  # fmt: skip
            for step in way:
                assert robot.change_state(step), step
            plot.write_text(f"on_{transition}")
            assert not robot.change_state(transition) or robot.state() == "unconfigured"
            robot.until(lambda: robot.state() == "unconfigured", 20, f"unconfigured after an error in {transition}")
            plot.write_text("")
        assert robot.change_state("configure")
        assert robot.change_state("activate")
        robot.wait_connected()
        robot.good()
        go("shutdown_active", "finalized")
        refuse_the_others()
        assert node.stop()[0] == 0
    finally:
        node.stop()
        robot.close()


@pytest.mark.parametrize("state", ["unconfigured", "inactive"])
@pytest.mark.parametrize("by", ["transition", "signal"])
def test_a_node_that_is_not_active_shuts_down(tiny_bundle, tmp_path, state, by):
    domain = free_domain()
    node = start(tiny_bundle, domain, tmp_path, autostart=False)
    robot = Ledger(domain)
    try:
        if state == "inactive":
            assert robot.change_state("configure")
        assert robot.state() == state
        if by == "transition":
            assert robot.change_state(f"shutdown_{state}")
            assert robot.state() == "finalized"
        code, seconds = node.stop()
        assert code == 0, node.output
        assert seconds < 5.0, "2 s are promised; the rest is for a machine that is busy with other tests"
    finally:
        node.stop()
        robot.close()


FULL_DISK = """
import ctypes, os, sys
from pathlib import Path

logs = Path(os.environ["ROS_LOG_DIR"]) / "full"
logs.mkdir()
os.environ["ROS_LOG_DIR"] = str(logs)
libc = ctypes.CDLL(None, use_errno=True)
NEW_NAMESPACE, PRIVATE = 0x20000, 0x44000  # this process's own mounts: CLONE_NEWNS, MS_REC | MS_PRIVATE
if libc.unshare(NEW_NAMESPACE) == 0 and libc.mount(b"none", b"/", None, PRIVATE, None) == 0:
    if libc.mount(b"none", str(logs).encode(), b"tmpfs", 0, b"size=8k") == 0:
        try:
            (logs / "fill").write_bytes(bytes(100_000))
        except OSError as error:
            print("full:", error, flush=True)
full = os.open("/dev/full", os.O_WRONLY)
os.dup2(full, 1)
os.dup2(full, 2)
from ps3_ros import node
sys.exit(node.main(sys.argv[1:]))
"""


def test_a_full_log_disk_and_a_kill_leave_a_node_that_answers(tiny_bundle, tmp_path):
    """Every write to stdout and stderr fails as on a full disk, and to the log file too where this user may mount one. Then SIGKILL."""
    domain, script = free_domain(), tmp_path / "full.py"
    script.write_text(FULL_DISK)
    robot = Ledger(domain)
    node = start(tiny_bundle, domain, tmp_path, module=str(script))
    try:
        robot.wait_connected()
        robot.good(timeout_s=90)
        assert "is empty" in robot.one("")["error"], "what is logged as a warning"
        robot.send_frame(SCENE, 7, data=b"")
        robot.good()
        robot.query.publish(String(data="car"))  # may be in hand when the node is killed: this one nobody can answer
        node.kill()
        node = start(tiny_bundle, domain, tmp_path, query_timeout_s=0.5)
        node.wait_for_output("active: images from /image", 60)
        robot.spin(0.2)
        robot.finals.clear()  # what the dead one may still have said
        # It is listed until its lease ends: what counts is that questions reach the new one, whose answer may take longer than the next.
        robot.until(lambda: robot.query.publish(String(data="car")) or robot.wait(lambda: robot.finals, 1.0), 60)
        robot.spin(1.0)  # those that waited for a frame are answered
        robot.asked, robot.finals = 0, []
        robot.good()
    finally:
        node.stop()
        robot.close()


def test_a_log_folder_that_cannot_be_made_is_one_sentence_and_exit_code_2(tmp_path):
    (tmp_path / "file").write_text("")
    node = Process("ps3_ros.node", domain=free_domain(), logs=tmp_path, ROS_LOG_DIR=str(tmp_path / "file" / "logs"))
    assert node.process.wait(30) == 2, node.output
    assert "Traceback" not in node.output
    assert node.output.strip().splitlines()[-1].startswith("ps3_node: ")


def test_two_nodes_in_two_namespaces_with_other_names_and_the_simulations_clock(tiny_bundle, tmp_path):
    """Each answers its own questions about its own camera; the one with use_sim_time tells ages by /clock, which may jump back."""
    domain = free_domain()
    left = start(tiny_bundle, domain, tmp_path, arguments=("-r", "__ns:=/left", "-r", "image:=/cameras/front"))
    remapped = ("-r", "__ns:=/right", "-r", "__node:=eyes", "-r", "~/query:=/ask", "-r", "~/answer:=/told")
    right = start(tiny_bundle, domain, tmp_path, arguments=(*remapped, "-p", "use_sim_time:=true"))
    at_left = Ledger(domain, "left/ps3", image="/cameras/front")
    at_right = Ledger(domain, "right/eyes", image="/right/image", query="/ask", answer="/told")
    try:
        clock = at_right.node.create_publisher(Clock, "/clock", 10)
        for robot, height in ((at_left, 400), (at_right, 300)):
            robot.until(lambda robot=robot: robot.query.get_subscription_count() and robot.image.get_subscription_count(), 60, "the node")
            robot.spin(0.3)
            robot.good(np.zeros((height, 500, 3), np.uint8), timeout_s=90)
        for now_s, age_ms in ((1000, 1000), (999, 0), (1010, 11_000)):
            message = Clock()
            message.clock.sec = now_s

            def told(message=message):
                clock.publish(message)
                at_right.send_frame(SCENE, 999 * 10**9)
                at_right.spin(0.05)
                answer = at_right.one("mug")
                return stamp_of(answer) == 999 * 10**9 and answer

            at_right.until(lambda told=told, age_ms=age_ms: (a := told()) and a["age_ms"] == age_ms, 30, f"an age of {age_ms} ms")
        assert at_left.one("mug")["height"] == 400
        for node in (left, right):
            assert node.stop()[0] == 0, node.output
    finally:
        for end in (left.stop, right.stop, at_left.close, at_right.close):
            end()


def test_a_camera_full_of_garbage_does_not_keep_another_from_its_answers(tiny_bundle, tmp_path):
    domain = free_domain()
    node = start(tiny_bundle, domain, tmp_path, cameras=["left", "right"], query_timeout_s=0.2)
    left, right = (Ledger(domain, image=f"/{c}/image", query=f"/ps3/{c}/query", answer=f"/ps3/{c}/answer") for c in ("left", "right"))
    common = Ledger(domain)
    try:
        for robot in (left, right):
            robot.until(lambda robot=robot: robot.query.get_subscription_count() and robot.image.get_subscription_count(), 60, "the node")
            robot.spin(0.3)
        right.good(np.zeros((300, 500, 3), np.uint8), timeout_s=90)
        for n in range(10):
            for _ in range(5):
                left.send_frame(SCENE, left.next_stamp(), data=b"garbage")
                left.put(("car", "{", "")[n % 3])
            answer = right.one("mug")
            assert (answer["error"], answer["camera"], answer["height"]) == (None, "right", 300)
        assert all(answer["error"] and answer["camera"] == "left" for answer in left.paid())
        left.good()
        common.until(lambda: common.query.get_subscription_count(), what="the topic for all cameras")
        common.spin(0.3)
        known = len(common.finals)
        common.put("car", camera="rear")
        common.until(lambda: any(a["error"] and "'rear'" in a["error"] for a in common.finals[known:]), 30, "the refusal")
        common.put("car", camera="left", id="by name")
        common.until(lambda: [a for a in common.finals if a["id"] == "by name" and a["camera"] == "left"], 30, "an answer")
        assert node.stop()[0] == 0, node.output
    finally:
        for end in (node.stop, left.close, right.close, common.close):
            end()
