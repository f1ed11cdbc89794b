"""Starts the PS3 node: ros2 launch ps3_ros ps3.launch.py image:=/camera/image_raw

Every argument is optional; `ros2 launch ps3_ros ps3.launch.py --show-args` lists them. What is given here wins over the parameter file.
"""

import sys
from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode

from launch import LaunchDescription
from ps3_ros import transport

ARGUMENTS = {
    "image": ("image", "camera topic, without /compressed; with cameras: what follows each one's name"),
    "cameras": ("", "names of several cameras with commas between; empty leaves it to the parameter file"),
    "transport": ("", "raw or compressed; empty leaves it to the parameter file"),
    "bundle": ("", "folder of the model bundle; empty leaves it to the parameter file"),
    "backend": ("", "auto, onnxruntime:cpu, openvino:cpu, onnxruntime:cuda, tensorrt; empty leaves it to the parameter file"),
    "params_file": ("", "parameter file; empty for config/ps3.yaml"),
    "namespace": ("", "namespace of the node and its topics"),
    "autostart": ("", "true or false: configure and activate at the start; empty leaves it to the parameter file"),
    "dds_profile": (
        "auto",
        "auto: shared memory for 4K frames where Fast DDS has no profile yet; none: leave Fast DDS as it is; or a file",
    ),
}


def generate_launch_description():
    declared = [DeclareLaunchArgument(name, default_value=default, description=text) for name, (default, text) in ARGUMENTS.items()]
    return LaunchDescription([*declared, OpaqueFunction(function=_start)])


def _start(context):
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    given = {"image_transport": value["transport"], "bundle": value["bundle"], "backend": value["backend"]}
    given = {name: text for name, text in given.items() if text}
    cameras = [name.strip() for name in value["cameras"].split(",") if name.strip()]
    if cameras:
        given["cameras"] = cameras
    if value["autostart"]:
        given["autostart"] = _truth(value["autostart"])
    file = value["params_file"] or str(_config() / "ps3.yaml")
    node = LifecycleNode(
        # The module rather than an installed executable: it is the same after colcon, after pip and in the source tree.
        executable=sys.executable,
        arguments=["-m", "ps3_ros.node"],
        exec_name="ps3_node",  # in launch's log lines
        name="ps3",
        namespace=value["namespace"],
        parameters=[file, given] if given else [file],
        remappings=_remappings(cameras, value["image"]),
        additional_env=_environment(value["dds_profile"]),
        output="screen",
    )
    return [node]


def _remappings(cameras, image):
    """front,rear and image_raw: front/image is front/image_raw."""
    places = [(f"{camera}/image", f"{camera}/{image}") for camera in cameras] or [("image", image)]
    return [pair for ours, theirs in places for pair in ((ours, theirs), (f"{ours}/compressed", f"{theirs}/compressed"))]


def _config():
    return transport.config_folder() or Path(__file__).resolve().parent.parent / "config"


def _environment(profile):
    """For the node only: a launch file that includes this one keeps its own transport."""
    if profile == "auto":
        return transport.profile_variables(sends_frames=False)
    if profile in ("", "none"):
        return {transport.OUR_VARIABLE: "none"}  # the node would choose one itself
    return transport.named_profile_variables(Path(profile).resolve())


def _truth(text):
    if text.lower() not in ("true", "false"):
        raise ValueError(f"launch argument autostart is {text!r}; give true or false")
    return text.lower() == "true"
