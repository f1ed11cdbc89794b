"""How a process of ours runs one node: arguments, signals, exit codes."""

import signal
import sys
import threading

import rclpy
from rclpy.exceptions import InvalidParameterException, ParameterException
from rclpy.signals import SignalHandlerOptions

from .errors import Ps3Error

SPIN_S = 0.2  # how long a signal may go unnoticed: Python runs its handlers between two waits of the middleware only


def spin(make_node, program, args, serve):
    """Makes a node and serves it until SIGINT or SIGTERM. Returns the exit code: 0, or 2 after one sentence on stderr.

    make_node: function that gives the node; program: its name for messages; args: ROS arguments, None for those of this process;
    serve: function of (node, stopped) that spins until stopped() and lets go of the node.
    """
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        # Signals are ours: rclpy's own handlers end the context at once, and what still waits for an answer would get none.
        rclpy.init(args=sys.argv if args is None else [program, *args], signal_handler_options=SignalHandlerOptions.NO)
        serve(make_node(), stop.is_set)
        return 0
    except (Ps3Error, RuntimeError, ParameterException, InvalidParameterException) as error:
        sentence = " ".join(str(error).split()).split(", at /")[0]  # rcl appends the place in its own source
        print(f"{program}: {sentence}", file=sys.stderr)
        return 2
    finally:
        rclpy.try_shutdown()
        for number, handler in before.items():
            signal.signal(number, handler)
