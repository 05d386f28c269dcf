"""What the media tests share: the recorded offers, and a server's half of a negotiation."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bridge.values import GRANTS, Grant, Offer, OfferedSlot, OfferedSource, Role, SourceKind
from media.negotiation import LocalParameters
from media.plan import Fingerprint

OFFERS = tuple(sorted((Path(__file__).parent / "offers").glob("*.json")))

LOCAL = LocalParameters(
    ice_ufrag="abcdEFGH",
    ice_pwd="0123456789+/abcdefghijkl",
    fingerprints=(Fingerprint("sha-256", ":".join(["A1"] * 32)),),
    candidates=(("192.0.2.1", 10000), ("2001:db8::1", 10000)),
    ssrc_base=1000,
    session_id=42,
)


@dataclass(frozen=True)
class Recorded:
    """One file of ``offers/``, with the grant of the role that it was made for."""

    name: str
    offer: Offer
    grant: Grant

    def with_sdp(self, edit: Callable[[str], str]) -> Offer:
        """The offer with an edited text; the edit must change it."""
        edited = edit(self.offer.sdp)
        assert edited != self.offer.sdp, "the edit found nothing to change"
        return replace(self.offer, sdp=edited)


async def eventually(condition: Callable[[], Awaitable[bool]], what: str, *, within_s: float = 2.0) -> None:
    """Ask until it holds, for what nobody announces (the counters of the engine or of a browser)."""
    deadline = time.monotonic() + within_s
    for pause in itertools.chain([0.01] * 100, itertools.repeat(0.1)):
        if await condition():
            return
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(pause)
    raise AssertionError(f"never came true: {what}")


def recorded(path: Path) -> Recorded:
    content = json.loads(path.read_text(encoding="utf-8"))
    offer = Offer(
        sdp=content["sdp"],
        sources=tuple(OfferedSource(SourceKind(each["kind"]), each["mid"]) for each in content["sources"]),
        slots=tuple(OfferedSlot(**each) for each in content["slots"]),
    )
    return Recorded(path.stem, offer, GRANTS[Role(content["role"])])


def recorded_named(name: str) -> Recorded:
    return recorded(next(path for path in OFFERS if path.stem == name))
