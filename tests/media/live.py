"""Endpoints of a lesson in the real Chromium, joined to a MediaService of the test's own process."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from bridge.values import GRANTS, EndpointId, Offer, OfferedSlot, OfferedSource, SourceKind
from media.service import LessonMedia
from tests.media.record_offers import FLAGS, Recipe, build_offer

_JOIN = """
async (answer) => {
  pc.ontrack = ({track}) => {
    const element = document.createElement(track.kind);
    Object.assign(element, {srcObject: new MediaStream([track]), autoplay: true});
    document.body.append(element);
  };
  await pc.setRemoteDescription({type: "answer", sdp: answer});
}
"""

_ANSWER_RESTART = "(answer) => pc.setRemoteDescription({type: 'answer', sdp: answer})"

_RESTART = """
async () => {
  pc.restartIce();
  await pc.setLocalDescription();
  return pc.localDescription.sdp;
}
"""

_STATS = "async () => [...(await pc.getStats()).values()]"


def offer_of(made: dict[str, Any]) -> Offer:
    """What build_offer gave, as the server takes it."""
    return Offer(
        made["sdp"],
        tuple(OfferedSource(SourceKind(each["kind"]), each["mid"]) for each in made["sources"]),
        tuple(OfferedSlot(**each) for each in made["slots"]),
    )


def with_opus_nack(text: str) -> str:
    """The offer as the pages send it: neither browser offers NACK for Opus, Chromium has it all the same."""
    return re.sub(r"(a=rtpmap:(\d+) opus/48000/2\r\n)", r"\1a=rtcp-fb:\2 nack\r\n", text)


class LivePage:
    """One endpoint: a page of Chromium, and its place in the lesson."""

    def __init__(self, page: Page, lesson: LessonMedia, endpoint: EndpointId) -> None:
        self.page = page
        self.endpoint = endpoint
        self._lesson = lesson

    async def join(
        self, recipe: Recipe, edit: Callable[[str], str] = lambda answer: answer, *, voices_nack: bool = True
    ) -> str:
        """Join as ``recipe`` says; ``edit`` changes the answer on its way to the page. Returns the answer.

        ``voices_nack``: lost packets of voices are asked for, as the pages have it.
        """
        made = await build_offer(self.page, recipe)
        if voices_nack:
            made["sdp"] = with_opus_nack(made["sdp"])
        answer = self._lesson.admit(self.endpoint, offer_of(made), GRANTS[recipe.role]).answer
        await self.page.evaluate(_JOIN, edit(answer))
        return answer

    async def restart_ice(self, edit: Callable[[str], str] = lambda answer: answer) -> None:
        """As after restartIce(); ``edit`` as in ``join``."""
        offer: str = await self.page.evaluate(_RESTART)
        await self.page.evaluate(_ANSWER_RESTART, edit(self._lesson.restart(self.endpoint, offer)))

    async def stats(self, kind: str) -> list[dict[str, Any]]:
        """The entries of getStats() of one type."""
        every: list[dict[str, Any]] = await self.page.evaluate(_STATS)
        return [each for each in every if each["type"] == kind]

    async def stream(self, kind: str, media: str) -> dict[str, Any]:
        """The one entry of that type and media."""
        (found,) = [each for each in await self.stats(kind) if each["kind"] == media]
        return found

    async def picture_codec(self) -> str | None:
        """The MIME type of what the slot plays; None while the browser doesn't say it."""
        codecs = {each["id"]: str(each["mimeType"]) for each in await self.stats("codec")}
        playing = [each for each in await self.stats("inbound-rtp") if each["kind"] == "video"]
        return codecs.get(playing[0].get("codecId")) if playing else None

    async def frames(self) -> int:
        """Pictures decoded so far; 0 while the slot has never played."""
        found = [each for each in await self.stats("inbound-rtp") if each["kind"] == "video"]
        return int(found[0].get("framesDecoded", 0)) if found else 0


@asynccontextmanager
async def chromium(program: str) -> AsyncIterator[Browser]:
    """A Chromium with a fake camera, in which sound and picture begin without a gesture."""
    flags = [*FLAGS, "--autoplay-policy=no-user-gesture-required"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=flags)
        try:
            yield browser
        finally:
            await browser.close()


async def new_page(browser: Browser) -> Page:
    """A page that may use the camera: it comes from nowhere, but counts as local."""
    page = await browser.new_page()
    await page.route("**/*", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    await page.goto("http://localhost/")
    return page
