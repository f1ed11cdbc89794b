"""The web server: one page, one websocket. It passes frames and answers on to every browser, and their questions to the source.

Safety: it binds where it is told, 127.0.0.1 by default. A websocket is opened only from our own page (Origin), for a name this machine was
asked for by (Host), and with the token where there is one. Nothing of a question is ever written into HTML: the page sets text only.
"""

import asyncio
import hmac
import ipaddress
import json
from collections import deque
from importlib.resources import files
from urllib.parse import urlsplit

try:
    from aiohttp import WSMsgType, web
except ImportError as error:
    raise ImportError(f"the viewer needs aiohttp ({error}); pip install 'ps3_ros[view]'") from error

from ..errors import QueryError
from ..query import Request, parse_query
from .scene import Shot, Told

MAX_CLIENTS = 16
MAX_MESSAGE = 65_536  # bytes of what a browser sends
KEPT_ANSWERS = 20  # shown to a browser that comes later
WAITING_ANSWERS = 64  # of one slow browser: the oldest go first
QUESTIONS_PER_S = 10  # of one browser
PAGES = {"/": ("index.html", "text/html"), "/view.js": ("view.js", "text/javascript"), "/view.css": ("view.css", "text/css")}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Client:
    """One browser: the newest frame and the answers that wait to be sent to it."""

    def __init__(self, socket):
        self.socket, self.frame, self.texts, self.wake = socket, None, deque(maxlen=WAITING_ANSWERS), asyncio.Event()
        self.asked = deque(maxlen=QUESTIONS_PER_S)  # when, by the loop's clock

    async def send(self):
        """Sends what waits, for as long as it lives. Newest frame wins: a slow link gets fewer of them."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            frame, self.frame = self.frame, None
            if frame is not None:
                await self.socket.send_bytes(frame)
            while self.texts:
                await self.socket.send_str(self.texts.popleft())


class Server:
    """Between a source and its browsers. token: needed to connect, or None; host: what it binds.

    show and tell may be called from any thread, once `attach` was.
    """

    def __init__(self, host="127.0.0.1", token=None):
        self.token, self._host = token, host
        self._source = self._loop = self._last = None
        self._answers, self._clients, self._number = deque(maxlen=KEPT_ANSWERS), set(), 0
        self.app = web.Application(client_max_size=MAX_MESSAGE)
        for path in PAGES:
            self.app.router.add_get(path, self._page)
        self.app.router.add_get("/socket", self._socket)
        self.app.on_startup.append(self._started)
        self.app.on_shutdown.append(self._closed)

    def attach(self, source):
        """source: files.Files or topics.Topics; started with the server, stopped by who made it."""
        self._source = source

    def show(self, shot: Shot):
        self._later(self._pass_frame, shot.to_bytes())

    def tell(self, told: Told):
        self._later(self._pass_text, told.to_json(), True)

    def tell_standing(self):
        """Which questions stand now, to every browser."""
        self._later(self._pass_text, self._standing(), False)

    # ---- in the server's loop

    async def _started(self, app):
        self._loop = asyncio.get_running_loop()
        self._source.start()

    async def _closed(self, app):
        for client in list(self._clients):
            await client.socket.close(code=1001, message=b"the viewer was stopped")

    def _later(self, function, *values):
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *values)

    def _pass_frame(self, data):
        self._last = data
        for client in self._clients:
            client.frame = data
            client.wake.set()

    def _pass_text(self, text, keep):
        if keep:
            self._answers.append(text)
        for client in self._clients:
            client.texts.append(text)
            client.wake.set()

    def _standing(self):
        return json.dumps({"type": "standing", "standing": self._source.standing()}, ensure_ascii=False)

    async def _page(self, request):
        if request.path == "/":
            self._check(request)
        name, kind = PAGES[request.path]
        text = files(__package__).joinpath("static", name).read_text(encoding="utf-8")
        return web.Response(text=text, content_type=kind, headers=HEADERS)

    def _check(self, request):
        """Raises 403 for a name that is not ours (a page elsewhere may name any address as its own), or a wrong token."""
        name = urlsplit(f"//{request.host}").hostname or ""
        if is_loopback(self._host) and not is_loopback(name):
            raise web.HTTPForbidden(text=f"the viewer is for this machine only, and was asked for as {name[:100]!r}\n")
        if self.token is not None and not hmac.compare_digest(request.query.get("token", "").encode(), self.token.encode()):
            raise web.HTTPForbidden(text="the viewer needs its token: open the address that ps3 view printed\n")

    async def _socket(self, request):
        self._check(request)
        if urlsplit(request.headers.get("Origin", "")).netloc != request.host:
            raise web.HTTPForbidden(text="the socket is for the viewer's own page\n")
        if len(self._clients) >= MAX_CLIENTS:
            raise web.HTTPServiceUnavailable(text=f"{MAX_CLIENTS} browsers look on already; close one\n")
        socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE, heartbeat=20.0, compress=False)
        await socket.prepare(request)
        client = Client(socket)
        hello = {"type": "hello", "title": self._source.title, "steps": self._source.steps}
        client.texts.extend((json.dumps(hello, ensure_ascii=False), *self._answers, self._standing()))
        client.frame = self._last
        client.wake.set()
        self._clients.add(client)
        self._source.watched(len(self._clients))
        sender = asyncio.create_task(client.send())
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    client.texts.extend(self._take(message.data, client))
                    client.wake.set()
        finally:
            sender.cancel()
            self._clients.discard(client)
            self._source.watched(len(self._clients))
        return socket

    def _take(self, text, client):
        """What a browser sent; gives the texts to answer it with at once."""
        try:
            data = json.loads(text)
            action = data["type"]
            if action == "ask":
                self._ask(data, client)
            elif action == "forget":
                self._source.forget(str(data["key"]))
                self.tell_standing()
            elif action == "step":
                self._source.step(1 if data["by"] > 0 else -1)
            else:
                raise QueryError(f"the page sent {str(action)[:40]!r}, which the viewer does not know; reload the page")
        except QueryError as error:
            return [json.dumps({"type": "refused", "reason": str(error)}, ensure_ascii=False)]
        except (ValueError, KeyError, TypeError, RecursionError):
            return [json.dumps({"type": "refused", "reason": "the page sent what the viewer cannot read; reload the page"})]
        return []

    def _ask(self, data, client):
        now = self._loop.time()
        if len(client.asked) == QUESTIONS_PER_S and now - client.asked[0] < 1:
            raise QueryError(f"more than {QUESTIONS_PER_S} questions came in a second; ask again")
        client.asked.append(now)
        self._number += 1
        query = data["query"]
        if not isinstance(query, str) or query.lstrip().startswith("{"):
            raise QueryError("a question here is plain text; JSON is for ~/query")
        parse_query(query)
        keep = data.get("keep") is True  # a standing question is named by its text, so that the same one is asked once only
        self._source.ask(Request(query.strip(), id=None if keep else f"view-{self._number}"), standing=keep)
        if keep:
            self.tell_standing()


def is_loopback(name: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
