"""What a WHIP or WHEP client means by its offer: it says no more than its m-lines. Pure.

    POST /api/whip   sending lines by order and kind  ->  sources   (RFC 9725 section 4.2)
    POST /api/whep   receiving lines                  ->  one slot

Only what tells the m-lines apart is read here; whether they can be had is for the negotiation that every
join goes through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bridge.errors import ErrorCode, RefusedError
from bridge.values import Offer, OfferedSlot, OfferedSource, SlotCounts, SourceKind

LINES_MAX = 4096
"""Of a whole offer. A browser with every codec it has writes about 200 for an m-line."""

_IN_ORDER = {
    "video": (SourceKind.CAMERA, SourceKind.SCREEN, SourceKind.DOCUMENT),
    "audio": (SourceKind.MIC, SourceKind.CONTENT),
}
_DIRECTIONS = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})


@dataclass(slots=True)
class _Line:
    media: str
    off: bool
    direction: str
    mid: str | None = None


def publishing(sdp: str) -> Offer:
    """The offer of a WHIP client: its first video is the camera, then screen and document; its first audio is
    the microphone, then the screen's own sound. Receiving lines are nothing.

    Raises RefusedError: ``sdp-invalid`` for what is no offer, ``sdp-unsupported`` for one that sends nothing,
    more of a kind than there are sources, or on lines without a mid.
    """
    waiting = {media: iter(kinds) for media, kinds in _IN_ORDER.items()}
    sources = []
    for line in _used(sdp, {"sendonly", "sendrecv"}):
        kind = next(waiting[line.media], None)
        if kind is None:
            raise RefusedError(ErrorCode.SDP_UNSUPPORTED, f"more {line.media} than an endpoint has sources")
        sources.append(OfferedSource(kind, _mid(line)))
    if not sources:
        raise RefusedError(ErrorCode.SDP_UNSUPPORTED, "no m-line that sends audio or video")
    return Offer(sdp, tuple(sources), ())


def playing(sdp: str, counts: SlotCounts) -> Offer:
    """The offer of a WHEP client: one picture and one voice, or a voice alone; further lines are nothing.

    Raises RefusedError: ``sdp-invalid`` for what is no offer, ``sdp-unsupported`` for one without a line that
    receives audio, or with one that has no mid.
    """
    lines = list(_used(sdp, {"recvonly"}))
    picture = next((_mid(line) for line in lines if line.media == "video"), None)
    voice = next((_mid(line) for line in lines if line.media == "audio"), None)
    if voice is None:
        raise RefusedError(ErrorCode.SDP_UNSUPPORTED, "no m-line that receives audio")
    # The first slots are pairs, those after them voices alone (PROTOCOL.md, section 3).
    index = counts.pairs if picture is None else 0
    return Offer(sdp, (), (OfferedSlot(index, picture, voice),))


def _mid(line: _Line) -> str:
    if not line.mid:
        raise RefusedError(ErrorCode.SDP_UNSUPPORTED, f"an m-line of {line.media} without a mid")
    return line.mid


def _used(sdp: str, directions: Iterable[str]) -> Iterator[_Line]:
    for line in _lines(sdp):
        if line.media in _IN_ORDER and not line.off and line.direction in directions:
            yield line


def _lines(sdp: str) -> list[_Line]:
    texts = sdp.splitlines()
    if len(texts) > LINES_MAX or not texts or texts[0] != "v=0":
        raise RefusedError(ErrorCode.SDP_INVALID, "no session description, or too long a one")
    found: list[_Line] = []
    default = "sendrecv"
    for text in texts:
        if text.startswith("m="):
            media, _, rest = text[2:].partition(" ")
            found.append(_Line(media, rest.startswith("0 "), default))
        elif text[2:] in _DIRECTIONS and text.startswith("a="):
            if found:
                found[-1].direction = text[2:]
            else:
                default = text[2:]
        elif found and text == "a=bundle-only":
            # Its port is 0 until the answer puts it into the group (RFC 9143 section 6).
            found[-1].off = False
        elif found and text.startswith("a=mid:"):
            found[-1].mid = text[6:]
    return found
