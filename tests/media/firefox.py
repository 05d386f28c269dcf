"""A page of the real Firefox, driven by WebDriver BiDi, which needs no other program than Firefox itself."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.line.namespaces import Namespace

Preferences = Mapping[str, bool | int | str]

PREFERENCES: Preferences = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
}
FLAGS = ("--headless", "--no-remote", "--remote-debugging-port=0")
_START_S = 60.0


class FirefoxPage:
    """One tab; ``evaluate`` runs an async JavaScript function in it. Several commands may be under way."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.context = ""
        self.version = ""
        self.said: list[str] = []
        """The page's console and its uncaught errors, where ``log.entryAdded`` is subscribed to."""

    async def listen(self) -> None:
        """Take in what Firefox says, until its socket closes; runs beside the commands."""
        async for text in self._socket:
            message: dict[str, Any] = json.loads(text.data)
            if message.get("method") == "log.entryAdded":
                entry = message["params"]
                self.said.append(f"{entry['level']}: {entry['text']}")
            waiting = self._waiting.pop(message["id"], None) if message.get("id") else None
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
        for waiting in self._waiting.values():
            waiting.cancel()

    async def command(self, method: str, **params: object) -> dict[str, Any]:
        """One BiDi command; raises RuntimeError with Firefox's words when it fails."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        async with asyncio.timeout(_START_S):
            message = await answer
        if message["type"] == "error":
            raise RuntimeError(f"{message['error']}: {message['message']}")
        result: dict[str, Any] = message["result"]
        return result

    async def evaluate(self, function: str, argument: object = None) -> Any:
        """The JSON value that ``function`` of ``argument`` resolves to."""
        expression = f"(async () => JSON.stringify(await ({function})({json.dumps(argument)}) ?? null))()"
        answer = await self.command(
            "script.evaluate", expression=expression, target={"context": self.context}, awaitPromise=True
        )
        if answer["type"] == "exception":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])


@asynccontextmanager
async def firefox_page(
    firefox: str,
    *,
    url: str | None = None,
    preferences: Preferences | None = None,
    namespace: Namespace | None = None,
) -> AsyncIterator[FirefoxPage]:
    """A fresh Firefox with a page that may use its (fake) camera: a blank one, or ``url``.

    ``preferences`` are set beside ours. ``namespace``: where it runs; needs a ``url`` that is reached there.
    """
    async with AsyncExitStack() as stack:
        if url is None:
            url = await stack.enter_async_context(_blank_site())
        profile = stack.enter_context(tempfile.TemporaryDirectory(prefix="firefox-"))
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(value)});"
            for name, value in {**PREFERENCES, **(preferences or {})}.items()
        ]
        await asyncio.to_thread(Path(profile, "user.js").write_text, "\n".join(lines), "utf-8")
        command: tuple[str, ...] = (firefox, *FLAGS, "--profile", profile)
        connector = None
        if namespace is not None:
            command = namespace.command(*command)
            connector = aiohttp.TCPConnector(socket_factory=lambda _: namespace.socket())
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        try:
            assert process.stderr is not None
            debugger = await asyncio.wait_for(_debugger(process.stderr), _START_S)
            # Whatever it says later mustn't fill the pipe.
            rest = asyncio.create_task(process.stderr.read())
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            async with session.ws_connect(f"{debugger}/session", max_msg_size=0) as socket:
                page = FirefoxPage(socket)
                listening = asyncio.create_task(page.listen())
                # The servers of tests have certificates of their own making.
                opened = await page.command(
                    "session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}}
                )
                page.version = opened["capabilities"]["browserVersion"]
                tree = await page.command("browsingContext.getTree")
                page.context = tree["contexts"][0]["context"]
                await page.command("browsingContext.navigate", context=page.context, url=url, wait="complete")
                yield page
                await page.command("browser.close")
            await asyncio.wait_for(process.wait(), 10)
            await asyncio.gather(rest, listening)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@asynccontextmanager
async def _blank_site() -> AsyncIterator[str]:
    """A page on localhost: a secure context, so that it has a camera."""

    async def blank(request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html>", content_type="text/html")

    application = web.Application()
    application.router.add_get("/", blank)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://localhost:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def _debugger(output: asyncio.StreamReader) -> str:
    while line := await output.readline():
        if match := re.search(rb"WebDriver BiDi listening on (ws://\S+)", line):
            return match[1].decode()
    raise RuntimeError("Firefox ended without opening its debugger")
