"""How long sound and picture are on the way from one browser's devices to another's screen and ears.

Both browsers run on this machine, by one clock. The same frames and bursts are timed at both ends by the same
means, so what a browser's devices, its self view and our way of listening add is subtracted, and only the way
is left.
"""

from __future__ import annotations

import asyncio
import base64
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.e2e.kit.browser import READ_WIDTH, Browser
from tests.e2e.kit.media_files import PITCHES_HZ, SOUND_RATE
from tests.e2e.kit.picture_code import read_code
from tests.e2e.kit.tone_bursts import PERIOD_S, find_bursts

_HERE = Path(__file__).parent
SELF_VIEW = "video[data-self]"


@dataclass(frozen=True, slots=True)
class Way:
    """Seconds, one for each frame or burst that was recognised at both ends."""

    capture_to_display: list[float]
    """From the capture of a frame to its display at the viewer."""
    pictures: list[float]
    """From its display at the publisher."""
    sounds: list[float]
    """From a burst's capture to its being heard."""

    @property
    def lips_s(self) -> float:
        """How much later sound is than its picture, of what the way adds; negative: earlier."""
        return statistics.median(self.sounds) - statistics.median(self.pictures)


async def keep_captured(browser: Browser) -> None:
    """Before the page is loaded: ``measure_way`` needs what it captures."""
    await browser.page.add_init_script((_HERE / "keep_captured.js").read_text())


async def measure_way(publisher: Browser, viewer: Browser, source: int, seconds: float) -> Way:
    """Watch both ends for ``seconds``; ``source`` is the publisher's code."""
    endpoint = await _slot_of(viewer, source)
    sent, seen, said, heard = await asyncio.gather(
        _frames(publisher, SELF_VIEW, source, seconds),
        _frames(viewer, endpoint, source, seconds),
        _bursts(publisher, source, seconds, captured=True),
        _bursts(viewer, source, seconds, captured=False),
    )
    both = sorted(sent.keys() & seen.keys())
    assert len(both) >= 10, f"of {len(sent)} frames sent and {len(seen)} seen, {len(both)} are the same"
    assert all(sent[frame][1] is not None for frame in both), "the self view tells no capture time"
    capture = [(seen[frame][0] - (sent[frame][1] or 0.0)) / 1000 for frame in both]
    pictures = [(seen[frame][0] - sent[frame][0]) / 1000 for frame in both]
    # A burst each second, on the way for much less than that.
    sounds = [
        min((at - since for at in heard if -0.2 * PERIOD_S < at - since < 0.8 * PERIOD_S), default=None)
        for since in said
    ]
    return Way(capture, pictures, [each for each in sounds if each is not None])


async def _slot_of(viewer: Browser, source: int) -> str:
    """The selector of the slot that shows ``source``."""
    for look in await viewer.look(5):
        code = read_code(look.grey)
        if code is not None and code.source == source:
            return f'video[data-slot="{look.slot}"]'
    raise AssertionError(f"{viewer.name} does not see source {source}")


async def _frames(
    browser: Browser, selector: str, source: int, seconds: float
) -> dict[int, tuple[float, float | None]]:
    """By frame: when it went to the display, and when it was captured, POSIX milliseconds."""
    script = (_HERE / "read_frames.js").read_text()
    wish = {"selector": selector, "seconds": seconds, "width": READ_WIDTH}
    frames: list[dict[str, Any]] = await browser.page.evaluate(script, wish)
    found: dict[int, tuple[float, float | None]] = {}
    for each in frames:
        grey = np.frombuffer(base64.b64decode(each["grey"]), np.uint8).reshape(each["height"], each["width"])
        code = read_code(grey)
        if code is not None and code.source == source:
            # A frame that is presented twice was displayed the first time.
            found.setdefault(code.frame, (each["shownMs"], each["capturedMs"]))
    return found


async def _bursts(browser: Browser, source: int, seconds: float, *, captured: bool) -> list[float]:
    """When each burst of ``source`` began, POSIX seconds."""
    script = (_HERE / "time_sound.js").read_text()
    wish = {"seconds": seconds, "rate": SOUND_RATE, "captured": captured}
    heard = await browser.page.evaluate(script, wish)
    samples = np.frombuffer(base64.b64decode(heard["samples"]), "<i2").astype(np.float32) / np.float32(32768)
    pitch = PITCHES_HZ[source]
    return [
        heard["startMs"] / 1000 + each.start_s for each in find_bursts(samples, SOUND_RATE, [pitch])[pitch]
    ]
