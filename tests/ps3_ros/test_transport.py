"""Which Fast DDS profile a process takes, and what is said where frames would be lost. What arrives with it is tested in test_camera.py."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from ps3_ros import transport

MB = transport.MB
CONFIG = Path(__file__).resolve().parents[2] / "config"
NAMESPACE = {"d": "http://www.eprosima.com"}


@pytest.mark.parametrize(("name", "segment"), [*transport.SENDER_PROFILES, transport.RECEIVER_PROFILE])
def test_each_profile_is_shared_memory_only_and_has_the_segment_that_the_code_counts_on(name, segment):
    root = ElementTree.parse(CONFIG / name).getroot()
    kinds = [e.text for e in root.iterfind(".//d:transport_descriptor/d:type", NAMESPACE)]
    assert kinds == ["SHM"]
    assert int(root.find(".//d:segment_size", NAMESPACE).text) == segment
    assert root.find(".//d:useBuiltinTransports", NAMESPACE).text == "false"
    assert root.find(".//d:participant", NAMESPACE).get("is_default_profile") == "true"


def test_profiles_that_send_hold_a_4k_frame_in_one_message():
    for name, segment in transport.SENDER_PROFILES:
        largest = int(ElementTree.parse(CONFIG / name).getroot().find(".//d:maxMessageSize", NAMESPACE).text)
        assert 3840 * 2160 * 3 < largest < segment


@pytest.mark.parametrize(
    ("sends", "free", "expected"),
    [
        (True, 500 * MB, "fastdds_shm.xml"),
        (True, 130 * MB, "fastdds_shm_one_frame.xml"),  # 128 MB and nothing left for others
        (True, 64 * MB, "fastdds_shm_one_frame.xml"),  # a container
        (True, 30 * MB, None),
        (False, 64 * MB, "fastdds_shm_receiver.xml"),
        (False, 0, None),
    ],
)
def test_the_largest_profile_that_fits_is_taken(sends, free, expected):
    profile = transport.choose_profile(sends, free)
    assert (profile and profile.name) == expected


def test_the_environment_is_set_unless_the_user_has_set_it(monkeypatch):
    monkeypatch.setattr(transport, "free_shared_memory", lambda: 500 * MB)
    environ = {}
    profile = transport.use_shared_memory(True, environ)
    assert profile == CONFIG / "fastdds_shm.xml"
    assert environ["FASTDDS_DEFAULT_PROFILES_FILE"] == str(profile)
    for name in (*transport.PROFILE_VARIABLES, transport.TRANSPORT_VARIABLE):
        theirs = {name: "mine"}
        assert transport.use_shared_memory(True, theirs) is None
        assert theirs == {name: "mine"}


def test_a_process_can_be_kept_from_choosing():
    environ = {"PS3_DDS_PROFILE": "none"}
    assert transport.use_shared_memory(True, environ) is None
    assert environ == {"PS3_DDS_PROFILE": "none"}


def test_both_generations_of_fast_dds_are_told_where_the_version_is_unknown(monkeypatch):
    def unknown(_):
        raise transport.PackageNotFoundError

    monkeypatch.setattr(transport, "version", unknown)
    monkeypatch.setenv("ROS_DISTRO", "humble")
    assert set(transport.named_profile_variables("x")) == set(transport.PROFILE_VARIABLES)
    monkeypatch.setenv("ROS_DISTRO", "kilted")
    assert set(transport.named_profile_variables("x")) == {"FASTDDS_DEFAULT_PROFILES_FILE"}


def test_profiles_are_found_in_an_installed_overlay(monkeypatch, tmp_path):
    folder = tmp_path / "share" / "ps3_ros" / "config"
    folder.mkdir(parents=True)
    (folder / transport.RECEIVER_PROFILE[0]).write_text("")
    monkeypatch.setattr(transport, "__file__", str(tmp_path / "lib" / "ps3_ros" / "transport.py"))
    monkeypatch.setattr(transport.sys, "prefix", str(tmp_path / "nowhere"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path / 'other'}:{tmp_path}")
    assert transport.config_folder() == folder
    monkeypatch.setenv("AMENT_PREFIX_PATH", "")
    assert transport.config_folder() is None
    assert transport.choose_profile(True, 500 * MB) is None


@pytest.mark.parametrize(
    ("rmw", "environ", "sentence"),
    [
        ("rmw_fastrtps_cpp", {}, "at its defaults"),
        ("rmw_fastrtps_cpp", {"FASTDDS_DEFAULT_PROFILES_FILE": str(CONFIG / "fastdds_shm.xml")}, None),
        ("rmw_fastrtps_cpp", {"FASTRTPS_DEFAULT_PROFILES_FILE": "/no/such.xml"}, "'/no/such.xml' does not exist"),
        ("rmw_fastrtps_cpp", {"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}, "LARGE_DATA loses frames"),
        ("rmw_cyclonedds_cpp", {}, None),
    ],
)
def test_it_is_said_where_large_frames_would_be_lost(rmw, environ, sentence):
    problem = transport.large_frames_problem(rmw, environ)
    assert problem is None if sentence is None else sentence in problem
