"""Session descriptions: read what a client offers, write what the server answers.

One thin layer over ``aiortc.sdp``. It adds what aiortc drops (rid of RFC 8851, simulcast of RFC 8853, the
directions of RFC 8285 extensions, bundle-only, reduced-size RTCP) and it guards: aiortc asserts on garbage,
and takes quadratic time over long lists. Whatever is wrong with a text, ``parse`` raises SdpInvalidError.

    text --parse--> SdpSession/SdpMedia --(media.negotiation)--> AnswerSession/AnswerMedia --build--> text
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, cast

from aiortc import RTCIceCandidate
from aiortc.sdp import MediaDescription, SessionDescription, candidate_to_sdp, grouplines

from media.plan import Fingerprint

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

MAX_CHARACTERS = 200_000
MAX_MEDIA = 64
# aiortc looks each ssrc and fmtp up in a list, so the work grows with the square of their number. A browser
# that offers every codec it has stays below 60 of each on an m-line.
_MAX_SESSION_LINES, _MAX_SECTION_LINES = 128, 1024
_MAX_LINES_OF = {
    "rtpmap": 128,
    "fmtp": 128,
    "ssrc": 128,
    "ssrc-group": 64,
    "fingerprint": 16,
    "extmap": 64,
    "rid": 16,
}

# Read here, or of no use to a server that sends no checks (candidates): aiortc needn't see them.
_NOT_FOR_AIORTC = frozenset({"candidate", "extmap", "rtcp-fb", "rid", "simulcast"})

_TOKEN = re.compile(r"[!#-'*+\-.0-9A-Z^-~]+")  # RFC 8866 section 9
_RID = re.compile(
    r"[A-Za-z0-9_-]{1,16}"
)  # RFC 8851 section 10, and no longer than a one-byte extension carries
_EXTMAP = re.compile(r"([0-9]{1,5})(?:/([a-z]+))? +([^ ]+)(?: .*)?")  # RFC 8285
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")


class SdpInvalidError(Exception):
    """A text that is no session description, or too large to be one of ours. The text is a short reason."""


@dataclass(frozen=True, slots=True)
class SdpCodec:
    """One payload type of an m-line. ``name`` is in lower case; ``feedback`` holds e.g. "nack pli"."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int | None
    parameters: Mapping[str, str | None]
    feedback: frozenset[str]


@dataclass(frozen=True, slots=True)
class SdpExtension:
    """A header extension (RFC 8285); ``direction`` is its describer's."""

    id: int
    uri: str
    direction: Direction = "sendrecv"


@dataclass(frozen=True, slots=True)
class SdpMedia:
    """One m-line with its attributes; those of the session level are filled in."""

    kind: str
    port: int
    profile: str
    formats: tuple[str, ...]
    mid: str | None
    direction: Direction
    codecs: tuple[SdpCodec, ...]
    extensions: tuple[SdpExtension, ...]
    ssrcs: tuple[int, ...]
    """Primary streams in the order of the text: the second of a FID pair is left out."""
    repairs: Mapping[int, int]
    """The FID pairs (RFC 4588 section 8.8): SSRC of a stream -> SSRC of its retransmissions."""
    send_rids: tuple[str, ...]
    """The rids of ``a=rid:... send``."""
    simulcast: tuple[str, ...]
    """Those of them that ``a=simulcast:send`` lists, in its order."""
    rtcp_mux: bool
    rtcp_rsize: bool
    bundle_only: bool
    ice_ufrag: str | None
    ice_pwd: str | None
    fingerprints: tuple[Fingerprint, ...]
    extmap_allow_mixed: bool
    """One-byte and two-byte header extensions may be mixed in its streams (RFC 8285 section 6)."""
    dtls_role: Literal["auto", "client", "server"] | None
    """What ``a=setup`` says: actpass, active, passive, or nothing."""


