"""The viewer's server with a client of its own: what it passes on, and whom it lets in."""

import asyncio
import json
import struct
import threading

import pytest

aiohttp = pytest.importorskip("aiohttp", reason="aiohttp cannot be imported: pip install 'ps3_ros[view]'")

from aiohttp import web  # noqa: E402

from ps3_ros.answer import Answer  # noqa: E402
from ps3_ros.cli import main  # noqa: E402
from ps3_ros.view import server as view_server  # noqa: E402
from ps3_ros.view.scene import Shot, Told  # noqa: E402
from ps3_ros.view.server import KEPT_ANSWERS, QUESTIONS_PER_S, Server, is_loopback  # noqa: E402


class Source:
    """Keeps what it is asked; shows and tells what a test says. The real ones are tested by themselves and in test_browser.py."""

    title, steps = "a source", True

    def __init__(self):
        self.asked, self.stepped, self.counts, self.standing_now = [], [], [], []

    def start(self):
        pass

    def ask(self, request, standing=False):
        self.asked.append((request.text, request.id, standing))

    def forget(self, key):
        self.standing_now = [entry for entry in self.standing_now if entry[0] != key]

    def standing(self):
        return self.standing_now

    def step(self, by):
        self.stepped.append(by)

    def watched(self, count):
        self.counts.append(count)


def serve(test, host="127.0.0.1", token=None):
    """Runs `await test(server, source, session, address)` against a server on a free port."""

    async def run():
        server, source = Server(host, token), Source()
        server.attach(source)
        runner = web.AppRunner(server.app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=0.5)
        await site.start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with aiohttp.ClientSession() as session:
            try:
                await asyncio.wait_for(test(server, source, session, address), 20)
            finally:
                await runner.cleanup()

    asyncio.run(run())


def connect(session, address, query="", origin=None):
    return session.ws_connect(f"{address}/socket{query}", origin=address if origin is None else origin)


async def greeting(socket):
    """(hello, what stands) of a new connection without answers."""
    return json.loads(await socket.receive_str()), json.loads(await socket.receive_str())


def told(query, **changed):
    return Told(json.loads(Answer(query=query, found=False, **changed).to_json()))


def shot(stamp):
    return Shot(b"jpeg", stamp, "camera", 640, 360)


def test_frames_and_answers_go_to_every_browser_and_late_ones_get_the_last():
    async def test(server, source, session, address):
        async with connect(session, address) as one, connect(session, address) as two:
            for socket in (one, two):
                hello, standing = await greeting(socket)
                assert hello == {"type": "hello", "title": "a source", "steps": True} and standing["standing"] == []
            threading.Thread(target=lambda: (server.show(shot(7)), server.tell(told("mug")))).start()  # as a source's thread does
            for socket in (one, two):
                frame = await socket.receive_bytes()
                (length,) = struct.unpack_from("<I", frame)
                assert json.loads(frame[4 : 4 + length])["stamp"] == "7" and frame[4 + length :] == b"jpeg"
                assert json.loads(await socket.receive_str())["answer"]["query"] == "mug"
        for n in range(KEPT_ANSWERS + 5):
            server.tell(told(f"q{n}"))
        await asyncio.sleep(0)
        async with connect(session, address) as late:
            assert (await late.receive_bytes()).endswith(b"jpeg")
            texts = [json.loads(await late.receive_str()) for _ in range(KEPT_ANSWERS + 2)]
            assert [t["answer"]["query"] for t in texts[1:-1]] == [f"q{n}" for n in range(5, KEPT_ANSWERS + 5)]
        assert source.counts[:2] == [1, 2]

    serve(test)


