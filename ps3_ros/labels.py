"""vision_msgs/LabelInfo beside the detections: which labels a camera's detections can have, latched. `attach` is the only part with ROS.

An open vocabulary has no fixed list of classes, so the list grows with what is asked; detections carry the label itself as their class_id.
"""

import traceback

from .text import split_choices

KEPT = 256  # labels that are told, the ones asked last: the whole list goes out with each new one
UNLABELED = 65535  # vision_msgs/VisionClass: the largest uint16 is no class


class LabelBook:
    """Labels and their numbers, in the order in which they were first asked. A number comes again only after 65,535 others."""

    def __init__(self, kept=KEPT):
        self._numbers, self._next, self._kept = {}, 0, kept

    def add(self, query):
        """The labels of a question (choices each). Returns whether the list changed. Raises QueryError where it is none."""
        before = list(self._numbers)
        for label in split_choices(query):
            if label in self._numbers:
                self._numbers[label] = self._numbers.pop(label)  # asked again: the last to be dropped
                continue
            self._numbers[label] = self._next
            self._next = (self._next + 1) % UNLABELED
        for label in list(self._numbers)[: max(0, len(self._numbers) - self._kept)]:
            del self._numbers[label]
        return set(before) != set(self._numbers)

    def items(self):
        """((number, label), ...), by number."""
        return tuple(sorted((number, label) for label, number in self._numbers.items()))


def label_info_message(book, threshold, head):
    """vision_msgs/LabelInfo. threshold: score from which a region counts as found; head: std_msgs/Header of the change."""
    from vision_msgs.msg import LabelInfo, VisionClass

    classes = [VisionClass(class_id=number, class_name=label) for number, label in book.items()]
    return LabelInfo(header=head, class_map=classes, threshold=float(threshold))


def attach(channel):
    """Publishes the list of a channel.Channel before the first detections that have a new label; nothing where vision_msgs is not there."""
    if "label_info" not in channel.outputs:
        return
    from .messages import header

    book = LabelBook()

    def tell(answer, request, frame):
        """Of desk.complete: from the worker's thread; the answer stays as it is."""
        try:
            if book.add(request.text):
                threshold = channel.desk.office.responder.asker.settings.found_threshold
                channel.publish("label_info", label_info_message(book, threshold, header(channel.node.now_ns(), frame.frame_id)))
        except Exception:  # a list that cannot be told must not cost the question its answer
            channel.node.failed(traceback.format_exc())
        return answer

    channel.desk.complete.append(tell)
