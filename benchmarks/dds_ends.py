"""The two ends of a camera's topic, each a process of its own: one sends a frame again and again, one only counts what arrives.

`python -m benchmarks.dds_ends send --kind raw --rate 10 --size 3840 2160`: "go SECONDS" on stdin sends for so long.
`python -m benchmarks.dds_ends count --kind raw`: "report" tells what came since the last report.
"""

from ps3_ros.memory import keep_freed_memory

if __name__ == "__main__":
    keep_freed_memory()  # as the node does, and before numpy starts threads

import argparse  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import rclpy  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

from ps3_ros import transport  # noqa: E402
from ps3_ros.messages import byte_array, header, stamp_ns  # noqa: E402

from .cases import read_frame  # noqa: E402
from .processes import answer_lines  # noqa: E402

QOS = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)  # as ps3_camera and the node
KINDS = {"raw": (Image, "image"), "compressed": (CompressedImage, "image/compressed")}


def frame_message(kind: str, pixels: np.ndarray, quality: int):
    """uint8 [H, W, 3] BGR -> Image (bgr8) or CompressedImage (JPEG)."""
    about = header(0, "camera")
    if kind == "compressed":
        message = CompressedImage(header=about, format="bgr8; jpeg compressed bgr8")
        message.data = byte_array(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
        return message
    height, width = pixels.shape[:2]
    message = Image(header=about, height=height, width=width, encoding="bgr8", step=width * 3)
    message.data = byte_array(pixels)
    return message


def send(kind: str, rate_hz: float, size: tuple, quality: int) -> None:
    message = frame_message(kind, read_frame(size), quality)  # one message for all frames: only its stamp is new
    node = rclpy.create_node("bench_camera")
    publisher = node.create_publisher(*KINDS[kind], QOS)

    def go(word, seconds):
        start, slot, sent = time.monotonic(), 0, 0
        while slot / rate_hz < float(seconds):
            time.sleep(max(0.0, start + slot / rate_hz - time.monotonic()))
            message.header.stamp = node.get_clock().now().to_msg()
            publisher.publish(message)
            sent += 1
            slot = max(slot + 1, int((time.monotonic() - start) * rate_hz))  # what is late is left out, as a camera does
        return {"sent": sent, "late": slot - sent}

    answer_lines(go, {"bytes": len(message.data)})


def count(kind: str) -> None:
    node, ages = rclpy.create_node("bench_counter"), []
    node.create_subscription(*KINDS[kind], lambda m: ages.append((time.time_ns() - stamp_ns(m.header.stamp)) / 1e6), QOS)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    threading.Thread(target=executor.spin, daemon=True).start()

    def report(word):
        seen = ages[:]
        del ages[: len(seen)]
        return {"received": len(seen), "age_ms": [float(np.percentile(seen, q)) for q in (50, 95, 99)] if seen else []}

    answer_lines(report, {})


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dds_ends", description=__doc__.splitlines()[0])
    parser.add_argument("end", choices=("send", "count"))
    parser.add_argument("--kind", choices=tuple(KINDS), default="raw")
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--size", type=int, nargs=2, default=(3840, 2160))
    parser.add_argument("--quality", type=int, default=90, help="of JPEG")
    a = parser.parse_args(argv)
    transport.use_shared_memory(sends_frames=a.end == "send")
    rclpy.init(args=[])
    send(a.kind, a.rate, tuple(a.size), a.quality) if a.end == "send" else count(a.kind)
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
