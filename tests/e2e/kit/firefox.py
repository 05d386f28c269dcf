"""A real Firefox at a page of the application, which looks and listens as the kit's Chromium does."""

from __future__ import annotations

import asyncio
import base64
import io
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.e2e.kit.browser import READ_WIDTH, Shown, shown_from
from tests.e2e.kit.media_files import PITCHES_HZ, SOUND_RATE
from tests.e2e.kit.own_devices import own_devices
from tests.e2e.kit.pages import PATIENCE_MS, PICTURES, word
from tests.e2e.kit.tone_bursts import Sound
from tests.line.namespaces import Namespace
from tests.media.firefox import FirefoxPage, Preferences, firefox_page

_HERE = Path(__file__).parent
_POLL_S = 0.1
_PREFERENCES: Preferences = {
    # Sound without a gesture, as the tests' listening has none.
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    "intl.accept_languages": "fi-FI, fi",
}

_BUTTON = """(words) => {
    const found = [...document.querySelectorAll("button")].find((button) =>
        (button.getAttribute("aria-label") ?? button.textContent.trim()) === words && !button.disabled);
    if (!found) return null;
    found.scrollIntoView({ block: "center" });
    const box = found.getBoundingClientRect();
    return [Math.round(box.x + box.width / 2), Math.round(box.y + box.height / 2)];
}"""


def why_no_firefox() -> str | None:
    """Why there is none here; ``None`` when there is."""
    return None if shutil.which("firefox-esr") else "firefox-esr is not installed"


class Firefox:
    """One Firefox process with one page."""

    def __init__(self, name: str, page: FirefoxPage) -> None:
        self.name = name
        self.page = page

    @property
    def faults(self) -> list[str]:
        """Of what the page said, what is a fault of ours."""
        return [line for line in self.page.said if line.startswith("error")]

    async def visit(self, link: str) -> None:
        await self.page.command(
            "browsingContext.navigate", context=self.page.context, url=link, wait="complete"
        )

    async def press(self, name: str) -> None:
        """Press the button that says ``name`` with the pointer, when it is there and can be pressed."""
        x, y = await self._until(_BUTTON, word(name), f"a button that says {word(name)!r}")
        pointer: list[dict[str, object]] = [
            {"type": "pointerMove", "x": x, "y": y},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        mouse = {"type": "pointer", "id": "mouse", "actions": pointer}
        await self.page.command("input.performActions", context=self.page.context, actions=[mouse])

    async def wait_for_pictures(self, count: int) -> None:
        """Until at least ``count`` slots show a picture."""
        await self._until(PICTURES, count, f"{count} pictures")

    async def look(self, series: int, every_ms: int = 150) -> list[Shown]:
        """Look ``series`` times at every slot that shows a picture."""
        script = (_HERE / "read_pictures.js").read_text()
        wish = {"series": series, "everyMs": every_ms, "width": READ_WIDTH}
        return [shown_from(each) for each in await self.page.evaluate(_bare(script), wish)]

    async def listen(self, seconds: float) -> Sound:
        """What the page plays, 48 kHz, mono. Its voices are not in step to the tenth of a second."""
        script = (_HERE / "record_tracks.js").read_text()
        recordings: list[str] = await self.page.evaluate(_bare(script), {"seconds": seconds})
        voices = [_decoded(base64.b64decode(each)) for each in recordings]
        mix = np.zeros(max((len(voice) for voice in voices), default=0), np.float32)
        for voice in voices:
            mix[: len(voice)] += voice
        return mix

    async def _until(self, script: str, argument: object, what: str) -> Any:
        """What ``script`` gives once it gives something. Raises AssertionError when it never does."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE_MS / 1000
        while loop.time() < end:
            if found := await self.page.evaluate(script, argument):
                return found
            await asyncio.sleep(_POLL_S)
        text = await self.page.evaluate("() => document.body.innerText")
        raise AssertionError(f"{self.name}: never came: {what}; the page says:\n{text}")


def _bare(script: str) -> str:
    """The function in ``script``, without the comment before it and the semicolon after it."""
    lines = [line for line in script.splitlines() if not line.startswith("//")]
    return "\n".join(lines).rstrip().removesuffix(";")


def _decoded(recording: bytes) -> Sound:
    with av.open(io.BytesIO(recording), "r") as container:
        resampler = av.AudioResampler("flt", "mono", SOUND_RATE)
        frames = [plain for frame in container.decode(audio=0) for plain in resampler.resample(frame)]
    parts = [frame.to_ndarray().reshape(-1) for frame in frames]
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)


@asynccontextmanager
async def open_firefox(
    name: str, source: int, link: str, *, namespace: Namespace | None = None
) -> AsyncIterator[Firefox]:
    """Start Firefox at ``link``, with the camera and the microphone of ``source``, in ``namespace``."""
    program = shutil.which("firefox-esr")
    if program is None:
        raise FileNotFoundError(why_no_firefox())
    preferences = {**_PREFERENCES, "media.navigator.audio.fake_frequency": round(PITCHES_HZ[source])}
    async with firefox_page(program, url="about:blank", preferences=preferences, namespace=namespace) as page:
        await page.command("session.subscribe", events=["log.entryAdded"])
        await page.command("script.addPreloadScript", functionDeclaration=own_devices(source))
        firefox = Firefox(name, page)
        await firefox.visit(link)
        yield firefox
