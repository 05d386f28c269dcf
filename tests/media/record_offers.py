"""Records the join offers of the real Chromium and Firefox into ``offers/*.json``, for the negotiation tests.

    .venv/bin/python -m tests.media.record_offers

The page that it runs makes its transceivers as the web application does: the sources first, then the slots.
An offer is taken before candidates are gathered, so it names no address of the machine it was made on. Run it
again after a new browser release and read the difference.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from playwright.async_api import Page, async_playwright

from bridge.values import GRANTS, Role, SlotCounts, SourceKind
from tests.media.firefox import FLAGS as FIREFOX_FLAGS
from tests.media.firefox import firefox_page

OFFERS = Path(__file__).parent / "offers"

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
)

_ORDER = (SourceKind.CAMERA, SourceKind.DOCUMENT, SourceKind.SCREEN, SourceKind.MIC, SourceKind.CONTENT)

_BUILD_OFFER = """
async ({sources, pairs, voices, simulcast, mode, codecs}) => {
  const pc = window.pc = new RTCPeerConnection();
  // Of H.264 constrained baseline in packetization mode 1, as the pages do.
  const fits = ({mimeType, sdpFmtpLine = ""}) => codecs.includes(mimeType) && (mimeType !== "video/H264" ||
    /profile-level-id=42e0/.test(sdpFmtpLine) && /packetization-mode=1/.test(sdpFmtpLine));
  const add = (media, init) => {
    const transceiver = pc.addTransceiver(media, init);
    if (codecs) {
      const name = typeof media === "string" ? media : media.kind;
      const all = RTCRtpReceiver.getCapabilities(name).codecs.filter(fits);
      const wanted = codecs.flatMap((codec) => all.filter(({mimeType}) => mimeType === codec));
      transceiver.setCodecPreferences(wanted);
    }
    return transceiver;
  };
  const stream = await navigator.mediaDevices.getUserMedia({video: {width: 1280, height: 720}, audio: true});
  const tracks = {camera: stream.getVideoTracks()[0], mic: stream.getAudioTracks()[0]};
  const layers = [
    {rid: "h", maxBitrate: 2000000},
    {rid: "m", scaleResolutionDownBy: 2, maxBitrate: 600000},
    {rid: "l", scaleResolutionDownBy: 4, maxBitrate: 150000},
  ];
  for (const layer of mode ? layers : []) layer.scalabilityMode = mode;
  const publishing = sources.map((kind) => {
    const media = kind === "mic" || kind === "content" ? "audio" : "video";
    const init = {direction: "sendonly"};
    if (kind === "camera" && simulcast) init.sendEncodings = layers;
    else if (media === "video" && mode) init.sendEncodings = [{scalabilityMode: mode}];
    return {kind, transceiver: add(tracks[kind] ?? media, init)};
  });
  const receiving = [];
  for (let index = 0; index < pairs + voices; index++) {
    const picture = index < pairs ? add("video", {direction: "recvonly"}) : null;
    receiving.push({index, picture, voice: add("audio", {direction: "recvonly"})});
  }
  const offer = await pc.createOffer();
  await pc.setLocalDescription(offer);
  return {
    sdp: offer.sdp,
    sources: publishing.map(({kind, transceiver}) => ({kind, mid: transceiver.mid})),
    slots: receiving.map(({index, picture, voice}) => (
      {index, picture: picture ? picture.mid : null, voice: voice.mid}
    )),
  };
}
"""


PAGE_CODECS = ("video/VP8", "video/H264", "video/rtx", "audio/opus")
"""As the pages have it (web/src/media/peer.ts)."""


@dataclass(frozen=True)
class Recipe:
    """One offer to record."""

    name: str
    role: Role
    sources: tuple[SourceKind, ...]
    slots: SlotCounts
    simulcast: bool = True
    mode: str | None = None
    """The scalabilityMode of its pictures (W3C WebRTC-SVC), e.g. "L1T3"."""
    codecs: tuple[str, ...] | None = PAGE_CODECS
    """What setCodecPreferences asks for, of what the browser has; None: not called, so all there is."""


def _of_role(role: Role) -> Recipe:
    grant = GRANTS[role]
    sources = tuple(kind for kind in _ORDER if kind in grant.publish)
    return Recipe(role.value, role, sources, grant.slots)


RECIPES = (
    _of_role(Role.KIOSK),
    _of_role(Role.SCHOOL),
    _of_role(Role.HOME),
    Recipe(
        "plain",
        Role.HOME,
        (SourceKind.CAMERA, SourceKind.MIC),
        SlotCounts(0, 0),
        simulcast=False,
        codecs=("video/VP8", "video/rtx", "audio/opus"),
    ),
    Recipe("every-codec", Role.HOME, (SourceKind.CAMERA, SourceKind.MIC), SlotCounts(1, 0), codecs=None),
)


class Evaluates(Protocol):
    """A page of a browser, as Playwright's and ours for Firefox have it."""

    async def evaluate(self, function: str, argument: Any = None, /) -> Any: ...


async def build_offer(page: Evaluates, recipe: Recipe) -> dict[str, Any]:
    """Make an offer in ``page``: its ``sdp``, ``sources`` and ``slots`` as PROTOCOL.md section 3 has them.

    The connection that made it stays in the page as ``window.pc``.
    """
    wanted = {
        "sources": [kind.value for kind in recipe.sources],
        "pairs": recipe.slots.pairs,
        "voices": recipe.slots.voices,
        "simulcast": recipe.simulcast,
        "mode": recipe.mode,
        "codecs": recipe.codecs,
    }
    recorded: dict[str, Any] = await page.evaluate(_BUILD_OFFER, wanted)
    recorded["sdp"] = re.sub(r"a=candidate:[^\r\n]*\r\n", "", recorded["sdp"])
    return recorded


@asynccontextmanager
async def chromium_page(chromium: str) -> AsyncIterator[Page]:
    """A page of a fresh Chromium that may use its (fake) camera."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        try:
            page = await browser.new_page()
            # A page without a secure origin has no camera; this one comes from nowhere but counts as local.
            await page.route(
                "**/*", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html")
            )
            await page.goto("http://localhost/")
            yield page
        finally:
            await browser.close()


async def record(page: Evaluates, browser: str, version: str, flags: Sequence[str]) -> None:
    """Write one file for each recipe."""
    for recipe in RECIPES:
        recorded = {
            "browser": browser,
            "version": version,
            "flags": list(flags),
            "role": recipe.role.value,
            **await build_offer(page, recipe),
        }
        path = OFFERS / f"{browser.lower()}-{recipe.name}.json"
        text = json.dumps(recorded, indent=1) + "\n"
        await asyncio.to_thread(path.write_text, text, "utf-8")
        print(path.name, len(recorded["sdp"]), "characters")
        await page.evaluate("() => pc.close()")


async def record_all(chromium: str, firefox: str) -> None:
    async with chromium_page(chromium) as page:
        browser = page.context.browser
        assert browser is not None
        await record(page, "Chromium", browser.version, FLAGS)
    async with firefox_page(firefox) as page_of_firefox:
        await record(page_of_firefox, "Firefox", page_of_firefox.version, FIREFOX_FLAGS)


def main() -> int:
    chromium, firefox = shutil.which("chromium"), shutil.which("firefox-esr")
    if chromium is None or firefox is None:
        print("chromium and firefox-esr must be installed", file=sys.stderr)
        return 1
    asyncio.run(record_all(chromium, firefox))
    return 0


if __name__ == "__main__":
    sys.exit(main())
