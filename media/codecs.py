"""Which codecs of an m-line we take and how the answer describes them: VP8, H.264, VP9, AV1; Opus, RED.

    SdpMedia --choose--> (Chosen, ...): CodecPlan for the engine, SdpCodec lines for the answer

The server transcodes nothing, so what comes in as one codec goes out as that codec: a source is taken in one
codec (one that changes: in all, one at a time), a slot in every codec that a source may have. Redundant audio
(RFC 2198) is of one hop: slots have it, and a source whose offer puts it before Opus may send it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from media import sdp
from media.plan import CodecName, CodecPlan

# By media, the preferred one first: how surely a receiver has it. VP8 is in every browser, H.264 is all that
# some encoders have, VP9 and AV1 are missing from devices.
_KNOWN: dict[str, tuple[CodecName, ...]] = {"video": ("vp8", "h264", "vp9", "av1"), "audio": ("opus",)}
# Of a source that can change: what makes sharp text of few bits, where all who are there can show it.
_SHARP: tuple[CodecName, ...] = ("vp9", "av1", "vp8", "h264")
_CLOCK: dict[CodecName, tuple[int, int | None]] = {
    "vp8": (90000, None),
    "h264": (90000, None),
    "vp9": (90000, None),
    "av1": (90000, None),
    "opus": (48000, 2),
}

# Where the profile stands; 0, also where it is left out, is 8 bits (AV1: or 10) and 4:2:0, what every decoder
# has (RFC 9628 section 6, AV1's RTP payload format section 7.2.1).
_PROFILE: dict[CodecName, str] = {"vp9": "profile-id", "av1": "profile"}

# What the engine answers or makes use of: key frame requests, REMB, repeated packets.
_FEEDBACK: dict[str, frozenset[str]] = {
    "video": frozenset({"ccm fir", "nack pli", "goog-remb", "nack"}),
    "audio": frozenset({"nack"}),
}
# Numbers that the answer repeats.
_ECHOED: dict[CodecName, tuple[str, ...]] = {
    "opus": ("minptime", "useinbandfec"),
    "vp9": ("profile-id",),
    "av1": ("profile", "level-idx", "tier"),
}

_PROFILE_LEVEL_ID = re.compile(r"[0-9a-fA-F]{6}")
LEVEL_3_1 = 31
"""level_idc of H.264 level 3.1, 1280x720 at 30 frames a second: the highest that a source may send us and the
lowest that a receiver must take, since one is played to the other as it is (RFC 7742 section 6.2)."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One codec of an m-line, for the engine and for the answer."""

    plan: CodecPlan
    described: tuple[sdp.SdpCodec, ...]
    """The codec itself, then its retransmissions (RFC 4588) or redundancy (RFC 2198) where they are taken."""
    red_payload_type: int | None = None


def choose(
    line: sdp.SdpMedia, *, sending: bool, pauses: bool = False, changes: bool = False
) -> tuple[Chosen, ...]:
    """What we take of an m-line's codecs, the preferred first, each name once; empty where there is none.

    ``sending``: it is a slot, in which we send. Otherwise it is a source, of which one codec is taken.
    ``pauses``: a source of speech, which may send next to nothing while it is silent (DTX, RFC 7587).
    ``changes``: a source whose client sends it as another codec when told to, so that all are taken.
    """
    found = []
    for name in _SHARP if changes and line.kind == "video" else _KNOWN.get(line.kind, ()):
        codec = _best(line, name, sending=sending)
        if codec is not None:
            found.append(_chosen(line, name, codec, sending=sending, pauses=pauses))
    return tuple(found if sending or changes else found[:1])


def is_constrained_baseline(profile_level_id: str) -> bool:
    """True if streams of this H.264 profile keep to constrained baseline (RFC 6184 section 8.1, table 5)."""
    profile, iop = int(profile_level_id[:2], 16), int(profile_level_id[2:4], 16)
    # The bits of profile-iop are constraint_set0_flag to constraint_set5_flag and two zeros.
    return (
        (profile == 0x42 and iop & 0b01001111 == 0b01000000)
        or (profile == 0x4D and iop & 0b10001111 == 0b10000000)
        or (profile == 0x58 and iop & 0b11001111 == 0b11000000)
    )


def decodes_constrained_baseline(profile_level_id: str) -> bool:
    """True if who takes this H.264 profile takes constrained baseline: that itself, and baseline, which has
    more tools (RFC 6184 section 8.1, table 5).

    Main and high do as well by the standard, but a browser that offers them offers the others beside.
    """
    profile, iop = int(profile_level_id[:2], 16), int(profile_level_id[2:4], 16)
    baseline = (profile == 0x42 and iop & 0b01001111 == 0) or (
        profile == 0x58 and iop & 0b11001111 == 0b10000000
    )
    return baseline or is_constrained_baseline(profile_level_id)


def _best(line: sdp.SdpMedia, name: CodecName, *, sending: bool) -> sdp.SdpCodec | None:
    candidates = [
        codec
        for codec in line.codecs
        if codec.name == name and (codec.clock_rate, codec.channels) == _CLOCK[name] and _usable(line, codec)
    ]
    if name == "h264":
        candidates = [codec for codec in candidates if _h264_fits(codec.parameters, sending=sending)]
        # To a receiver of both, the narrower one: it is what we send.
        candidates.sort(key=lambda codec: not is_constrained_baseline(_profile_level_id(codec.parameters)))
    elif name in _PROFILE:
        candidates = [codec for codec in candidates if codec.parameters.get(_PROFILE[name], "0") == "0"]
    return candidates[0] if candidates else None


