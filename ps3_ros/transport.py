"""Fast DDS set up so that 4K frames arrive. No ROS import: it must run before rclpy.init, where Fast DDS reads its environment.

What was measured (Fast DDS 3.2, 3840 x 2160 bgr8 at 10 Hz between two processes): who *sends* frames decides. With the profile on
the camera's side 46 to 50 of 50 arrive whatever the receiver has; with a camera at its defaults (512 KB of shared memory) 0 of 50 by
Best Effort and 15 of 50 by Reliable, whatever the receiver has. Fast DDS takes a segment from /dev/shm in full when it starts; where
that fails (a container has 64 MB) it logs an error and falls back to its defaults. So there are three profiles of one kind, and each
process takes the one that it needs and that fits.
"""

import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROFILE_VARIABLES = (
    "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTRTPS_DEFAULT_PROFILES_FILE",
)  # Fast DDS 3 (Kilted on), Fast DDS 2 (Humble, Jazzy)
TRANSPORT_VARIABLE = "FASTDDS_BUILTIN_TRANSPORTS"
OUR_VARIABLE = "PS3_DDS_PROFILE"  # "none" keeps our processes from setting any of these
DEFAULT_SEGMENT = 512 * 1024  # bytes: Fast DDS's shared memory where nobody sets it; a larger message is lost or nearly always lost

MB = 1 << 20
SENDER_PROFILES = (("fastdds_shm.xml", 128 * MB), ("fastdds_shm_one_frame.xml", 28 * MB))  # largest first
RECEIVER_PROFILE = ("fastdds_shm_receiver.xml", 4 * MB)
SPARE = 8 * MB  # of /dev/shm, left for ports and for other processes' small segments


def config_folder():
    """Folder of the profiles and parameter files: in the source tree, the environment, or a ROS overlay; None where it is in none."""
    tail = Path("share", "ps3_ros", "config")
    places = [Path(__file__).resolve().parent.parent / "config", Path(sys.prefix) / tail]
    places += [Path(prefix) / tail for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    return next((place for place in places if (place / RECEIVER_PROFILE[0]).is_file()), None)


def free_shared_memory(folder="/dev/shm"):
    """Bytes that a new segment can take; 0 where there is no such folder."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def choose_profile(sends_frames, free=None):
    """Path of the profile for a process that sends camera frames, or only receives them; None where none fits or none is installed."""
    folder, free = config_folder(), free_shared_memory() if free is None else free
    choices = SENDER_PROFILES if sends_frames else (RECEIVER_PROFILE,)
    name = next((name for name, segment in choices if segment + SPARE <= free), None)
    return None if folder is None or name is None else folder / name


def set_by_user(environ=os.environ):
    """Whether somebody has chosen a Fast DDS transport already: theirs is left alone."""
    return environ.get(OUR_VARIABLE) == "none" or any(environ.get(name) for name in (*PROFILE_VARIABLES, TRANSPORT_VARIABLE))


def use_shared_memory(sends_frames, environ=os.environ):
    """Makes Fast DDS of this process (and of its children) use the profile that fits, unless the user chose one. Call it before rclpy.init.

    Returns the profile's path, or None where nothing was set.
    """
    profile = None if set_by_user(environ) else choose_profile(sends_frames)
    if profile is not None:
        environ |= named_profile_variables(profile)
    return profile


def profile_variables(sends_frames):
    """What a launch file adds to a node's environment: {} where the user chose a transport or no profile fits."""
    environ = dict(os.environ)
    profile = use_shared_memory(sends_frames, environ)
    return {} if profile is None else named_profile_variables(profile)


def named_profile_variables(profile):
    """{variable: path} that makes Fast DDS read a profile.

    Both names where its version cannot be told: version 3 reads the old one too, but warns about it at every start.
    """
    try:
        newer = int(version("ros-fastdds").split(".")[0]) >= 3  # from wheels
    except PackageNotFoundError:
        newer = os.environ.get("ROS_DISTRO", "") in ("kilted", "lyrical", "rolling")
    return {name: str(profile) for name in (PROFILE_VARIABLES[:1] if newer else PROFILE_VARIABLES)}


def large_frames_problem(rmw, environ=os.environ):
    """Why frames over DEFAULT_SEGMENT bytes that this process *sends* would be lost, in one sentence; None where nothing speaks for it.

    rmw: name of the middleware (rclpy.utilities.get_rmw_implementation_identifier()).
    """
    if not rmw.startswith("rmw_fastrtps"):
        return None
    named = [environ[name] for name in PROFILE_VARIABLES if environ.get(name)]
    advice = "start the camera with FASTDDS_DEFAULT_PROFILES_FILE naming ps3_ros's config/fastdds_shm.xml, or send JPEG with Reliable"
    if missing := next((path for path in named if not Path(path).is_file()), None):
        return f"the Fast DDS profile {missing!r} does not exist, so its 512 KB of shared memory lose larger frames; {advice}"
    if named:
        return None
    if mode := environ.get(TRANSPORT_VARIABLE):
        return f"{TRANSPORT_VARIABLE}={mode} loses frames over 512 KB, as Fast DDS's default does; {advice}"
    return f"Fast DDS's transport is at its defaults, whose 512 KB of shared memory lose larger frames; {advice}"
