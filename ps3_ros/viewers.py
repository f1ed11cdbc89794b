"""What viewers are given: ~/overlay/compressed, a picture with the answers drawn in, and ~/annotations for those that draw themselves.

Imports ROS. Both cost nothing while nobody subscribes. Hooked into a camera's channel when the node is configured (node.ATTACHED).
"""

import zlib

from geometry_msgs.msg import Point
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import ColorRGBA

from . import messages
from .pictures import Painter

try:
    from visualization_msgs.msg import ImageMarker
except ImportError:  # part of every ROS distribution; a wheel of its own here
    ImageMarker = None

OVERLAY, ANNOTATIONS = "overlay/compressed", "annotations"
FOUND, NEAR = ColorRGBA(r=0.31, g=0.86, b=0.31, a=1.0), ColorRGBA(r=1.0, g=0.63, b=0.24, a=1.0)


def attach(channel):
    """Makes a channel (channel.Channel) publish both."""

    def publish(jpeg, frame):
        if channel.heard(OVERLAY):
            message = CompressedImage(header=messages.header(frame.stamp_ns, frame.frame_id), format="jpeg")
            message.data.frombytes(jpeg)
            channel.publish(OVERLAY, message)

    def settings():
        now = channel.node.parameters_now()
        return now.overlay_width, now.overlay_rate_hz

    channel.listeners.append(Painter(publish, lambda: channel.heard(OVERLAY), settings, channel.node.failed).put)
    if ImageMarker is not None:
        channel.listeners.append(lambda answer, detail, frame: _annotate(channel, answer, frame))


def _annotate(channel, answer, frame):
    if channel.heard(ANNOTATIONS):
        channel.publish(ANNOTATIONS, marker(answer, frame))


def marker(answer, frame):
    """visualization_msgs/ImageMarker: the boxes of all regions as one LINE_LIST, a colour a line, in pixels of the frame.

    The next answer to a question of the same words takes its place; one without regions removes it.
    """
    number = zlib.crc32(answer.query.encode()) & 0x7FFFFFFF
    message = ImageMarker(header=messages.header(frame.stamp_ns, frame.frame_id), ns="ps3", id=number)
    message.type, message.scale = ImageMarker.LINE_LIST, max(1.0, frame.width / 900)
    message.action = ImageMarker.ADD if answer.regions else ImageMarker.REMOVE
    message.outline_color = FOUND if answer.found else NEAR
    for rank, region in enumerate(answer.regions):
        x1, y1, x2, y2 = map(float, region.box)
        corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
        for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
            message.points += [Point(x=start[0], y=start[1]), Point(x=end[0], y=end[1])]
            message.outline_colors.append(FOUND if answer.found and rank == 0 else NEAR)
    return message
