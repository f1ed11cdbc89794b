"""`ps3 view`: its options, and the life of the server and its source."""

import argparse
import secrets
import socket
import sys
from pathlib import Path

from ..errors import Ps3Error
from ..exits import exit_code
from .server import Server, is_loopback, web

STOP_S = 2.0  # for browsers to be told


def main(argv=None) -> int:
    """Serves until Ctrl-C or SIGTERM; returns 0, or 2 after one sentence."""
    arguments = _parser().parse_args(argv)
    return exit_code("ps3 view", lambda: run(arguments))


def run(arguments) -> int:
    """As main, but raises Ps3Error."""
    loopback = is_loopback(arguments.host)
    token = arguments.token or (None if loopback else secrets.token_urlsafe(16))
    server = Server(arguments.host, token)
    source = _topics(arguments, server) if arguments.ros else _files(arguments, server)
    server.attach(source)
    listening = _listen(arguments.host, arguments.port)
    name = arguments.host if loopback else _own_name(arguments.host)
    name = f"[{name}]" if ":" in name else name
    address = f"http://{name}:{listening.getsockname()[1]}/" + (f"?token={token}" if token else "")
    print(f"{source.title}\nopen {address} (Ctrl-C ends it)", flush=True)
    if not loopback:
        print("whoever has this address can look and ask, and nothing is encrypted: use a network you trust, or an ssh tunnel", flush=True)
    try:
        web.run_app(server.app, sock=listening, print=None, shutdown_timeout=STOP_S, handle_signals=True)
    finally:
        source.stop()
    return 0


def _files(arguments, server):
    if arguments.image is None:
        raise Ps3Error("nothing to show was named; give --image with pictures or a video, or --ros for a running node")
    from ..ask import Asker
    from ..bundle import default_bundle
    from ..query import Request
    from .files import Files, list_files

    listed = list_files(arguments.image)  # a wrong path should not cost a model's loading
    asker = Asker(arguments.bundle or default_bundle(), backend=arguments.backend, threads=arguments.threads)
    source = Files(listed, asker, server.show, server.tell, arguments.width, arguments.rate, arguments.looks)
    for query in arguments.query:
        source.ask(Request(query), standing=True)
    return source


def _topics(arguments, server):
    if arguments.image is not None or arguments.query or arguments.bundle is not None:
        raise Ps3Error("--ros shows what a running node sees and asks that; leave out --image, --query and --bundle, or leave out --ros")
    try:
        from .topics import Topics
    except ImportError as error:
        raise Ps3Error(str(error)) from error

    return Topics(
        server.show,
        server.tell,
        server.tell_standing,
        node=arguments.node,
        camera=arguments.camera,
        image=arguments.topic,
        transport=arguments.transport,
        width=arguments.width,
        rate_hz=arguments.rate,
    )


def _listen(host, port):
    """A bound socket. Raises Ps3Error where the address cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise Ps3Error(f"cannot listen on {host!r}, port {port} ({error.strerror or error}); name another --host or --port") from error
    return listening


def _own_name(host):
    """What another machine may call this one, where it listens on every address."""
    return socket.gethostname() if host in ("0.0.0.0", "::") else host


def _parser():
    from ..cli import _model_options, _positive

    parser = argparse.ArgumentParser(prog="ps3 view", description="Show frames and answers in a browser, and ask there.")
    what = parser.add_argument_group("what is shown: files, or a running node")
    what.add_argument("--image", nargs="+", type=Path, metavar="FILE", help="pictures, folders of pictures, or a video")
    what.add_argument("--query", action="append", default=[], metavar="TEXT", help="ask this about every frame; may be repeated")
    what.add_argument("--looks", type=_positive, default=1, help="close looks a question (default 1)")
    what.add_argument("--ros", action="store_true", help="show what a running node sees, by its topics, and ask it")
    what.add_argument("--node", default="/ps3", metavar="NAME", help="the node's full name (default /ps3)")
    what.add_argument("--camera", metavar="NAME", help="one of the node's cameras, where it has several")
    what.add_argument("--topic", metavar="NAME", help="the camera's topic, without /compressed (default: the node's own)")
    what.add_argument("--transport", choices=("raw", "compressed"), default="raw", help="Image or CompressedImage (default raw)")
    parser.add_argument("--rate", type=_rate, default=5.0, metavar="HZ", help="frames shown a second, at most (default 5)")
    parser.add_argument("--width", type=_width, default=1280, metavar="PX", help="of the pictures sent (default 1280)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1: this machine only)")
    parser.add_argument("--port", type=_port, default=8765, help="default 8765; 0 takes a free one")
    parser.add_argument("--token", type=_token, help="needed to connect (default: none on this machine, else made anew and printed)")
    _model_options(parser)
    return parser


def _rate(text):
    return _number(text, 0.1, 60.0, float)


def _width(text):
    return _number(text, 160, 7680, int)


def _port(text):
    return _number(text, 0, 65535, int)


def _number(text, low, high, kind):
    try:
        value = kind(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low} to {high}")
    return value


def _token(text):
    if not 8 <= len(text) <= 200 or not all(c.isascii() and (c.isalnum() or c in "-_") for c in text):
        raise argparse.ArgumentTypeError("a token has 8 to 200 letters, digits, - and _")
    return text


if __name__ == "__main__":
    sys.exit(main())