@dataclass(frozen=True, slots=True)
class SdpSession:
    """A whole session description. ``bundle`` is ``None`` without a BUNDLE group."""

    media: tuple[SdpMedia, ...]
    bundle: tuple[str, ...] | None
    ice_lite: bool
    extmap_allow_mixed: bool


def parse(text: str) -> SdpSession:
    """Read a session description (RFC 8866). Raises SdpInvalidError, and nothing else, whatever the text."""
    if len(text) > MAX_CHARACTERS:
        raise SdpInvalidError(f"longer than {MAX_CHARACTERS} characters")
    try:
        return _parse(text)
    except SdpInvalidError:
        raise
    # aiortc has an AssertionError, KeyError, IndexError, AttributeError, StopIteration for one thing.
    except Exception as exc:
        raise SdpInvalidError("malformed") from exc


def _parse(text: str) -> SdpSession:
    session_lines, groups = grouplines(text)
    if not session_lines or not session_lines[0].startswith("v=0"):
        raise SdpInvalidError("does not begin with v=0")
    if not groups:
        raise SdpInvalidError("no m-line")
    if len(groups) > MAX_MEDIA:
        raise SdpInvalidError(f"more than {MAX_MEDIA} m-lines")
    if len(session_lines) > _MAX_SESSION_LINES or any(len(lines) > _MAX_SECTION_LINES for lines in groups):
        raise SdpInvalidError("too many lines")
    for lines in (session_lines, *groups):
        counts = Counter(name for name, _ in _attributes(lines))
        for name, limit in _MAX_LINES_OF.items():
            if counts[name] > limit:
                raise SdpInvalidError(f"more than {limit} {name} lines in one place")

    kept = [line for line in session_lines if not line.startswith("a=candidate")]
    kept += [line for lines in groups for line in lines if _name(line) not in _NOT_FOR_AIORTC]
    parsed = SessionDescription.parse("\r\n".join(kept) + "\r\n")

    names = {name for name, _ in _attributes(session_lines)}
    mixed = "extmap-allow-mixed" in names
    media = tuple(
        _media(description, lines, mixed=mixed)
        for description, lines in zip(parsed.media, groups, strict=True)
    )
    mids = [line.mid for line in media if line.mid is not None]
    if len(set(mids)) != len(mids):
        raise SdpInvalidError("two m-lines with the same mid")
    bundles = [tuple(str(mid) for mid in group.items) for group in parsed.group if group.semantic == "BUNDLE"]
    if len(bundles) > 1:
        raise SdpInvalidError("more than one BUNDLE group")
    return SdpSession(
        media=media,
        bundle=bundles[0] if bundles else None,
        ice_lite="ice-lite" in names,
        extmap_allow_mixed=mixed,
    )


def _name(line: str) -> str | None:
    return line[2:].split(":", 1)[0] if line.startswith("a=") else None


