"""The page in a real browser: `ps3 view` in its own process, Chromium driven over its DevTools protocol. Skipped where there is none."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest

aiohttp = pytest.importorskip("aiohttp", reason="aiohttp cannot be imported: pip install 'ps3_ros[view]'")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on PATH"),
]

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --disable-dev-shm-usage --remote-debugging-port=0 --window-size=1500,900"
).split()
NASTY = "<img src=x onerror=document.title='bad'>"


class Page:
    """A page over the DevTools protocol."""

    def __init__(self, socket):
        self._socket, self._number = socket, 0

    async def call(self, method, **values):
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": values})
        while True:
            message = await self._socket.receive_json()
            if message.get("id") == self._number:
                return message["result"]

    async def run(self, script):
        """What a JavaScript expression gives."""
        result = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, script, timeout_s=30.0):
        end = asyncio.get_running_loop().time() + timeout_s
        while not (value := await self.run(script)):
            assert asyncio.get_running_loop().time() < end, f"{script} did not come true; {await self.run('document.body.innerText')}"
            await asyncio.sleep(0.1)
        return value

    async def key(self, key):
        text = key if len(key) == 1 else ""
        await self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def ask(self, query):
        await self.run("document.getElementById('query').value = ''")
        await self.run("document.getElementById('query').focus()")
        await self.call("Input.insertText", text=query)
        await self.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13)


@pytest.fixture(scope="module")
def address(tiny_bundle, tmp_path_factory):
    """Of a viewer in a process of its own, with two pictures."""
    folder = tmp_path_factory.mktemp("pictures")
    for n in range(2):
        pixels = cv2.resize(np.random.default_rng(n).integers(0, 256, (9, 16, 3), dtype=np.uint8), (640, 360))
        cv2.imwrite(str(folder / f"{n}.png"), pixels)
    command = [sys.executable, "-m", "ps3_ros.cli", "view", "--image", folder, "--port", "0", "--bundle", tiny_bundle, "--threads", "1"]
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        lines = [process.stdout.readline(), process.stdout.readline()]
        yield re.search(r"http://\S+", lines[1])[0]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def browse(address, folder, test):
    """Runs `await test(page)` in a new browser whose only page is `address`."""

    async def run():
        browser = await asyncio.create_subprocess_exec(
            CHROMIUM, *FLAGS, f"--user-data-dir={folder}", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            while not (found := re.search(rb"ws://[\d.:]+", line := await asyncio.wait_for(browser.stderr.readline(), 30))):
                assert line, "the browser ended"
            drain = asyncio.create_task(browser.stderr.read())
            async with aiohttp.ClientSession() as session:
                listed = await (await session.get(found[0].decode().replace("ws", "http") + "/json")).json()
                target = next(entry for entry in listed if entry["type"] == "page")
                async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    page = Page(socket)
                    await page.call("Page.navigate", url=address)
                    await page.until("document.getElementById('state')?.textContent === 'connected'")
                    await test(page)
            drain.cancel()
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            await browser.wait()

    asyncio.run(asyncio.wait_for(run(), 120))


ANSWERS = "document.querySelectorAll('#answers button').length"
CORNER = "Array.from(document.getElementById('canvas').getContext('2d').getImageData(2, 2, 1, 1).data)"


def test_a_person_asks_sees_the_answer_drawn_and_goes_on_by_keyboard(address, tmp_path):
    async def test(page):
        await page.until("document.getElementById('about').textContent.startsWith('0.png, 640 x 360')")
        plain = await page.run(CORNER)
        await page.key("/")
        assert await page.run("document.activeElement.id") == "query"
        await page.ask("stop sign")
        await page.until(f"{ANSWERS} === 1")
        words = await page.run("document.querySelector('#answers button').innerText")
        assert "stop sign" in words and "looked at" in words
        await page.until("document.getElementById('canvas').getAttribute('aria-label').includes('stop sign')")
        await page.until("document.getElementById('crop').naturalWidth > 0")
        await page.key("Escape")
        drawn = await page.run("document.getElementById('canvas').toDataURL()")
        for key in ("h", "l", "b"):  # each layer changes the picture
            await page.key(key)
            assert (now := await page.run("document.getElementById('canvas').toDataURL()")) != drawn
            drawn = now
        await page.key("h")
        assert await page.run(CORNER) == plain  # without any layer: the picture itself
        await page.key("ArrowRight")
        await page.until("document.getElementById('about').textContent.startsWith('1.png')")
        assert await page.run("document.getElementById('closest').hidden")  # the answer is about the picture before
        await page.run("document.querySelector('#answers button').click()")
        await page.until("document.getElementById('about').textContent.startsWith('0.png')")

    browse(address, tmp_path, test)


def test_a_question_is_text_and_never_markup_and_a_standing_one_can_be_stopped(address, tmp_path):
    async def test(page):
        await page.run("document.getElementById('keep').click()")
        await page.ask(NASTY)
        await page.until(f"document.querySelector('#standing-list .query')?.textContent === {json.dumps(NASTY)}")
        await page.until(f"Array.from(document.querySelectorAll('#answers .query')).some((e) => e.textContent === {json.dumps(NASTY)})")
        assert await page.run("document.querySelectorAll('#answers img, #standing-list img').length") == 0
        assert await page.run("document.title") == "ps3 view"
        await page.run("document.querySelector('#standing-list button').click()")
        await page.until("document.getElementById('standing').hidden")
        await page.run("document.getElementById('keep').click()")
        await page.ask("   ")
        await page.until("document.getElementById('refused').textContent.includes('say what')")
        await page.ask("a || b")
        await page.until("document.getElementById('refused').textContent.includes('empty choice')")

    browse(address, tmp_path, test)


def test_every_control_can_be_reached_and_has_a_name(address, tmp_path):
    async def test(page):
        assert await page.until("document.getElementById('about').textContent")
        await page.run("document.body.focus()")
        reached = []
        for _ in range(12):
            await page.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
            reached.append(await page.run("document.activeElement.id"))
        assert {"boxes", "looked", "heat", "hold", "previous", "next", "query", "ask", "keep"} <= set(reached)
        tree = (await page.call("Accessibility.getFullAXTree"))["nodes"]
        roles = {"button", "textbox", "checkbox", "image"}
        unnamed = [n for n in tree if n.get("role", {}).get("value") in roles and not n.get("name", {}).get("value") and not n["ignored"]]
        assert not unnamed

    browse(address, tmp_path, test)
