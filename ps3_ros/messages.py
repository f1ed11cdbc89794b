"""ROS messages from what the core gives, and back. The only place that knows their fields."""

import json
import sys
from array import array
from dataclasses import asdict

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header, String

from .errors import FrameError
from .image_decoding import decode_compressed, decode_image
from .looked import looked_mask

try:
    from vision_msgs.msg import BoundingBox2D, Detection2D, Detection2DArray, ObjectHypothesisWithPose
except ImportError:  # it has no wheel; every ROS distribution has it
    Detection2DArray = None


def frame_from(message):
    """sensor_msgs Image or CompressedImage -> Frame. Raises FrameError."""
    stamp, frame_id = stamp_ns(message.header.stamp), message.header.frame_id
    if (nanoseconds := message.header.stamp.nanosec) >= 1_000_000_000:
        raise FrameError(f"image stamp has {nanoseconds} nanoseconds where a second has 1000000000; publish seconds and the rest of one")
    if isinstance(message, CompressedImage):
        return decode_compressed(message.data, message.format, stamp, frame_id)
    m = message
    return decode_image(m.height, m.width, m.encoding, m.is_bigendian, m.step, m.data, stamp, frame_id)


def answer_message(answer):
    """std_msgs/String with the answer's JSON."""
    return String(data=answer.to_json())


def text_message(values):
    """std_msgs/String with a JSON object or list."""
    return String(data=json.dumps(values, ensure_ascii=False, allow_nan=False))


def request_values(request):
    """query.Request -> what ~/watching tells of it."""
    return {name: value for name, value in asdict(request).items() if value is not None}


def diagnostics_message(reports, name, now_ns):
    """diagnostic_msgs/DiagnosticArray with a status a report.

    reports: [(camera or None, Report)]; name: of the node; now_ns: nanoseconds.
    """
    array = DiagnosticArray(header=header(now_ns, ""))
    for camera, report in reports:
        about = f"{name.lstrip('/')}: {'' if camera is None else camera + ' '}answers"
        status = DiagnosticStatus(level=bytes([report.level]), name=about, message=report.message, hardware_id="ps3")
        status.values = [KeyValue(key=key, value=value) for key, value in report.values]
        array.status.append(status)
    return array


def relevance_message(relevance, frame):
    """float32 [g, g] in [0, 1] -> mono8 image [g, g] that spans the whole frame; 255 is certain."""
    return mono_message(np.clip(np.rint(relevance * 255), 0, 255).astype(np.uint8), frame)


def looked_message(detail, frame):
    """What was looked at -> mono8 image [rows, cols] of the finest grid; bit s is set where a patch of high-res scale s was looked at."""
    return mono_message(looked_mask(detail.plan, detail.selection), frame)


def mono_message(pixels, frame):
    """uint8 [h, w] -> sensor_msgs/Image mono8 with the frame's header."""
    message = Image(header=header(frame.stamp_ns, frame.frame_id), height=pixels.shape[0], width=pixels.shape[1], encoding="mono8")
    message.step = pixels.shape[1]
    message.is_bigendian = int(sys.byteorder == "big")
    message.data = byte_array(pixels)
    return message


def detections_message(answer, frame):
    """vision_msgs/Detection2DArray: a detection a region, whatever its score in [0, 1]; class_id is the label in plain text."""
    message = Detection2DArray(header=header(frame.stamp_ns, frame.frame_id))
    for region in answer.regions:
        x1, y1, x2, y2 = region.box
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = region.label, float(region.score)
        box = BoundingBox2D(size_x=float(x2 - x1), size_y=float(y2 - y1))
        box.center.position.x, box.center.position.y = (x1 + x2) / 2, (y1 + y2) / 2
        message.detections.append(Detection2D(header=message.header, results=[hypothesis], bbox=box))
    return message


def header(stamp, frame_id):
    """std_msgs/Header. stamp: nanoseconds."""
    sec, nanosec = divmod(stamp, 1_000_000_000)
    return Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=frame_id)


def stamp_ns(stamp):
    """builtin_interfaces/Time -> nanoseconds; negative where the seconds are."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def byte_array(pixels):
    """What a message's data field takes without looking at each byte: a list costs 1.8 s for a 4K frame, this 5 ms."""
    data = array("B")
    data.frombytes(np.ascontiguousarray(pixels).data.cast("B"))
    return data
