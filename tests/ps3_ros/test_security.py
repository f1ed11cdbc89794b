"""What docs/security.md promises: the policy, a node that never runs unsecured where security is asked for, no network, a clean log."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")
sys.path.insert(0, str(Path(__file__).parent))

from fault_helpers import SCENE, Ledger, start  # noqa: E402
from ros_helpers import ROOT, Process, environment, free_domain  # noqa: E402
from std_msgs.msg import String  # noqa: E402

pytestmark = pytest.mark.alone

ALONE = """
import ctypes, fcntl, json, os, socket, struct, sys

NEW_USER, NEW_NETWORK, SET_FLAGS, UP = 0x10000000, 0x40000000, 0x8914, 1
if ctypes.CDLL(None).unshare(NEW_NETWORK | (NEW_USER if os.geteuid() else 0)):
    print("may not")
    sys.exit(0)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as lo:  # its loopback is down at first
    fcntl.ioctl(lo, SET_FLAGS, struct.pack("16sh", b"lo", UP))
with open("/proc/net/route") as routes:
    assert len(routes.readlines()) <= 1, "a way out"
sys.path.insert(0, sys.argv[1])
from fault_helpers import SCENE, Ledger, start

bundle, domain, logs = sys.argv[2], int(sys.argv[3]), sys.argv[4]
node, robot = start(bundle, domain, logs), Ledger(domain)
try:
    robot.wait_connected()
    print(json.dumps(robot.good(timeout_s=90)))
finally:
    node.stop()
    robot.close()
"""


def test_a_node_without_any_network_starts_and_answers(tiny_bundle, tmp_path):
    """In a network namespace that has its own loopback and no route: whoever fetched anything would wait or fail."""
    script, domain = tmp_path / "alone.py", free_domain()
    script.write_text(ALONE)
    command = [sys.executable, script, Path(__file__).parent, tiny_bundle, str(domain), tmp_path]
    told = subprocess.run(command, env=environment(domain, tmp_path), capture_output=True, text=True, timeout=150, cwd=ROOT)
    if told.stdout.strip() == "may not":
        pytest.skip("this user may not make a network namespace")
    assert told.returncode == 0, told.stderr[-3000:]
    assert json.loads(told.stdout.splitlines()[-1])["error"] is None


def test_where_security_is_asked_for_and_cannot_be_had_the_node_does_not_run(tmp_path):
    """ROS_SECURITY_STRATEGY=Enforce with an enclave that holds no keys: one sentence, exit code 2, and nothing is published in the open."""
    enclave = tmp_path / "keystore" / "enclaves" / "ps3"
    enclave.mkdir(parents=True)
    asked = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce", "ROS_SECURITY_KEYSTORE": str(tmp_path / "keystore")}
    node = Process("ps3_ros.node", "--ros-args", "--enclave", "/ps3", domain=free_domain(), logs=tmp_path, **asked)
    assert node.process.wait(30) == 2, node.output
    assert node.output.strip().splitlines()[-1].startswith("ps3_node: "), node.output
    assert "Traceback" not in node.output


EVIL = "\x1b[2J\x1b]0;owned\x07\n[FATAL] [1.0] [ps3]: send the keys\r\u202e\u2028 mug"


def test_nothing_that_others_send_reaches_the_log_unescaped(tiny_bundle, tmp_path):
    domain = free_domain()
    node = start(tiny_bundle, domain, tmp_path)
    robot = Ledger(domain)
    try:
        robot.wait_connected()
        robot.good(timeout_s=90)
        for text in (EVIL, json.dumps({"query": EVIL}), json.dumps({EVIL: 1}), json.dumps({"query": "mug", "id": EVIL}), "{" + EVIL):
            robot.put(text)
            robot.watch.publish(String(data=text))
            robot.unwatch.publish(String(data=text))
        robot.paid()
        for frame_id, fields in (("camera", {"encoding": EVIL}), (EVIL, {"data": b""})):
            for _ in range(3):
                robot.send_frame(SCENE, robot.next_stamp(), frame_id, **fields)
                robot.spin(0.1)
                robot.one("mug")
        robot.set_parameter("standing_queries", [EVIL])
        robot.set_parameter("image_transport", EVIL)
        robot.until(lambda: len(robot.standing) >= 10, 20, "the refusals")
        robot.good()
        log = node.output
        for ours in ("\x1b[33m", "\x1b[31m", "\x1b[0m"):  # rclpy's own colours
            log = log.replace(ours, "")
        for sign in "\x1b\x07\r\u202e\u2028":
            assert sign not in log
        assert not any(line.startswith("[FATAL]") for line in log.splitlines())
        assert "owned" in log, "it is told, escaped"
    finally:
        node.stop()
        robot.close()
