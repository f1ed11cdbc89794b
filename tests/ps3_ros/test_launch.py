"""The launch file, run for real where `launch` and `launch_ros` are: they come with every ROS distribution, and have no wheels."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")
pytest.importorskip("launch.actions", reason="launch has no wheel: source a ROS 2 setup file to run this test")
pytest.importorskip("launch_ros", reason="launch_ros has no wheel: source a ROS 2 setup file to run this test")
sys.path.insert(0, str(Path(__file__).parent))

from ros_helpers import ROOT, Client, Process, free_domain  # noqa: E402

pytestmark = pytest.mark.alone

LAUNCH_FILE = ROOT / "launch" / "ps3.launch.py"
STAMP = 1_700_000_000_123_456_789
FRAME = np.random.default_rng(2).integers(0, 256, (360, 640, 3), dtype=np.uint8)

# What `ros2 launch` does with a file and name:=value arguments; ros2launch itself needs ros2cli, which is not needed for this.
RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

arguments = [argument.split(":=", 1) for argument in sys.argv[2:]]
service = LaunchService()
included = IncludeLaunchDescription(PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=arguments)
service.include_launch_description(LaunchDescription([included]))
sys.exit(service.run())
"""


@pytest.fixture
def launch(tmp_path):
    """launch(domain, *arguments) -> Process; ended by SIGINT, as Ctrl-C does."""
    started = []

    def start(domain, *arguments, **env):
        script = tmp_path / "run.py"
        script.write_text(RUN)
        started.append(Process(str(script), LAUNCH_FILE, *arguments, domain=domain, logs=tmp_path / "logs", **env))
        return started[-1]

    yield start
    for process in started:
        interrupt(process)


def interrupt(process):
    """As Ctrl-C, which goes to the launcher and to its node alike. By SIGTERM the launcher would leave its node behind."""
    if process.process.poll() is None:
        for pid in [*children_of(process), process.process.pid]:
            os.kill(pid, signal.SIGINT)
    try:
        process.process.wait(15.0)
    except subprocess.TimeoutExpired:
        process.kill()


def children_of(process):
    """Process ids of what the launcher started: the node."""
    pid = process.process.pid
    return [int(child) for thread in Path(f"/proc/{pid}/task").iterdir() for child in (thread / "children").read_text().split()]


def environment_of(pid):
    """What a process was started with."""
    return dict(entry.split("=", 1) for entry in Path(f"/proc/{pid}/environ").read_text().split("\0") if "=" in entry)


def test_its_arguments_are_described():
    from launch.launch_description_sources import get_launch_description_from_python_launch_file

    arguments = get_launch_description_from_python_launch_file(str(LAUNCH_FILE)).get_launch_arguments()
    assert {"image", "cameras", "transport", "bundle", "backend", "params_file", "namespace", "autostart", "dds_profile"} == {
        a.name for a in arguments
    }
    assert all(a.description for a in arguments)


def test_the_launched_node_answers_under_its_namespace_about_the_named_topic(launch, tiny_bundle):
    domain = free_domain()
    launched = launch(domain, f"bundle:={tiny_bundle}", "backend:=onnxruntime:cpu", "image:=/front/rgb", "namespace:=/robot")
    client = Client(domain, node="robot/ps3", image="/front/rgb")
    try:
        client.wait_connected()
        answer = client.ask_about("mug", FRAME, STAMP, "front")
        assert answer["error"] is None
        pid = children_of(launched)[0]
        assert Path(environment_of(pid)["FASTDDS_DEFAULT_PROFILES_FILE"]) == ROOT / "config" / "fastdds_shm_receiver.xml"
        interrupt(launched)
        deadline = time.monotonic() + 5
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < deadline, "the node outlived its launcher"
            time.sleep(0.05)
        assert "process has finished cleanly" in launched.output, launched.output
        assert "escalating" not in launched.output
    finally:
        client.close()


def test_without_autostart_it_waits_and_takes_compressed_images_and_a_parameter_file(launch, tiny_bundle, tmp_path):
    domain = free_domain()
    mine = tmp_path / "mine.yaml"
    mine.write_text("/**/ps3:\n  ros__parameters:\n    looks: 3\n    backend: 'wins_not'\n")
    arguments = (
        f"bundle:={tiny_bundle}",
        "backend:=onnxruntime:cpu",
        "transport:=compressed",
        "autostart:=false",
        f"params_file:={mine}",
        "dds_profile:=none",
    )
    launched = launch(domain, *arguments)
    client = Client(domain)
    try:
        assert client.state() == "unconfigured"
        assert client.change_state("configure")
        assert client.change_state("activate")
        client.until(client.compressed.get_subscription_count, what="a subscription to compressed images")
        assert client.image.get_subscription_count() == 0
        assert client.set_parameter("looks", 2)[0]
        given = environment_of(children_of(launched)[0])
        assert "FASTDDS_DEFAULT_PROFILES_FILE" not in given
        assert given["PS3_DDS_PROFILE"] == "none", "the node sets none itself either"
    finally:
        client.close()


def test_several_cameras_are_heard_on_the_named_topic_of_each(launch, tiny_bundle):
    domain = free_domain()
    launch(domain, f"bundle:={tiny_bundle}", "cameras:=front,rear", "image:=image_raw")
    client = Client(domain, node="ps3/rear", image="rear/image_raw")
    try:
        client.wait_connected()
        assert client.ask_about("mug", FRAME, STAMP, "rear")["camera"] == "rear"
        assert client.node.get_subscriptions_info_by_topic("/front/image_raw")
    finally:
        client.close()


def test_a_users_own_profile_is_left_alone(launch, tiny_bundle, tmp_path):
    domain = free_domain()
    theirs = tmp_path / "theirs.xml"
    theirs.write_text((ROOT / "config" / "fastdds_shm_receiver.xml").read_text())
    launched = launch(domain, f"bundle:={tiny_bundle}", FASTDDS_DEFAULT_PROFILES_FILE=str(theirs))
    launched.wait_for_output("active: images from /image")
    assert environment_of(children_of(launched)[0])["FASTDDS_DEFAULT_PROFILES_FILE"] == str(theirs)
