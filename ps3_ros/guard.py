"""What watches over the node from a thread of its own: /diagnostics, a look that hangs, a backend that is lost and comes back."""

import threading
import time

from diagnostic_msgs.msg import DiagnosticArray

from . import messages
from .health import Health, Seen
from .pulse import Pulse

HANGS_APART_S = 600.0  # a second hang sooner than this after the first is not mended by opening the backend anew


class Guard:
    """Beats as often as the parameter diagnostics_period_s says, in every state of the node, until `stop`.

    node: Ps3Node, of which it reads `worker`, `channels`, `state_name` and the parameters, and calls `fall_inactive`, `come_back` and
    `restart_worker`.
    """

    def __init__(self, node):
        self._node = node
        self._health = Health()  # while no camera is configured
        self.fault = None  # why the node fell inactive by itself, one sentence; None where it did not
        self._hung_at = float("-inf")
        self._active_since = None
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._stopped = threading.Event()
        self._pulse = Pulse(self._beat, lambda: node.parameters_now().diagnostics_period_s, self._failed)

    def stop(self):
        """Ends the beat."""
        self._stopped.set()
        self._pulse.stop()

    def activated(self):
        """The node is active: whatever was wrong was looked into."""
        self.fault, self._active_since = None, time.monotonic()

    def deactivated(self, by_itself):
        """The node is inactive; where that was somebody's wish, it stays so."""
        self._active_since = None
        if not by_itself:
            self.fault = None

    def lost(self, reason):
        """From the worker's thread: no backend works. The node becomes inactive, and the worker goes on trying."""
        self.fault = f"inactive, as {reason}"
        self._node.later(self._node.fall_inactive)

    def mended(self):
        """From the worker's thread: a backend works again."""
        if self.fault is not None:
            self._node.later(self._node.come_back)

    def _beat(self):
        if self._stopped.is_set():
            return
        if self._node.worker is not None:
            self._node.worker.expire()
        hang, channels = self._hang(), self._node.channels
        reports = [(channel.name, channel.health.report(self._seen(hang, channel))) for channel in channels]
        reports = reports or [(None, self._health.report(Seen(self._node.state_name, fault=self.fault or self._node.refusal)))]
        self._publisher.publish(messages.diagnostics_message(reports, self._node.get_fully_qualified_name(), self._node.now_ns()))
        if hang is not None and self.fault is None:
            self._end_hang(hang)

    def _hang(self):
        worker = self._node.worker
        return worker.hangs(self._node.parameters_now().look_timeout_s) if worker is not None else None

    def _end_hang(self, hang):
        step, seconds = hang
        reason = f"a step ({step}) has not ended in {seconds:.1f} s and was given up"
        again = time.monotonic() - self._hung_at < HANGS_APART_S
        self._hung_at = time.monotonic()
        if again:
            self.fault = f"inactive, as {reason}, for the second time; look into the backend, then activate the node again"
            self._node.get_logger().error(self.fault)
            self._node.later(self._node.fall_inactive)
        else:
            self._node.get_logger().error(f"{reason}; the backend is opened anew")
            self._node.restart_worker(f"{reason}; the backend is opened anew, ask again")

    def _seen(self, hang, channel):
        node, desk, since = self._node, channel.desk, self._active_since
        responder = desk.office.responder
        return Seen(
            state=node.state_name,
            purpose=desk.idle_for() if since is not None else "",
            fault=self.fault,
            hang=hang,
            counts=desk.counts(),
            image_age_s=desk.image_age_s(),
            active_s=0.0 if since is None else time.monotonic() - since,
            frame_timeout_s=node.parameters_now().frame_timeout_s,
            model=responder.model,
            backend=responder.backend,
            trouble=responder.trouble,
            share=responder.share,
            pace=responder.pacer.share,
            standing=len(desk.standing()),
        )

    def _failed(self, trace):
        if not self._stopped.is_set():
            self._node.get_logger().error(f"the diagnostics failed: {trace}")