def _attributes(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The (name, value) of each a-line; a flag's value is empty."""
    for line in lines:
        if line.startswith("a="):
            name, _, value = line[2:].partition(":")
            yield name, value


def _media(description: MediaDescription, lines: list[str], *, mixed: bool) -> SdpMedia:
    values: dict[str, list[str]] = {}
    for name, value in _attributes(lines):
        values.setdefault(name, []).append(value)

    mid = description.rtp.muxId or None
    # These are written into the answer as they came, and a mid travels in a one-byte header extension.
    if mid is not None and not (len(mid) <= 16 and _TOKEN.fullmatch(mid)):
        raise SdpInvalidError("a mid that is no token of 1 to 16 characters")
    formats = tuple(str(item) for item in description.fmt)
    if not all(_TOKEN.fullmatch(item) for item in (description.kind, *formats)):
        raise SdpInvalidError("an m-line with forbidden characters")
    if not 0 <= description.port <= 65535:
        raise SdpInvalidError("a port out of range")

    send_rids = tuple(_send_rids(values.get("rid", [])))
    repairs = _repairs(description)
    dtls = description.dtls
    return SdpMedia(
        kind=description.kind,
        port=description.port,
        profile=description.profile,
        formats=formats,
        mid=mid,
        direction=cast(Direction, description.direction or "sendrecv"),
        codecs=tuple(_codecs(description, values.get("rtcp-fb", []))),
        extensions=tuple(_extensions(values.get("extmap", []))),
        ssrcs=tuple(_primary_ssrcs(description, frozenset(repairs.values()))),
        repairs=MappingProxyType(repairs),
        send_rids=send_rids,
        simulcast=tuple(_simulcast(values.get("simulcast", []), send_rids)),
        rtcp_mux="rtcp-mux" in values,
        rtcp_rsize="rtcp-rsize" in values,
        bundle_only="bundle-only" in values,
        ice_ufrag=description.ice.usernameFragment if description.ice else None,
        ice_pwd=description.ice.password if description.ice else None,
        fingerprints=()
        if dtls is None
        else tuple(
            dict.fromkeys(Fingerprint(f.algorithm.lower(), f.value.upper()) for f in dtls.fingerprints)
        ),
        extmap_allow_mixed=mixed or "extmap-allow-mixed" in values,
        dtls_role=None if dtls is None else cast(Literal["auto", "client", "server"], dtls.role),
    )


def _codecs(description: MediaDescription, feedback_lines: list[str]) -> Iterator[SdpCodec]:
    feedback: dict[str, set[str]] = {}
    for line in feedback_lines:
        payload_type, _, what = line.partition(" ")
        feedback.setdefault(payload_type, set()).add(" ".join(what.split()))
    for codec in description.rtp.codecs:
        if codec.payloadType is None or not 0 <= codec.payloadType <= 127:
            raise SdpInvalidError("a payload type out of range")
        parameters = {
            name: None if value is None else str(value).strip() for name, value in codec.parameters.items()
        }
        yield SdpCodec(
            payload_type=codec.payloadType,
            name=codec.name.lower(),
            clock_rate=codec.clockRate,
            channels=codec.channels,
            parameters=MappingProxyType(parameters),
            feedback=frozenset(feedback.get(str(codec.payloadType), set()) | feedback.get("*", set())),
        )


def _extensions(lines: list[str]) -> Iterator[SdpExtension]:
    seen: set[int] = set()
    for line in lines:
        match = _EXTMAP.fullmatch(line)
        if match is None:
            raise SdpInvalidError("a malformed extmap")
        number, direction, uri = int(match[1]), match[2] or "sendrecv", match[3]
        if direction not in _DIRECTIONS or number in seen:
            raise SdpInvalidError("a malformed extmap")
        seen.add(number)
        yield SdpExtension(number, uri, cast(Direction, direction))


def _repairs(description: MediaDescription) -> dict[int, int]:
    pairs = [
        tuple(int(item) for item in group.items)
        for group in description.ssrc_group
        if group.semantic == "FID"
    ]
    named = [ssrc for pair in pairs for ssrc in pair]
    if any(len(pair) != 2 for pair in pairs) or len(set(named)) != len(named):
        raise SdpInvalidError("a malformed FID group")
    if not all(0 < ssrc < 1 << 32 for ssrc in named):
        raise SdpInvalidError("an SSRC out of range")
    return {pair[0]: pair[1] for pair in pairs}


def _primary_ssrcs(description: MediaDescription, repairs: frozenset[int]) -> Iterator[int]:
    for entry in description.ssrc:
        if not 0 < entry.ssrc < 1 << 32:
            raise SdpInvalidError("an SSRC out of range")
        if entry.ssrc not in repairs:
            yield entry.ssrc


def _send_rids(lines: list[str]) -> Iterator[str]:
    seen: set[str] = set()
    for line in lines:
        rid, direction, *_ = [*line.split(" "), ""]
        if not _RID.fullmatch(rid) or direction not in {"send", "recv"} or rid in seen:
            raise SdpInvalidError("a malformed rid")
        seen.add(rid)
        if direction == "send":
            yield rid


def _simulcast(lines: list[str], send_rids: tuple[str, ...]) -> Iterator[str]:
    """The first alternative of each stream; rids that no a=rid declares are discarded (RFC 8853)."""
    if len(lines) > 1:
        raise SdpInvalidError("more than one simulcast line")
    words = lines[0].split() if lines else []
    if len(words) % 2 or not {"send", "recv"}.issuperset(words[::2]) or len(words) > 4:
        raise SdpInvalidError("a malformed simulcast line")
    for direction, streams in zip(words[::2], words[1::2], strict=True):
        if direction == "send":
            rids = [stream.split(",")[0].removeprefix("~") for stream in streams.split(";")]
            yield from (rid for rid in dict.fromkeys(rids) if rid in send_rids)


@dataclass(frozen=True, slots=True)
class AnswerStream:
    """What the server sends on an m-line: one SSRC, that of its retransmissions, and its msid (RFC 8830)."""

    ssrc: int
    rtx_ssrc: int | None
    stream: str
    track: str


@dataclass(frozen=True, slots=True)
class AnswerMedia:
    """The answer to one m-line; without ``codecs`` it is refused (port 0)."""

    offered: SdpMedia
    direction: Direction = "inactive"
    codecs: tuple[SdpCodec, ...] = ()
    """The preferred one first, each followed by its retransmissions."""
    extensions: tuple[SdpExtension, ...] = ()
    """With the directions turned around already."""
    stream: AnswerStream | None = None


@dataclass(frozen=True, slots=True)
class AnswerSession:
    """Everything of the answer's text. ``bundle`` names the m-lines that aren't refused."""

    session_id: int
    version: int
    """Of the o-line; grows with each answer of the session (RFC 8866 section 5.2)."""
    cname: str
    bundle: tuple[str, ...]
    ice_ufrag: str
    ice_pwd: str
    fingerprints: tuple[Fingerprint, ...]
    candidates: tuple[tuple[str, int], ...]
    """(address, port) where the server hears UDP and takes TCP connections, the best first."""
    media: tuple[AnswerMedia, ...]
    extmap_allow_mixed: bool = False
    """The offer says it for the whole session, so the answer does as well (RFC 8285 section 6)."""


def build(answer: AnswerSession) -> str:
    """Write an answer: ICE-lite (RFC 8839), DTLS passive, one BUNDLE transport (RFC 8843)."""
    lines = [
        "v=0",
        f"o=- {answer.session_id} {answer.version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        "a=ice-options:ice2",
        f"a=group:BUNDLE {' '.join(answer.bundle)}",
        "a=msid-semantic:WMS *",
    ]
    if answer.extmap_allow_mixed:
        lines.append("a=extmap-allow-mixed")
    for media in answer.media:
        lines += _answered(media, answer) if media.codecs else _refused(media.offered)
    return "\r\n".join(lines) + "\r\n"


def _refused(offered: SdpMedia) -> Iterator[str]:
    yield f"m={offered.kind} 0 {offered.profile} {' '.join(offered.formats)}"
    yield "c=IN IP4 0.0.0.0"
    if offered.mid is not None:
        yield f"a=mid:{offered.mid}"
    yield "a=inactive"


def _answered(media: AnswerMedia, answer: AnswerSession) -> Iterator[str]:
    offered = media.offered
    formats = " ".join(str(codec.payload_type) for codec in media.codecs)
    # Port 9, "discard", as JSEP has it: the candidates say the real one.
    yield f"m={offered.kind} 9 {offered.profile} {formats}"
    yield "c=IN IP4 0.0.0.0"
    yield "a=rtcp:9 IN IP4 0.0.0.0"
    # RFC 9143 wants the transport's attributes on the first m-line alone. aiortc reads the candidates of the
    # last m-line of a bundle, and requires the rest on each; browsers take them on every one.
    for candidate in _candidates(answer.candidates):
        yield f"a=candidate:{candidate}"
    yield "a=end-of-candidates"
    yield f"a=ice-ufrag:{answer.ice_ufrag}"
    yield f"a=ice-pwd:{answer.ice_pwd}"
    for fingerprint in answer.fingerprints:
        yield f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}"
    yield "a=setup:passive"
    yield f"a=mid:{offered.mid}"
    for extension in media.extensions:
        direction = "" if extension.direction == "sendrecv" else f"/{extension.direction}"
        yield f"a=extmap:{extension.id}{direction} {extension.uri}"
    if offered.extmap_allow_mixed and not answer.extmap_allow_mixed:
        yield "a=extmap-allow-mixed"
    yield f"a={media.direction}"
    if media.stream is not None:
        yield f"a=msid:{media.stream.stream} {media.stream.track}"
    yield "a=rtcp-mux"
    if offered.rtcp_rsize:
        yield "a=rtcp-rsize"
    for codec in media.codecs:
        yield from _codec_lines(codec, offered.kind)
    if media.stream is not None:
        yield from _stream_lines(media.stream, answer.cname)