def test_questions_go_to_the_source_and_refusals_come_back():
    async def test(server, source, session, address):
        async with connect(session, address) as socket:
            await greeting(socket)

            async def refused(message):
                await socket.send_str(message if isinstance(message, str) else json.dumps(message))
                return json.loads(await socket.receive_str())["reason"]

            await socket.send_str(json.dumps({"type": "ask", "query": " <b>stop</b> sign ", "keep": False}))
            assert "empty" in await refused({"type": "ask", "query": "  "})
            assert "plain text" in await refused({"type": "ask", "query": '{"cancel": "x"}'})
            assert "plain text" in await refused({"type": "ask", "query": ["a"]})
            assert "4000" in await refused({"type": "ask", "query": "x" * 4001})
            for broken in ("{", "[]", '"text"', '{"type": "ask"}', '{"type": "step", "by": "x"}', "[" * 5000):
                assert "reload" in await refused(broken)
            assert "does not know" in await refused({"type": "fly"})
            source.standing_now = [("mug", "mug")]
            await socket.send_str(json.dumps({"type": "ask", "query": "mug", "keep": True}))
            assert json.loads(await socket.receive_str()) == {"type": "standing", "standing": [["mug", "mug"]]}
            await socket.send_str(json.dumps({"type": "forget", "key": "mug"}))
            assert json.loads(await socket.receive_str())["standing"] == []
            await socket.send_str(json.dumps({"type": "step", "by": -3}))
            await socket.send_str(json.dumps({"type": "step", "by": 1}))
            assert "does not know" in await refused({"type": "fly"})
        assert [asked[0] for asked in source.asked] == ["<b>stop</b> sign", "mug"]
        assert source.asked[0][1].startswith("view-") and source.asked[1] == ("mug", None, True) and source.stepped == [-1, 1]

    serve(test)


def test_a_flood_of_questions_is_limited_and_too_long_a_message_ends_the_connection():
    async def test(server, source, session, address):
        async with connect(session, address) as socket:
            await greeting(socket)
            for _ in range(QUESTIONS_PER_S + 1):
                await socket.send_str(json.dumps({"type": "ask", "query": "mug"}))
            assert "in a second" in json.loads(await socket.receive_str())["reason"]
            assert len(source.asked) == QUESTIONS_PER_S
            await socket.send_str("x" * 100_000)
            assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING)

    serve(test)


def test_only_our_own_page_on_this_machine_may_connect():
    async def test(server, source, session, address):
        for origin in ("http://elsewhere.example", address.replace("http", "http") + "1", ""):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await connect(session, address, origin=origin)
            assert refused.value.status == 403
        for path in ("/", "/socket"):  # a page elsewhere that names our address as its own (DNS rebinding)
            async with session.get(address + path, headers={"Host": "elsewhere.example", "Origin": "http://elsewhere.example"}) as response:
                assert response.status == 403 and "elsewhere.example" in await response.text()
        for path in ("/../server.py", "/static/view.js", "/etc/passwd"):
            async with session.get(address + path) as response:
                assert response.status == 404

    serve(test)


def test_with_a_token_nothing_but_the_files_is_given_without_it():
    async def test(server, source, session, address):
        for query, status in (("", 403), ("?token=wrong-one", 403), ("?token=gooood-one", 200)):
            async with session.get(address + "/" + query) as response:
                assert response.status == status
            if status == 403:
                with pytest.raises(aiohttp.WSServerHandshakeError):
                    await connect(session, address, query)
        async with connect(session, address, "?token=gooood-one") as socket:
            assert (await greeting(socket))[0]["title"] == "a source"

    serve(test, host="0.0.0.0", token="gooood-one")


def test_the_page_is_whole_and_loads_nothing_from_elsewhere():
    async def test(server, source, session, address):
        for path, kind in (("/", "text/html"), ("/view.js", "text/javascript"), ("/view.css", "text/css")):
            async with session.get(address + path) as response:
                text = await response.text()
                assert response.content_type == kind and "default-src 'none'" in response.headers["Content-Security-Policy"]
                assert "://" not in text.replace("https:", "") and "innerHTML" not in text

    serve(test)


def test_too_many_browsers_are_turned_away(monkeypatch):
    monkeypatch.setattr(view_server, "MAX_CLIENTS", 1)

    async def test(server, source, session, address):
        async with connect(session, address) as socket:
            await greeting(socket)
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await connect(session, address)
            assert refused.value.status == 503

    serve(test)


@pytest.mark.parametrize(
    ("name", "ours"),
    [("localhost", True), ("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("0.0.0.0", False), ("robot.local", False), ("", False)],
)
def test_which_names_are_this_machine_only(name, ours):
    assert is_loopback(name) is ours


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "--image"),
        (["--image", "none.jpg"], "nothing at 'none.jpg'"),
        (["--ros", "--image", "a.jpg"], "leave out"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(capsys, argv, says):
    assert main(["view", *argv]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1
