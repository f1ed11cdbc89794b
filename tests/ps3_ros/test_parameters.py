"""Parameters on a real rclpy node: declared with description and range, bad ones refused with a reason."""

import os
import re
import sys
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")
sys.path.insert(0, str(Path(__file__).parent))

from rclpy.parameter import Parameter  # noqa: E402
from ros_helpers import free_domain  # noqa: E402

from ps3_ros import parameters  # noqa: E402
from ps3_ros.errors import QueryError  # noqa: E402
from ps3_ros.parameters import SPECS, ParameterError  # noqa: E402

pytestmark = pytest.mark.alone

CONFIG = Path(__file__).resolve().parents[2] / "config" / "ps3.yaml"


@pytest.fixture(scope="module")
def context():
    saved = dict(os.environ)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    context = rclpy.Context()
    rclpy.init(args=[], context=context, domain_id=free_domain())
    yield context
    rclpy.shutdown(context=context)
    os.environ.clear()
    os.environ.update(saved)


@pytest.fixture
def make(context):
    """make(*ROS arguments) -> a node with the parameters declared."""
    made = []

    def node(*arguments, **declare):
        made.append(
            rclpy.create_node(
                "ps3", context=context, cli_args=["--ros-args", *arguments], use_global_arguments=False, start_parameter_services=False
            )
        )
        parameters.declare(made[-1], **declare)
        return made[-1]

    yield node
    for node_made in made:
        node_made.destroy_node()


def test_defaults(make):
    now = parameters.read(make())
    assert (now.bundle, now.backend, now.threads, now.image_transport) == ("", "onnxruntime:cpu", 0, "raw")
    assert now.standing_queries == ()
    assert now.max_patches is None


@pytest.mark.parametrize("name", SPECS)
def test_every_parameter_has_a_description_that_says_when_it_is_read_and_its_range(make, name):
    descriptor, spec = make().describe_parameter(name), SPECS[name]
    assert re.search(r"\. (Read |A change applies at once)", descriptor.description)
    if spec.allowed is None:
        return
    if isinstance(spec.default, str):
        assert descriptor.additional_constraints == "one of " + ", ".join(spec.allowed)
    else:
        ranges = descriptor.integer_range or descriptor.floating_point_range
        assert (ranges[0].from_value, ranges[0].to_value) == spec.allowed


def test_the_parameter_file_holds_every_parameter_with_its_default_and_applies_in_a_namespace(make, context):
    now = parameters.read(make("--params-file", str(CONFIG)))
    assert now == parameters.read(make())
    names = re.findall(r"^    (\w+):", CONFIG.read_text(), re.MULTILINE)
    assert sorted(names) == sorted(SPECS)


def test_a_changed_parameter_file_applies_under_any_namespace(make, tmp_path):
    changed = tmp_path / "mine.yaml"
    file = CONFIG.read_text().replace("looks: 1", "looks: 3")
    changed.write_text(file.replace('queries: [""]', 'queries: ["mug", "red | green traffic light"]'))
    for arguments in ((), ("-r", "__ns:=/robot/front")):
        now = parameters.read(make("--params-file", str(changed), *arguments))
        assert now.looks == 3
        assert now.standing_queries == ("mug", "red | green traffic light")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("threads:=999", "value: 999: threads); give a whole number from 0 to 256"),
        ("looks:=1.5", "give a whole number from 1 to 64"),
        ("bundle:=3", "give a text"),
        ("backend:=onnxruntime:abacus", "parameter backend is 'onnxruntime:abacus'; give one of onnxruntime:cpu, onnxruntime:cuda"),
        ("image_transport:=jpg", "parameter image_transport is 'jpg'; give one of raw, compressed"),
        ("qos_reliability:=perhaps", "give one of auto, best_effort, reliable"),
        ("query_timeout_s:=-1.0", "give a number with a point from 0.0 to 3600.0"),
        ("standing_queries:=cup", "parameter standing_queries is 'cup'; give a list of texts"),
        ("standing_queries:=[1, 2]", "give a list of texts"),
        ("cameras:=['front', '2nd']", "parameter cameras names '2nd'; give letters"),
    ],
)
def test_a_bad_value_at_the_start_is_one_sentence(make, given, sentence):
    with pytest.raises(ParameterError) as caught:
        make("-p", given)
    assert sentence in str(caught.value)
    assert given.split(":=")[0] in str(caught.value)


@pytest.mark.parametrize("given", ["[]", '[""]', '["", "  "]'])
def test_an_empty_list_is_no_standing_query(make, given):
    assert parameters.read(make("-p", f"standing_queries:={given}")).standing_queries == ()


def set_one(node, name, value):
    return node.set_parameters([Parameter(name, value=value)])[0]


def test_standing_queries_can_be_set_while_running_and_bad_sets_are_refused_with_the_reason(make):
    node = make()
    assert set_one(node, "standing_queries", [" mug ", "mug", "", "car"]).successful
    assert parameters.read(node).standing_queries == ("mug", "car"), "trimmed, and none twice"
    for value, reason in [
        (["mug", "a | "], "empty choice"),
        (["x" * 5000], "5000 characters"),
        (["bell\x07"], "U+0007"),
        ([f"q{n}" for n in range(65)], "65 questions where at most 64"),
        ("mug", "give a list of texts"),
        ([1.5], "give a list of texts"),
        (None, "cannot be removed"),
    ]:
        result = set_one(node, "standing_queries", value)
        assert not result.successful
        assert reason in result.reason
    assert parameters.read(node).standing_queries == ("mug", "car")
    assert set_one(node, "standing_queries", []).successful
    assert parameters.read(node).standing_queries == ()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [("looks", 0, "out of range"), ("looks", 65, "out of range"), ("max_patches", -1, "out of range"), ("qos_depth", 101, "out of range"),
     ("image_transport", "raw2", "give one of raw, compressed"), ("threads", "two", "Wrong parameter type")],
)  # fmt: skip
def test_a_bad_set_is_refused_and_changes_nothing(make, name, value, reason):
    node = make()
    result = set_one(node, name, value)
    assert not result.successful
    assert reason in result.reason
    assert parameters.read(node) == parameters.read(make())


def test_what_is_read_again_without_a_change_is_the_same_and_a_change_is_seen_at_once(make):
    node = make()
    reader = parameters.Reader(node)
    first = reader()
    assert reader() is first == parameters.read(node)
    assert set_one(node, "looks", 4).successful
    assert reader().looks == 4
    assert not set_one(node, "looks", 99).successful
    assert reader().looks == 4


def test_several_parameters_are_set_all_or_none(make):
    node = make()
    result = node.set_parameters_atomically([Parameter("looks", value=4), Parameter("standing_queries", value=["|"])])
    assert not result.successful
    assert parameters.read(node).looks == 1


def test_what_only_the_running_node_can_tell_is_asked_of_it(make):
    def check(values):
        if "mug" in values.get("standing_queries", ()):
            raise QueryError("no mugs today")

    node = make(check=check)
    assert set_one(node, "standing_queries", ["mug"]).reason == "no mugs today"
    assert set_one(node, "standing_queries", ["cup"]).successful


def test_max_patches_zero_is_the_bundles_own(make):
    node = make()
    set_one(node, "max_patches", 300)
    assert parameters.read(node).max_patches == 300
    set_one(node, "max_patches", 0)
    assert parameters.read(node).max_patches is None