def _stream_lines(stream: AnswerStream, cname: str) -> Iterator[str]:
    if stream.rtx_ssrc is not None:
        yield f"a=ssrc-group:FID {stream.ssrc} {stream.rtx_ssrc}"
    for ssrc in (stream.ssrc, stream.rtx_ssrc):
        if ssrc is not None:
            yield f"a=ssrc:{ssrc} cname:{cname}"
            yield f"a=ssrc:{ssrc} msid:{stream.stream} {stream.track}"


_CODEC_SPELLING = {
    "vp8": "VP8",
    "h264": "H264",
    "vp9": "VP9",
    "av1": "AV1",
    "opus": "opus",
    "rtx": "rtx",
    "red": "red",
}


def _codec_lines(codec: SdpCodec, kind: str) -> Iterator[str]:
    channels = f"/{codec.channels}" if kind == "audio" and codec.channels else ""
    yield f"a=rtpmap:{codec.payload_type} {_CODEC_SPELLING[codec.name]}/{codec.clock_rate}{channels}"
    for feedback in sorted(codec.feedback):
        yield f"a=rtcp-fb:{codec.payload_type} {feedback}"
    if codec.parameters:
        parameters = (
            name if value is None else f"{name}={value}" for name, value in codec.parameters.items()
        )
        yield f"a=fmtp:{codec.payload_type} {';'.join(parameters)}"