def _usable(line: sdp.SdpMedia, codec: sdp.SdpCodec) -> bool:
    # With rtcp-mux the payload types 64 to 95 read as RTCP (RFC 5761 section 4).
    return str(codec.payload_type) in line.formats and not 64 <= codec.payload_type <= 95


def _chosen(
    line: sdp.SdpMedia, name: CodecName, codec: sdp.SdpCodec, *, sending: bool, pauses: bool
) -> Chosen:
    rtx = _retransmissions(line, codec) if line.kind == "video" else None
    red = _redundancy(line, codec) if line.kind == "audio" else None
    first = red is not None and _stands_before(line, red, codec)
    if not sending and not first:
        # Answered, it would make a microphone that only can send it twice as large.
        red = None
    feedback = codec.feedback & _FEEDBACK[line.kind]
    if line.kind == "video" and rtx is None:
        # A picture's packet is repeated as RTX alone, so that it counts as what it is.
        feedback -= {"nack"}
    plan = CodecPlan(
        name,
        codec.payload_type,
        codec.clock_rate,
        rtx_payload_type=None if rtx is None else rtx.payload_type,
        nack="nack" in feedback,
    )
    parameters = _parameters(name, codec.parameters, sending=sending)
    if pauses and name == "opus":
        # No browser offers it; what the answer asks of the sender holds (RFC 7587 section 7).
        parameters["usedtx"] = "1"
    described = [replace(codec, feedback=feedback, parameters=parameters)]
    described += [each for each in (rtx, red) if each is not None]
    if not sending and red is not None:
        # A browser sends what the answer has first.
        described.reverse()
    return Chosen(plan, tuple(described), None if red is None else red.payload_type)


def _retransmissions(line: sdp.SdpMedia, codec: sdp.SdpCodec) -> sdp.SdpCodec | None:
    """The RTX payload type whose ``apt`` is this codec (RFC 4588 section 8.6), as the answer has it."""
    apt = str(codec.payload_type)
    for each in line.codecs:
        fits = (
            each.name == "rtx" and each.clock_rate == codec.clock_rate and each.parameters.get("apt") == apt
        )
        if fits and _usable(line, each):
            return replace(each, feedback=frozenset(), parameters={"apt": apt})
    return None


def _redundancy(line: sdp.SdpMedia, codec: sdp.SdpCodec) -> sdp.SdpCodec | None:
    """The RED payload type whose blocks are all this codec (RFC 2198 section 5), as the answer has it."""
    for each in line.codecs:
        blocks = {block for name in each.parameters for block in name.split("/")}
        rate = (each.clock_rate, each.channels) == (codec.clock_rate, codec.channels)
        if each.name == "red" and rate and blocks == {str(codec.payload_type)} and _usable(line, each):
            return replace(each, feedback=frozenset())
    return None


def _stands_before(line: sdp.SdpMedia, one: sdp.SdpCodec, other: sdp.SdpCodec) -> bool:
    return line.formats.index(str(one.payload_type)) < line.formats.index(str(other.payload_type))


def _parameters(name: CodecName, offered: Mapping[str, str | None], *, sending: bool) -> dict[str, str]:
    if name == "h264":
        return _h264_parameters(offered, sending=sending)
    return _numbers(offered, _ECHOED.get(name, ()))


def _numbers(offered: Mapping[str, str | None], names: tuple[str, ...]) -> dict[str, str]:
    return {
        name: value
        for name in names
        if (value := offered.get(name)) is not None and value.isascii() and value.isdigit() and len(value) < 6
    }


def _profile_level_id(parameters: Mapping[str, str | None]) -> str:
    # Left out it means baseline at level 1 (RFC 6184 section 8.1), which is below all that is of use here.
    found = parameters.get("profile-level-id") or ""
    return found if _PROFILE_LEVEL_ID.fullmatch(found) else "42000a"


def _h264_fits(parameters: Mapping[str, str | None], *, sending: bool) -> bool:
    if parameters.get("packetization-mode") != "1":
        return False
    profile_level_id = _profile_level_id(parameters)
    if not sending:
        return is_constrained_baseline(profile_level_id)
    return decodes_constrained_baseline(profile_level_id) and int(profile_level_id[4:], 16) >= LEVEL_3_1


def _h264_parameters(offered: Mapping[str, str | None], *, sending: bool) -> dict[str, str]:
    """RFC 6184 section 8.2.2: profile and packetization mode as offered; the level may differ where the offer
    allows asymmetry, and otherwise is the lower one."""
    profile_level_id = _profile_level_id(offered)
    asymmetry = offered.get("level-asymmetry-allowed") == "1"
    parameters = {"level-asymmetry-allowed": "1"} if asymmetry else {}
    if sending or asymmetry or int(profile_level_id[4:], 16) > LEVEL_3_1:
        profile_level_id = f"{profile_level_id[:4]}{LEVEL_3_1:02x}"
    return parameters | {"packetization-mode": "1", "profile-level-id": profile_level_id}
