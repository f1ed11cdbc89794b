"""docs/ros.md and the security policy against the code's declarations, and both against the graph of a node that runs."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")
sys.path.insert(0, str(Path(__file__).parent))

from fault_helpers import running_node  # noqa: E402
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy  # noqa: E402
from test_policy import POLICY, allowed, policy, who_may  # noqa: E402, F401

from ps3_ros import parameters, ros_docs, topics  # noqa: E402

pytestmark = pytest.mark.alone

OF_EVERY_NODE = {"/rosout", "/parameter_events", "/ps3/transition_event"}


def test_the_page_is_what_the_declarations_say():
    ros_docs.check()


def test_a_page_that_drifted_is_found_and_written_anew(tmp_path, capsys):
    page = tmp_path / "ros.md"
    assert ros_docs.main(["--check", "--file", str(page)]) == 2
    assert ros_docs.main(["--file", str(page)]) == 0
    assert ros_docs.main(["--check", "--file", str(page)]) == 0
    page.write_text(page.read_text().replace("reliable, 1000", "reliable, 999"))
    assert ros_docs.main(["--check", "--file", str(page)]) == 2
    assert "is not what the code declares now" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["ros.md"]


def test_the_page_has_every_topic_state_and_parameter_with_its_range():
    text = ros_docs.page()
    for topic in topics.TOPICS:
        assert f"| `{topic.name}`" in text
    for name, spec in parameters.SPECS.items():
        assert f"| `{name}` |" in text
        if isinstance(spec.allowed, tuple) and not isinstance(spec.default, str):
            assert f"{spec.allowed[0]:.10g} to {spec.allowed[1]:.10g}" in text
    for state in ros_docs.STATES:
        assert f"| {state} |" in text


@pytest.fixture(scope="module")
def graph(tiny_bundle, tmp_path_factory):
    """A client of a running node that subscribes to all it can."""
    with running_node(tiny_bundle, tmp_path_factory.mktemp("node"), depth=True) as (_, robot):
        robot.spin(0.5)
        yield robot.node


def there(direction):
    """{full name: Topic} of what the node has here: raw images, and the message packages that are installed."""
    found = {}
    for topic in topics.TOPICS:
        if topic.direction == direction and topic.name != "image/compressed" and topics.kind(topic.type) is not None:
            found[topic.name.replace("~", "/ps3") if topic.name[0] in "~/" else f"/{topic.name}"] = topic
    return found


@pytest.mark.parametrize("direction", ["in", "out"])
def test_the_running_node_has_the_declared_topics_types_and_qualities(graph, direction):
    names = graph.get_publisher_names_and_types_by_node if direction == "out" else graph.get_subscriber_names_and_types_by_node
    infos = graph.get_publishers_info_by_topic if direction == "out" else graph.get_subscriptions_info_by_topic
    real = {name: types for name, types in names("ps3", "/") if name not in OF_EVERY_NODE and "/_action/" not in name}
    declared = there(direction)
    assert real == {name: [topic.type] for name, topic in declared.items()}
    for name, topic in declared.items():
        (info,) = [info for info in infos(name) if info.node_name == "ps3"]
        if topic.reliability in ("reliable", "best_effort"):
            assert (info.qos_profile.reliability == ReliabilityPolicy.RELIABLE) == (topic.reliability == "reliable"), name
        assert (info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL) == topic.latched, name


def test_the_running_node_has_the_documented_services(graph):
    real = {name for name, _ in graph.get_service_names_and_types_by_node("ps3", "/")} - {"/ps3/get_type_description", "/ps3/ask"}
    assert {name for name in real if "/_action/" not in name} == {f"/ps3/{name}" for names in ros_docs.SERVICES.values() for name in names}


def test_the_policy_allows_the_running_node_all_it_does(graph, allowed):  # noqa: F811
    for what, found in (
        ("publish", graph.get_publisher_names_and_types_by_node("ps3", "/")),
        ("subscribe", graph.get_subscriber_names_and_types_by_node("ps3", "/")),
        ("reply", graph.get_service_names_and_types_by_node("ps3", "/")),
    ):
        for name, _ in found:
            if "/_action/" in name:  # parts of ~/look, which has a rule of its own
                continue
            assert "/ps3" in who_may(allowed, what, name), f"{what} {name} is missing in {POLICY.name}"