# Type preferences (RFC 8445 section 5.1.2.2): UDP first, since over TCP a lost packet holds up all after it.
_UDP_PREFERENCE, _TCP_PREFERENCE = 126, 90
# RFC 6544 section 4.2: the local preference of a TCP candidate is 2^13 x direction preference + another; 4 is
# that of a passive host candidate.
_TCP_PASSIVE = 4 << 13


def _candidates(addresses: tuple[tuple[str, int], ...]) -> Iterator[str]:
    """Host candidates, UDP before TCP; earlier addresses have the higher priority."""
    for index, (address, port) in enumerate(addresses):
        yield _candidate(index + 1, address, port, preferences=(_UDP_PREFERENCE, 65535 - index))
    for index, (address, port) in enumerate(addresses):
        # Another foundation, because it is another transport protocol (RFC 8445 section 5.1.1.3).
        foundation, local = len(addresses) + index + 1, _TCP_PASSIVE + 8191 - index
        yield _candidate(foundation, address, port, preferences=(_TCP_PREFERENCE, local), tcp="passive")


def _candidate(
    foundation: int, address: str, port: int, *, preferences: tuple[int, int], tcp: str | None = None
) -> str:
    """``preferences``: by type and local, which make the priority (RFC 8445 section 5.1.2.1)."""
    by_type, local = preferences
    candidate = RTCIceCandidate(
        component=1,
        foundation=str(foundation),
        ip=address,
        port=port,
        priority=(by_type << 24) + (local << 8) + 255,
        protocol="tcp" if tcp else "udp",
        type="host",
        tcpType=tcp,
    )
    return str(candidate_to_sdp(candidate))
