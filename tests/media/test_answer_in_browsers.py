"""The answer as the real Chromium and the real Firefox take it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest

from bridge.values import GRANTS, Offer, OfferedSlot, OfferedSource, SourceKind
from media.negotiation import negotiate
from media.restart import FreshIce, restart
from tests.media.firefox import firefox_page
from tests.media.record_offers import RECIPES, Evaluates, build_offer, chromium_page
from tests.media.support import LOCAL

OPENERS: dict[str, Callable[[str], AbstractAsyncContextManager[Evaluates]]] = {
    "chromium": chromium_page,
    "firefox-esr": firefox_page,
}

_APPLY = """
async (answer) => {
  await pc.setRemoteDescription({type: "answer", sdp: answer});
  const state = {};
  for (const each of pc.getTransceivers()) {
    const receiving = each.currentDirection === "recvonly";
    const encodings = each.sender.getParameters().encodings;
    state[each.mid] = {
      direction: each.currentDirection,
      codecs: (receiving ? each.receiver : each.sender).getParameters().codecs.map((codec) => codec.mimeType),
      kind: each.receiver.track.kind,
      layers: receiving ? null : encodings.filter((encoding) => encoding.active).length,
    };
  }
  const bundled = new Set(pc.getTransceivers().map((each) => each.receiver.transport));
  return {signalling: pc.signalingState, transports: bundled.size, mids: state};
}
"""

_STREAMS = """
() => {
  pc.streams = {};
  pc.addEventListener("track", ({transceiver, streams}) => {
    pc.streams[transceiver.mid] = streams.map((stream) => stream.id);
  });
}
"""


_RESTART = """
async () => {
  pc.restartIce();
  await pc.setLocalDescription();
  return pc.localDescription.sdp;
}
"""


def _offer(made: dict[str, Any]) -> Offer:
    return Offer(
        made["sdp"],
        tuple(OfferedSource(SourceKind(each["kind"]), each["mid"]) for each in made["sources"]),
        tuple(OfferedSlot(**each) for each in made["slots"]),
    )


def _page(browser: str) -> AbstractAsyncContextManager[Evaluates]:
    program = shutil.which(browser)
    if program is None:
        pytest.skip(f"Debian's {browser} is not installed")
    return OPENERS[browser](program)


@pytest.mark.browser
@pytest.mark.parametrize("browser", OPENERS)
async def test_the_answer_to_each_kind_of_offer_is_taken(browser: str) -> None:
    async with _page(browser) as page:
        for recipe in RECIPES:
            made = await build_offer(page, recipe)
            offer = _offer(made)
            negotiated = negotiate(offer, GRANTS[recipe.role], LOCAL)
            await page.evaluate(_STREAMS)
            result: dict[str, Any] = await page.evaluate(_APPLY, negotiated.answer)
            streams: dict[str, list[str]] = await page.evaluate("() => pc.streams")
            assert result["signalling"] == "stable"
            assert result["transports"] == 1
            mids = result["mids"]
            for source in negotiated.plan.sources:
                names = ["video/VP8", "video/rtx"] if source.kind.is_picture else ["audio/opus"]
                seen = mids.pop(source.mid)
                assert (seen["direction"], seen["codecs"]) == ("sendonly", names)
                assert seen["layers"] == 1, "simulcast was not answered, so one encoding is left"
            for slot in negotiated.plan.slots:
                for half in slot.halves:
                    seen = mids.pop(half.mid)
                    assert (seen["direction"], seen["kind"]) == ("recvonly", half.codec.media)
                    # What pairs a picture with its voice: Chromium gives tracks ids of its own.
                    assert streams.pop(half.mid) == [f"slot-{slot.index}"]
            assert not mids
            assert not streams
            await page.evaluate("() => pc.close()")


@pytest.mark.browser
@pytest.mark.parametrize("browser", OPENERS)
async def test_the_offer_of_an_ice_restart_changes_nothing_else(browser: str) -> None:
    """What the browser says after restartIce(), twice, is answered, and the answer is taken."""
    async with _page(browser) as page:
        for recipe in RECIPES:
            offer = _offer(await build_offer(page, recipe))
            negotiated = negotiate(offer, GRANTS[recipe.role], LOCAL)
            before: dict[str, Any] = await page.evaluate(_APPLY, negotiated.answer)
            agreement = negotiated.agreement
            for number in range(2):
                text: str = await page.evaluate(_RESTART)
                fresh = FreshIce(f"fresh{number}", f"{number}" * 24, LOCAL.candidates)
                restarted = restart(agreement, text, fresh)
                assert restarted.ice is not None
                assert restarted.ice.remote_ufrag != agreement.remote.ufrag
                assert await page.evaluate(_APPLY, restarted.answer) == before
                agreement = restarted.agreement
            await page.evaluate("() => pc.close()")


@pytest.mark.browser
@pytest.mark.parametrize("browser", OPENERS)
async def test_inactive_and_refused_m_lines_are_taken(browser: str) -> None:
    """What nobody named is kept inactive, and a data channel is refused without harm to the rest."""
    recipe = next(recipe for recipe in RECIPES if recipe.name == "home")
    async with _page(browser) as page:
        made = await build_offer(page, recipe)
        await page.evaluate(
            "async () => { await pc.setLocalDescription({type: 'rollback'}); pc.createDataChannel('x'); }"
        )
        text: str = await page.evaluate(
            "async () => { await pc.setLocalDescription(); return pc.localDescription.sdp; }"
        )
        assert "m=application" in text
        assert made["sources"][0]["kind"] == "camera"
        camera: str = await page.evaluate("() => pc.getTransceivers()[0].mid")
        offer = Offer(text, (OfferedSource(SourceKind.CAMERA, camera),), ())
        negotiated = negotiate(offer, GRANTS[recipe.role], replace(LOCAL, candidates=()))
        result: dict[str, Any] = await page.evaluate(_APPLY, negotiated.answer)
        directions = {mid: each["direction"] for mid, each in result["mids"].items()}
        assert result["signalling"] == "stable"
        assert directions.pop(camera) == "sendonly"
        assert set(directions.values()) == {"inactive"}
