"""config/security/policy.xml: of the grammar of SROS2 policies 0.2.0, all that the node needs, one who asks and one who answers."""

from fnmatch import fnmatchcase
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ps3_ros.topics import ASK, LOOK, TOPICS

OF_EVERY_NODE = {"/clock", "/parameter_events", "/rosout", "/ps3/transition_event"}
POLICY = Path(__file__).parents[2] / "config" / "security" / "policy.xml"
RULES = {"topics": ("publish", "subscribe"), "services": ("reply", "request"), "actions": ("call", "execute")}
GRAMMAR = {  # element: (attributes it must have, elements in it), of the SROS2 policy language (ROS 2 Access Control Policies)
    "policy": ({"version"}, {"enclaves"}),
    "enclaves": (set(), {"enclave"}),
    "enclave": ({"path"}, {"profiles"}),
    "profiles": (set(), {"profile"}),
    "profile": ({"ns", "node"}, set(RULES)),
    **{rules: (set(), {rules[:-1]}) for rules in RULES},
    **{rules[:-1]: (set(), set()) for rules in RULES},
}


def faults(element):
    """What of an element and those in it is not of the grammar."""
    attributes, inner = GRAMMAR[element.tag]
    found = []
    if element.tag in RULES:
        if not element.attrib or not all(k in RULES[element.tag] and v in ("ALLOW", "DENY") for k, v in element.attrib.items()):
            found.append(f"{element.tag} {element.attrib}")
    elif set(element.attrib) != attributes:
        found.append(f"{element.tag} {element.attrib}")
    if bool(inner) != bool(len(element)) or (not inner and not (element.text or "").strip()):
        found.append(f"{element.tag} is empty or is not")
    for child in element:
        found += faults(child) if child.tag in inner else [f"{child.tag} in {element.tag}"]
    return found


def full_name(name, ns, node):
    if name.startswith("/"):
        return name
    ns = ns.rstrip("/")
    return f"{ns}/{node}{name[1:]}" if name.startswith("~") else f"{ns}/{name}"


@pytest.fixture(scope="module")
def policy():
    return ElementTree.parse(POLICY).getroot()


@pytest.fixture(scope="module")
def allowed(policy):
    """{(enclave, what): {full names}} for what of publish, subscribe, reply, request."""
    rules = {}
    for enclave in policy.iter("enclave"):
        for profile in enclave.iter("profile"):
            for group in profile:
                for what, verdict in group.attrib.items():
                    assert verdict == "ALLOW", "what is not allowed is denied"
                    names = {full_name(e.text.strip(), profile.get("ns"), profile.get("node")) for e in group}
                    rules.setdefault((enclave.get("path"), what), set()).update(names)
    return rules


def who_may(allowed, what, name):
    return {enclave for (enclave, rule), names in allowed.items() if rule == what and any(fnmatchcase(name, n) for n in names)}


def test_it_is_of_the_grammar(policy):
    assert policy.tag == "policy"
    assert policy.get("version") == "0.2.0"
    assert faults(policy) == []


@pytest.mark.parametrize(
    "text",
    [
        '<policy version="0.2.0"><contexts/></policy>',
        '<policy version="0.2.0"><enclaves><enclave><profiles/></enclave></enclaves></policy>',
        '<topics publish="YES"><topic>image</topic></topics>',
        '<topics reply="ALLOW"><topic>image</topic></topics>',
        '<topics publish="ALLOW"><service>image</service></topics>',
        '<topics publish="ALLOW"><topic> </topic></topics>',
    ],
)
def test_what_is_not_of_the_grammar_is_found(text):
    assert faults(ElementTree.fromstring(text))


@pytest.mark.parametrize("topic", ["query", "watch", "unwatch"])
def test_only_the_operator_asks_and_only_the_node_hears(allowed, topic):
    assert who_may(allowed, "publish", f"/ps3/{topic}") == {"/operator"}
    assert who_may(allowed, "subscribe", f"/ps3/{topic}") == {"/ps3"}


def test_the_service_and_the_action_are_asked_by_the_operator_and_answered_by_the_node(allowed):
    ask, look = full_name(ASK.name, "/", "ps3"), full_name(LOOK.name, "/", "ps3")
    assert (who_may(allowed, "request", ask), who_may(allowed, "reply", ask)) == ({"/operator"}, {"/ps3"})
    assert (who_may(allowed, "call", look), who_may(allowed, "execute", look)) == ({"/operator"}, {"/ps3"})


def test_only_the_node_answers_and_only_the_camera_sends_images(allowed):
    for topic in TOPICS:
        name = full_name(topic.name, "/", "ps3")
        if topic.direction == "out":
            assert who_may(allowed, "publish", name) == {"/ps3"}, name
        else:
            assert who_may(allowed, "subscribe", name) >= {"/ps3"}, f"{name} is missing in config/security/policy.xml"
    assert who_may(allowed, "publish", "/ps3/prior") == who_may(allowed, "publish", "/ps3/prior/regions") == {"/prior"}
    for name in ("/image", "/image/compressed", "/camera_info", "/depth"):
        assert who_may(allowed, "publish", name) == {"/camera"}


def test_it_names_nothing_that_the_node_does_not_have(allowed):
    declared = {"publish": "out", "subscribe": "in"}
    for what, direction in declared.items():
        names = {full_name(topic.name, "/", "ps3") for topic in TOPICS if topic.direction == direction}
        assert allowed["/ps3", what] - OF_EVERY_NODE == names
    assert allowed["/ps3", "execute"] == {full_name(LOOK.name, "/", "ps3")}
    own = set().union(*(names for (enclave, _), names in allowed.items() if enclave == "/ps3"))
    for (enclave, what), names in allowed.items():
        assert {name for name in names if name.startswith("/ps3/")} <= own, f"{enclave} {what}"


def test_only_the_manager_changes_states_and_parameters(allowed):
    for service in ("change_state", "set_parameters", "set_parameters_atomically"):
        assert who_may(allowed, "request", f"/ps3/{service}") == {"/manager"}
        assert who_may(allowed, "reply", f"/ps3/{service}") == {"/ps3"}


def test_no_rule_is_wider_than_a_name(allowed):
    assert not [name for names in allowed.values() for name in names if set(name) & set("*?[")]
