"""Over real DDS: priors on ~/prior and ~/prior/regions guide a question about a frame of their time, and standing queries have a gaze."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")
sys.path.insert(0, str(Path(__file__).parent))

from ros_helpers import Client, Process, free_domain, image_message, stamp_of  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_msgs.msg import String  # noqa: E402

from ps3_ros.messages import byte_array, header, stamp_ns  # noqa: E402

pytestmark = pytest.mark.alone

STAMP, SECOND = 1_700_000_000_000_000_000, 1_000_000_000
PIXELS = cv2.resize(np.random.default_rng(2).integers(0, 256, (9, 16, 3), dtype=np.uint8), (640, 360), interpolation=cv2.INTER_CUBIC)


def mono8(values, stamp, encoding="mono8"):
    return Image(
        header=header(stamp, "map"),
        height=values.shape[0],
        width=values.shape[1],
        encoding=encoding,
        step=values.shape[1],
        data=byte_array(values),
    )


def test_priors_and_gaze(tiny_bundle, tmp_path):
    domain = free_domain()
    given = {"bundle": str(tiny_bundle), "threads": 1, "max_patches": 8, "frame_timeout_s": 600.0, "log_period_s": 0.0}
    values = [part for name, value in given.items() for part in ("-p", f"{name}:={json.dumps(value)}")]
    node = Process("ps3_ros.node", "--ros-args", *values, domain=domain, logs=tmp_path)
    robot = Client(domain)
    try:
        prior = robot.node.create_publisher(Image, "ps3/prior", 10)
        regions = robot.node.create_publisher(String, "ps3/prior/regions", 10)
        watch = robot.node.create_publisher(String, "ps3/watch", 10)
        robot.wait_connected()
        robot.until(lambda: all(p.get_subscription_count() for p in (prior, regions, watch)), 30, "discovery")

        def about(stamp):
            """(relevance 0 to 255, what was looked at) of a question about a frame of this stamp."""
            robot.ask_about("mug", PIXELS, stamp)
            last = lambda kept: next((m for m in reversed(kept) if stamp_ns(m.header.stamp) == stamp), None)  # noqa: E731
            maps = [robot.until(lambda kept=kept: last(kept), what="a map of the frame") for kept in (robot.relevance, robot.looked)]
            return tuple(np.array(m.data).reshape(m.height, m.width) for m in maps)

        g = len(about(STAMP)[0])

        def cell(looked, n):
            """What was looked at in the first (0) or last (-1) cell."""
            high, wide = (side // g for side in looked.shape)
            return (looked[:high, :wide] if n == 0 else looked[-high:, -wide:]).max()

        corner = np.zeros((2 * g, 3 * g), np.uint8)
        corner[-1, -1] = 255
        prior.publish(mono8(corner, STAMP))
        robot.spin(0.5)
        relevance, looked = about(STAMP + SECOND // 2)
        assert relevance[-1, -1] == 255 and (relevance == 255).sum() == 1 and cell(looked, -1) > 0
        assert about(STAMP + 2 * SECOND)[0][-1, -1] < 255  # stale

        box = {"box": [0, 0, 640 / g, 360 / g], "weight": 1}
        stamp = {"sec": (STAMP + 9 * SECOND) // SECOND, "nanosec": 0}
        regions.publish(String(data=json.dumps({"width": 640, "height": 360, "regions": [box], "stamp": stamp})))
        robot.spin(0.5)
        relevance, looked = about(STAMP + 9 * SECOND)
        assert relevance[0, 0] == 255 and cell(looked, 0) > 0

        prior.publish(mono8(corner, STAMP, "rgb8"))
        regions.publish(String(data="\x1b[31mnot JSON"))
        node.wait_for_output("prior is not JSON")
        node.wait_for_output("prior has the encoding 'rgb8'")

        assert robot.set_parameter("gaze", True) == (True, "")
        watch.publish(String(data=json.dumps({"query": "cup", "id": "w"})))
        for n in range(4):
            moved = np.roll(PIXELS, 12 * n, axis=1)
            stamp = STAMP + (20 + n) * SECOND
            mine = lambda stamp=stamp: [a for a in robot.answers if a["id"] == "w" and stamp_of(a) == stamp]  # noqa: E731

            def answered(moved=moved, stamp=stamp, mine=mine):
                robot.image.publish(image_message(moved, stamp, "camera"))  # best effort: one may be lost
                return robot.wait(mine, 1.0)

            answer = robot.until(answered, 30, f"a standing answer about frame {n}")[0]
            assert answer["error"] is None and answer["standing"] and 0 < answer["patches_used"] <= 8
        assert robot.ask("mug")["error"] is None
    finally:
        node.stop()
        robot.close()
    assert "Traceback" not in node.output
