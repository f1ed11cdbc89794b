"""docs/ros.md, made from the declarations that the node runs on: `python -m ps3_ros.ros_docs`, and `--check` to compare. Imports ROS.

topics.py declares the topics, parameters.py the parameters; the states, transitions and services are ROS 2's own, with what the node does.
"""

import argparse
import os
import sys
from pathlib import Path

from . import parameters
from .errors import Ps3Error
from .exits import exit_code
from .topics import ASK, LOOK, TOPICS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "ros.md"
STATES = {  # lifecycle state: what is there in it
    "unconfigured": "Parameters, services and `/diagnostics`; no model, no other topic.",
    "inactive": "The model is loaded and its bundle was checked; publishers exist and are silent; nothing is subscribed to.",
    "active": "Images and questions are taken and answered.",
    "finalized": "The end: nothing but to stop the process.",
}
TRANSITIONS = {  # state: {transition: state it leads to}; any other is refused
    "unconfigured": {"configure": "inactive", "shutdown": "finalized"},
    "inactive": {"activate": "active", "cleanup": "unconfigured", "shutdown": "finalized"},
    "active": {"deactivate": "inactive", "shutdown": "finalized"},
    "finalized": {},
}
DOES = {
    "configure": "Checks the bundle (every file's sha256, each time) and opens the backend. Where that fails, the node stays unconfigured.",
    "activate": "Subscribes; the first time it measures what a question costs.",
    "deactivate": "Unsubscribes; every question that waits is answered with an error.",
    "cleanup": "Lets go of model and publishers.",
    "shutdown": "As deactivate and cleanup. SIGINT and SIGTERM do the same and end the process.",
}
SERVICES = {  # of every ROS 2 lifecycle node, below its name
    "lifecycle_msgs": ("change_state", "get_state", "get_available_states", "get_available_transitions", "get_transition_graph"),
    "rcl_interfaces": (
        "describe_parameters", "get_parameters", "get_parameter_types", "list_parameters", "set_parameters", "set_parameters_atomically",
    ),
}  # fmt: skip
RANGES = {int: "{} to {}", float: "{:.10g} to {:.10g}", str: "{}"}


class DriftError(Ps3Error):
    """The page is not what the declarations say now."""


def page():
    """The text of docs/ros.md."""
    return "\n".join([*_head(), *_topics(), *_states(), *_services(), *_parameters()]) + "\n"


def check(path=PAGE):
    """Raises DriftError where the file is not what `page` gives."""
    if not path.is_file() or path.read_text(encoding="utf-8") != page():
        raise DriftError(f"{path} is not what the code declares now; write it anew with python -m ps3_ros.ros_docs")


def write(path=PAGE):
    """Writes the page, all or nothing."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(page(), encoding="utf-8")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _head():
    return [
        "# Topics, states, services, parameters",
        "",
        "<!-- Made by python -m ps3_ros.ros_docs from the code's own declarations; a test compares. Do not edit. -->",
        "",
        "What it means is in [node.md](node.md), and in the schemas of [questions](query.schema.json) and [answers](answer.schema.json).",
        "The node is `ps3`; its name, its namespace and every topic can be remapped (`--ros-args -r __node:=eyes -r __ns:=/robot1",
        "-r image:=/camera/image_raw -r '~/query:=/ask'`), and `use_sim_time` is honoured: ages and `/diagnostics` follow `/clock`.",
        "",
    ]


def _topics():
    lines = ["## Topics", ""]
    lines += ["Names are relative to the node's namespace; `~` is the node. With the parameter `cameras` each topic but `/diagnostics` is"]
    lines += [
        "there once a camera, as `front/image` and `~/front/answer`; those with a * are also there without a name, for all cameras.",
        "",
    ]
    for direction, title in (("in", "Subscribed to, while active"), ("out", "Published")):
        lines += [f"### {title}", "", "| topic | type | QoS | what |", "|---|---|---|---|"]
        lines += [_topic(topic) for topic in TOPICS if topic.direction == direction] + [""]
    return lines


def _topic(topic):
    qos = f"{_or_parameter(topic.reliability, ('reliable', 'best_effort'))}{', latched' if topic.latched else ''}, "
    depth = topic.depth if isinstance(topic.depth, int) else f"`{topic.depth}`"
    needs = f" Needs {topic.needs}." if topic.needs else ""
    return f"| `{topic.name}`{' *' if topic.common else ''} | {topic.type} | {qos}{depth} | {_cell(topic.what + needs)} |"


def _or_parameter(value, plain):
    return value if value in plain else f"`{value}`"


def _states():
    lines = ["## States", "", "| state | what is there | transitions |", "|---|---|---|"]
    for state, ways in TRANSITIONS.items():
        lines.append(f"| {state} | {STATES[state]} | {', '.join(f'{way} → {to}' for way, to in ways.items()) or 'none'} |")
    lines += ["", "Any other transition is refused and changes nothing. An unexpected error in one leads to unconfigured.", ""]
    return [*lines, "| transition | what the node does |", "|---|---|", *(f"| {name} | {text} |" for name, text in DOES.items()), ""]


def _services():
    lines = ["## Services and actions", "", "Those of every ROS 2 node with a lifecycle:", ""]
    lines += [f"- {package}: {', '.join(f'`~/{name}`' for name in names)}" for package, names in SERVICES.items()]
    lines += ["", "And where the package ps3_interfaces is built, from configure to cleanup, once a camera:", ""]
    return [*lines, *(f"- `{offer.name}`, {offer.type}: {offer.what}" for offer in (ASK, LOOK)), ""]


def _parameters():
    lines = ["## Parameters", "", "| parameter | default | range | what |", "|---|---|---|---|"]
    for name, spec in parameters.SPECS.items():
        lines.append(f"| `{name}` | `{_value(spec.default)}` | {_range(spec)} | {_cell(spec.description + ' ' + spec.when)} |")
    return [*lines, "", "A value that cannot be is refused with the reason, and nothing changes."]


def _value(default):
    if isinstance(default, tuple):
        return "[" + ", ".join(f"'{text}'" for text in default) + "]"
    return str(default).lower() if isinstance(default, bool) else repr(default).replace("'", '"')


def _range(spec):
    if isinstance(spec.default, bool):
        return "true, false"
    if spec.allowed is None:
        return "texts" if isinstance(spec.default, tuple) else "text"
    return ", ".join(spec.allowed) if isinstance(spec.default, str) else RANGES[type(spec.default)].format(*spec.allowed)


def _cell(text):
    return text.replace("|", "\\|")


def main(args=None):
    """Returns the exit code: 2 where --check finds a difference."""
    parser = argparse.ArgumentParser(prog="ps3_ros.ros_docs", description="Writes docs/ros.md from what the node declares.")
    parser.add_argument("--check", action="store_true", help="compare and write nothing")
    parser.add_argument("--file", type=Path, default=PAGE, help="the page; default %(default)s")
    given = parser.parse_args(args)
    return exit_code(parser.prog, lambda: (check if given.check else write)(given.file))


if __name__ == "__main__":
    sys.exit(main())
