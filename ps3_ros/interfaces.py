"""A service and an action beside the topics, where the package ps3_interfaces is built: ask, and wait for the answer. Imports ROS.

~/ask (ps3_interfaces/srv/Ask) and ~/look (ps3_interfaces/action/Look), each under its camera's name as the topics are. What they ask goes
the way of ~/query, so ~/answer has their answers too. No callback waits: rclpy would keep a core busy meanwhile.
"""

from functools import partial

from rclpy.action import ActionServer, CancelResponse

from .errors import QueryError
from .messages import header
from .query import Cancel, parse_query, with_anytime
from .topics import ASK, LOOK

try:
    from geometry_msgs.msg import Point, Vector3

    from ps3_interfaces.action import Look
    from ps3_interfaces.msg import Answer, Region
    from ps3_interfaces.srv import Ask
except ImportError:
    Ask = Look = None


def attach(channel):
    """Offers both for a camera, from configure to cleanup, where their types are installed. See node.ATTACHED."""
    if Ask is None:
        return
    service, action = AskService(channel), LookAction(channel)
    channel.closers += [service.close, action.close]


class AskService:
    """Answers when the question has its final answer."""

    def __init__(self, channel):
        self._channel, self._waiting = channel, None
        self._service = channel.node.create_service(Ask, ASK.of(channel.name), self._take)
        self._send, self._service.send_response = self._service.send_response, self._keep

    def close(self):
        self._channel.node.destroy_service(self._service)

    def _take(self, request, response):
        """rclpy sends what a callback returns, at once: so what is returned here only says which question it was."""
        return request

    def _keep(self, request, head):
        """In place of the service's own send_response, which is called when there is an answer. head: whom it goes to."""
        ask(self._channel, request.query, partial(self._answer, head))

    def _answer(self, head, answer):
        if answer.final:
            self._send(Ask.Response(answer=typed(answer)), head)


class LookAction:
    """Its feedback are the answers that get better, its result is the final one."""

    def __init__(self, channel):
        self._channel, self._asked, self._closed = channel, {}, False  # of asked: goal: Waiting
        self._server = ActionServer(
            channel.node,
            Look,
            LOOK.of(channel.name),
            self._nothing,
            handle_accepted_callback=self._accepted,
            cancel_callback=self._cancel,
        )

    def close(self):
        self._closed = True
        self._server.destroy()

    def _nothing(self, goal):
        """Goals are executed by _finish."""

    def _accepted(self, goal):
        key = bytes(goal.goal_id.uuid)
        waiting = ask(self._channel, with_anytime(goal.request.query), partial(self._hear, goal, key))
        if waiting is not None:
            self._asked[key] = waiting

    def _hear(self, goal, key, answer):
        """From the worker's thread, or the executor's."""
        if not answer.final:
            goal.publish_feedback(Look.Feedback(answer=typed(answer)))
            return
        self._channel.node.later(lambda: self._finish(goal, key, answer))

    def _finish(self, goal, key, answer):
        """On the executor's thread, after the goal was accepted and a cancel was granted."""
        self._asked.pop(key, None)
        if self._closed:
            return

        def execute(goal):
            if goal.is_cancel_requested:
                goal.canceled()
            elif answer.error is not None:
                goal.abort()
            else:
                goal.succeed()
            return Look.Result(answer=typed(answer))

        goal.execute(execute)

    def _cancel(self, goal):
        waiting = self._asked.get(bytes(goal.goal_id.uuid))
        if waiting is not None and self._channel.desk.withdraw(waiting):
            return CancelResponse.ACCEPT
        return CancelResponse.REJECT


def ask(channel, query, heard):
    """Puts a question to the camera; heard is told each answer. Returns the Waiting, None where it has its answer already."""
    told = []
    try:
        if isinstance(parse_query(query), Cancel):
            heard(channel.desk.failed(query, "a cancel is no question; send it on ~/query, or cancel the action's goal"))
            return None
    except QueryError:
        pass  # the desk says what is wrong with it
    waiting = channel.desk.put_query(query, lambda answer: told.append(answer.final) or heard(answer))
    if waiting is None and not told:
        heard(channel.desk.failed(query, "the node is not active; activate it and ask again"))
    return waiting


def typed(answer):
    """answer.Answer -> ps3_interfaces/msg/Answer."""
    stamp = answer.stamp["sec"] * 1_000_000_000 + answer.stamp["nanosec"]
    return Answer(
        header=header(stamp, answer.frame_id),
        query=answer.query,
        camera=answer.camera or "",
        found=bool(answer.found),
        label=answer.label or "",
        regions=[_region(region) for region in answer.regions],
        looked_fraction=float(answer.looked_fraction),
        looks=answer.looks,
        error=answer.error or "",
        json=answer.to_json(),
    )


def _region(region):
    x1, y1, x2, y2 = (float(value) for value in region.box)
    message = Region(x1=x1, y1=y1, x2=x2, y2=y2, score=float(region.score), label=region.label)
    message.track = -1 if region.track is None else region.track
    message.bearing = [] if region.bearing is None else [Vector3(**dict(zip("xyz", region.bearing, strict=True)))]
    message.position = [] if region.position is None else [Point(**dict(zip("xyz", region.position, strict=True)))]
    message.covariance = list(region.covariance or ())
    return message
