"""How a process of ours runs one node: arguments, signals, exit codes, and an end within 2 s of the signal whatever hangs."""

import os
import signal
import socket
import sys
import threading
from contextlib import contextmanager

import rclpy
from rclpy.exceptions import InvalidParameterException, ParameterException
from rclpy.signals import SignalHandlerOptions

from .errors import Ps3Error

SPIN_S = 0.2  # how long a signal may go unnoticed: Python runs its handlers between two waits of the middleware only
END_S = 1.9  # after the signal: what has not ended by then is cut off
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def spin(make_node, program, args, serve):
    """Makes a node and serves it until SIGINT or SIGTERM. Returns the exit code: 0, or 2 after one sentence on stderr.

    make_node: function that gives the node; program: its name for messages; args: ROS arguments, None for those of this process;
    serve: function of (node, stopped) that spins until stopped() and lets go of the node. END_S after the signal the process ends with
    code 0 wherever it is: a model that loads, or a middleware that does not let go, runs no Python handler.
    """
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in SIGNALS}
    try:
        with _end_in_time(program):
            # Signals are ours: rclpy's own handlers end the context at once, and what still waits for an answer would get none.
            rclpy.init(args=sys.argv if args is None else [program, *args], signal_handler_options=SignalHandlerOptions.NO)
            serve(make_node(), stop.is_set)
            rclpy.try_shutdown()
        return 0
    except (Ps3Error, RuntimeError, ParameterException, InvalidParameterException) as error:
        sentence = " ".join(str(error).split()).split(", at /")[0]  # rcl appends the place in its own source
        print(f"{program}: {sentence}", file=sys.stderr)
        return 2
    finally:
        rclpy.try_shutdown()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _end_in_time(program):
    """While it lasts, a signal starts a countdown that a busy main thread cannot hold up: Python's C handler writes to a socket."""
    done = threading.Event()
    ours, pythons = socket.socketpair()
    pythons.setblocking(False)
    before = signal.set_wakeup_fd(pythons.fileno(), warn_on_full_buffer=False)

    def watch():
        while number := ours.recv(1):
            if number[0] in SIGNALS and not done.wait(END_S):
                print(f"{program}: cut off {END_S:g} s after signal {number[0]}", file=sys.stderr, flush=True)
                os._exit(0)

    threading.Thread(target=watch, name="ps3-end", daemon=True).start()
    try:
        yield
    finally:
        done.set()
        signal.set_wakeup_fd(before)
        pythons.close()
        ours.shutdown(socket.SHUT_RDWR)
