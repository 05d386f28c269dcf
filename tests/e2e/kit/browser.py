"""A real Chromium with files for a camera and a microphone, and what its page shows and plays.

One process per endpoint, since the files are chosen by flags of the process.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, WebSocket, async_playwright

from tests.e2e.kit.media_files import FRAMES_PER_SECOND, SOUND_RATE, Devices
from tests.e2e.kit.picture_code import Grey
from tests.e2e.kit.tone_bursts import Sound
from tests.line.namespaces import Namespace

_HERE = Path(__file__).parent
ARTIFACTS = _HERE.parents[1] / "artifacts"

_FLAGS = (
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    # Three browsers on two cores: nothing that isn't the page.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    # A window that nobody looks at is to run like one that somebody does.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
)
READ_WIDTH = 320
"""Pictures are read at half their size: enough for the code, a quarter of the bytes."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One look at one slot's picture."""

    slot: int
    endpoint: str
    kind: str
    at_ms: float
    """POSIX time, milliseconds, by the browser's clock."""
    grey: Grey


class Browser:
    """One Chromium process with one page."""

    def __init__(self, name: str, page: Page) -> None:
        self.name = name
        self.page = page
        self.said: list[str] = []
        """The page's console and its uncaught errors."""
        self.sent: list[str] = []
        """The types of the messages that the page sent over WebSockets, in order."""
        page.on("websocket", self._watch)
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(f"uncaught: {error}"))

    def _watch(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: self.sent.append(json.loads(frame)["type"]))

    @property
    def version(self) -> str:
        browser = self.page.context.browser
        return browser.version if browser else "unknown"

    @property
    def faults(self) -> list[str]:
        """Of what the page said, what is a fault of ours."""
        return [line for line in self.said if line.startswith(("uncaught", "error"))]

    async def look(self, series: int, every_ms: int = 150) -> list[Shown]:
        """Look ``series`` times at every slot that shows a picture."""
        script = (_HERE / "read_pictures.js").read_text()
        wish = {"series": series, "everyMs": every_ms, "width": READ_WIDTH}
        looks: list[dict[str, Any]] = await self.page.evaluate(script, wish)
        return [shown_from(each) for each in looks]

    async def listen(self, seconds: float) -> Sound:
        """What the page plays, 48 kHz, mono."""
        script = (_HERE / "record_sound.js").read_text()
        heard = await self.page.evaluate(script, {"seconds": seconds, "rate": SOUND_RATE})
        samples = np.frombuffer(base64.b64decode(heard["samples"]), "<i2")
        return (samples / 32768).astype(np.float32)

    async def save_screenshot(self, name: str) -> Path:
        """Into tests/artifacts/, which git ignores."""
        ARTIFACTS.mkdir(exist_ok=True)
        path = ARTIFACTS / f"{name}-{self.name}.png"
        await self.page.screenshot(path=path)
        return path


def shown_from(look: dict[str, Any]) -> Shown:
    """What read_pictures.js gives for one look."""
    grey = np.frombuffer(base64.b64decode(look["grey"]), np.uint8).reshape(look["height"], look["width"])
    return Shown(look["slot"], look["endpoint"], look["kind"], look["atMs"], grey)


@asynccontextmanager
async def open_browser(
    name: str,
    devices: Devices | None = None,
    *,
    size: tuple[int, int] = (1280, 720),
    language: str = "fi-FI",
    namespace: Namespace | None = None,
    flags: Sequence[str] = (),
) -> AsyncIterator[Browser]:
    """Start Chromium, in ``namespace`` where given and with more ``flags``; without ``devices`` it has its
    own fake ones. Certificates of a test's own servers are taken. A test that fails leaves a screenshot."""
    program = shutil.which("chromium")
    if program is None:
        raise FileNotFoundError("chromium is not installed; `make setup` installs it")
    all_flags = [*_FLAGS, f"--use-fake-device-for-media-stream=fps={FRAMES_PER_SECOND}", *flags]
    if devices is not None:
        all_flags += [
            f"--use-file-for-fake-video-capture={devices.video}",
            f"--use-file-for-fake-audio-capture={devices.sound}",
        ]
    with tempfile.TemporaryDirectory(prefix="luokkasilta-") as folder:
        if namespace is not None:
            program = _start_script(Path(folder), namespace.command(program))
        async with _chromium(program, all_flags) as chromium:
            context = await chromium.new_context(
                viewport={"width": size[0], "height": size[1]},
                locale=language,
                timezone_id="Europe/Helsinki",
                ignore_https_errors=True,
            )
            browser = Browser(name, await context.new_page())
            try:
                yield browser
            except BaseException:
                await browser.save_screenshot("failed")
                raise


@asynccontextmanager
async def _chromium(program: str, flags: Sequence[str]) -> AsyncIterator[Chromium]:
    async with async_playwright() as playwright:
        # Chromium's sandbox refuses to run as root, and a container's user is root.
        chromium = await playwright.chromium.launch(
            executable_path=program, args=flags, chromium_sandbox=os.geteuid() != 0
        )
        try:
            yield chromium
        finally:
            await chromium.close()


def _start_script(folder: Path, command: Sequence[str]) -> str:
    """A program that becomes ``command``, since Playwright starts one file. It speaks to Chromium over pipes,
    which know no namespace."""
    script = folder / "chromium"
    script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    script.chmod(0o755)
    return str(script)
