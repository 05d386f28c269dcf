"""One negotiation for every kind of endpoint: a pure function from offer and grant to answer and plan.

    Offer (SDP, sources, slots) + Grant + LocalParameters  ->  Negotiated (answer SDP, PeerPlan)

There is one offer in the life of an endpoint and everything is decided here: which m-line is which source
or slot half, its codec, its header extensions, the SSRC of what we send. No randomness, no I/O, no clock: the
same arguments give the same answer. What can't be taken raises MediaRefusedError with a code of PROTOCOL.md
section 6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NoReturn

from bridge.ports import MediaRefusedError
from bridge.values import Grant, LayerLevel, Offer, OfferedSource, SourceKind
from media import sdp
from media.codecs import Chosen, choose
from media.plan import (
    DtlsPlan,
    ExtensionPlan,
    Fingerprint,
    IcePlan,
    LayerPlan,
    Media,
    PeerPlan,
    SlotHalfPlan,
    SlotPlan,
    SourcePlan,
)

CNAME = "luokkasilta"
"""The RTCP CNAME of all that we send: one server clock stands behind every slot."""

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
RID_URI = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID_URI = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
DEPENDENCY_URI = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"

# bit/s. A 720p camera with room to spare; a document camera and a screen want sharp text rather than motion.
_BITRATE = {
    SourceKind.CAMERA: 2_500_000,
    SourceKind.DOCUMENT: 2_500_000,
    SourceKind.SCREEN: 2_500_000,
    SourceKind.MIC: 64_000,
    SourceKind.CONTENT: 64_000,
}

_PROFILES = frozenset({"UDP/TLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF"})
# RFC 8839 section 5.4.
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PWD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_SHA256 = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){31}")

_TURNED: dict[sdp.Direction, sdp.Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}


@dataclass(frozen=True, slots=True)
class LocalParameters:
    """The server's half, made fresh for each endpoint by the caller."""

    ice_ufrag: str
    ice_pwd: str
    fingerprints: tuple[Fingerprint, ...]
    candidates: tuple[tuple[str, int], ...]
    """Announced (address, port) pairs, the best first; each is reached over UDP and over TCP."""
    ssrc_base: int
    """The first SSRC to give to a slot half; the next ones count up from it, past those the offer uses."""
    session_id: int
    """For the answer's o-line, below 2^63."""


@dataclass(frozen=True, slots=True)
class RemoteTransport:
    """The other end of the one transport: ICE credentials (RFC 8839) and DTLS certificates (RFC 8122)."""

    ufrag: str
    pwd: str
    fingerprints: tuple[Fingerprint, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What offer and answer settled: all that an ICE restart must leave as it is (media.restart)."""

    session: sdp.AnswerSession
    """The last answer, with the m-lines as first offered."""
    remote: RemoteTransport


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The SDP answer, what the engine has to do, and what a restart has to keep."""

    answer: str
    plan: PeerPlan
    agreement: Agreement


def negotiate(offer: Offer, grant: Grant, local: LocalParameters) -> Negotiated:
    """Answer an offer (RFC 3264, RFC 8829).

    Raises MediaRefusedError with the code `sdp-invalid`, `sdp-unsupported` or `not-granted`.
    """
    _check_grant(offer, grant)
    try:
        session = sdp.parse(offer.sdp)
    except sdp.SdpInvalidError as exc:
        raise MediaRefusedError("sdp-invalid", str(exc)) from exc

    lines = {line.mid: line for line in session.media if line.mid is not None}
    bundle = _check_bundle(offer, session, lines)
    sources = tuple(_source(source, _claimed(lines, source.mid)) for source in offer.sources)
    taken = [ssrc for line in session.media for ssrc in {*line.ssrcs, *line.repairs, *line.repairs.values()}]
    if len(set(taken)) != len(taken):
        _invalid("an SSRC on two m-lines")
    ssrcs = _fresh_ssrcs(local.ssrc_base, set(taken))
    slots = tuple(
        SlotPlan(
            index=slot.index,
            picture=None if slot.picture is None else _half("video", _claimed(lines, slot.picture), ssrcs),
            voice=_half("audio", _claimed(lines, slot.voice), ssrcs),
        )
        for slot in sorted(offer.slots, key=lambda slot: slot.index)
    )

    answers = _answers(session, bundle, offer.sources, slots)
    _check_bundled_numbers(answers)
    accepted = {answer.offered.mid for answer in answers if answer.codecs}
    answered_bundle = tuple(mid for mid in bundle if mid in accepted)
    remote = transport(lines[answered_bundle[0]], session)
    answer = sdp.AnswerSession(
        session_id=local.session_id,
        version=1,
        cname=CNAME,
        bundle=answered_bundle,
        ice_ufrag=local.ice_ufrag,
        ice_pwd=local.ice_pwd,
        fingerprints=local.fingerprints,
        candidates=local.candidates,
        media=answers,
        extmap_allow_mixed=session.extmap_allow_mixed,
    )
    bitrate = sum(_BITRATE[source.kind] for source in sources)
    ice = IcePlan(local.ice_ufrag, local.ice_pwd, remote.ufrag)
    return Negotiated(
        sdp.build(answer),
        PeerPlan(ice, DtlsPlan(remote.fingerprints), sources, slots, bitrate),
        Agreement(answer, remote),
    )


def _invalid(text: str) -> NoReturn:
    raise MediaRefusedError("sdp-invalid", text)


def _unsupported(text: str) -> NoReturn:
    raise MediaRefusedError("sdp-unsupported", text)


def _check_grant(offer: Offer, grant: Grant) -> None:
    """The claims beside the SDP: kinds and slots within the grant, each thing once."""
    kinds = [source.kind for source in offer.sources]
    for kind in kinds:
        if kind not in grant.publish:
            raise MediaRefusedError("not-granted", f"may not publish {kind.value}")
    if len(set(kinds)) != len(kinds):
        _invalid("a kind of source twice")

    pairs, every = grant.slots.pairs, grant.slots.pairs + grant.slots.voices
    for slot in offer.slots:
        if slot.index >= every:
            raise MediaRefusedError("not-granted", f"may have {every} slots")
        if slot.index < 0:
            _invalid("a negative slot index")
        if (slot.picture is not None) != (slot.index < pairs):
            _invalid(f"slot {slot.index}: pictures are in the slots 0 to {pairs - 1} and in no other")
    if len({slot.index for slot in offer.slots}) != len(offer.slots):
        _invalid("a slot index twice")

    mids = _claims(offer)
    if not mids:
        _invalid("neither a source nor a slot")
    if len(set(mids)) != len(mids):
        _invalid("an m-line for two things")


def _claims(offer: Offer) -> list[str]:
    mids = [source.mid for source in offer.sources]
    for slot in offer.slots:
        mids += [slot.voice] if slot.picture is None else [slot.picture, slot.voice]
    return mids


def _claimed(lines: dict[str, sdp.SdpMedia], mid: str) -> sdp.SdpMedia:
    line = lines.get(mid)
    if line is None:
        _invalid("a source or slot names an m-line that is not there")
    if line.port == 0 and not line.bundle_only:
        _invalid(f"m-line {line.mid} is switched off")
    if line.profile not in _PROFILES:
        _unsupported(f"m-line {line.mid} is not RTP over DTLS")
    if not line.rtcp_mux:
        _unsupported(f"m-line {line.mid} is without rtcp-mux")
    return line


def _check_bundle(offer: Offer, session: sdp.SdpSession, lines: dict[str, sdp.SdpMedia]) -> tuple[str, ...]:
    """The BUNDLE group (RFC 9143): holds all that the offer names, gives each extension id one meaning."""
    bundle = session.bundle
    if not bundle:
        _unsupported("no BUNDLE group")
    if len(set(bundle)) != len(bundle) or not lines.keys() >= set(bundle):
        _invalid("a BUNDLE group that does not fit the m-lines")
    if not set(bundle).issuperset(mid for mid in _claims(offer) if mid in lines):
        _unsupported("an m-line outside the BUNDLE group")
    uris: dict[int, str] = {}
    for mid in bundle:
        for extension in lines[mid].extensions:
            if uris.setdefault(extension.id, extension.uri) != extension.uri:
                _invalid("an extension id with two meanings in one BUNDLE group")
    return bundle


def _check_bundled_numbers(answers: tuple[sdp.AnswerMedia, ...]) -> None:
    """One payload type means one thing in a BUNDLE group (RFC 9143 section 9.1.1)."""
    meanings: dict[int, tuple[str | None, ...]] = {}
    for codec in (codec for answer in answers for codec in answer.codecs):
        profile = codec.parameters.get("profile-level-id")
        # The level isn't part of it: the answer gives each direction its own.
        meaning = (codec.name, codec.parameters.get("apt"), profile and profile[:4].lower())
        if meanings.setdefault(codec.payload_type, meaning) != meaning:
            _invalid("a payload type with two meanings in one BUNDLE group")


def transport(tagged: sdp.SdpMedia, session: sdp.SdpSession) -> RemoteTransport:
    """That of the first m-line of the group that isn't refused. Raises MediaRefusedError."""
    if session.ice_lite:
        _unsupported("two ICE-lite agents can't find each other")
    if tagged.ice_ufrag is None or tagged.ice_pwd is None:
        _unsupported("no ICE credentials")
    if not _UFRAG.fullmatch(tagged.ice_ufrag) or not _PWD.fullmatch(tagged.ice_pwd):
        _invalid("malformed ICE credentials")
    if tagged.dtls_role is None or not any(f.algorithm == "sha-256" for f in tagged.fingerprints):
        _unsupported("no SHA-256 fingerprint or no setup attribute")
    if any(f.algorithm == "sha-256" and not _SHA256.fullmatch(f.value) for f in tagged.fingerprints):
        _invalid("a malformed fingerprint")
    if tagged.dtls_role == "server":
        _unsupported("setup:passive, but the server is passive itself")
    return RemoteTransport(tagged.ice_ufrag, tagged.ice_pwd, tagged.fingerprints)


def _source(source: OfferedSource, line: sdp.SdpMedia) -> SourcePlan:
    kind = source.kind
    media: Media = "video" if kind.is_picture else "audio"
    if line.kind != media or line.direction not in {"sendonly", "sendrecv"}:
        _invalid(f"source {kind.value}: its m-line does not send {media}")
    found = _chosen(line, source)
    codecs = tuple(chosen.plan for chosen in found)
    plan, _ = _extensions(line, found, sending=False)
    ssrc = line.ssrcs[0] if line.ssrcs else None
    if ssrc is None and plan.mid is None:
        _unsupported(f"source {kind.value}: neither an SSRC nor the mid extension tells its packets")
    repaired = any(codec.rtx_payload_type is not None for codec in codecs)
    repaired_by = line.repairs.get(ssrc) if repaired and ssrc is not None else None
    # The answer leaves simulcast out, so the client sends one encoding, whatever rid it may write.
    layers = (LayerPlan(LayerLevel.HIGH, rid=None, ssrc=ssrc, rtx_ssrc=repaired_by),)
    return SourcePlan(kind, line.mid or "", codecs, layers, plan, found[0].red_payload_type)


def _half(media: Media, line: sdp.SdpMedia, ssrcs: Iterator[int]) -> SlotHalfPlan:
    if line.kind != media or line.direction != "recvonly":
        _invalid(f"m-line {line.mid} is no place to receive {media}")
    found = _chosen(line, None)
    codecs = tuple(chosen.plan for chosen in found)
    plan, _ = _extensions(line, found, sending=True)
    repaired = any(codec.rtx_payload_type is not None for codec in codecs)
    return SlotHalfPlan(
        line.mid or "",
        codecs,
        next(ssrcs),
        plan,
        next(ssrcs) if repaired else None,
        red_payload_type=found[0].red_payload_type,
    )


def _chosen(line: sdp.SdpMedia, source: OfferedSource | None) -> tuple[Chosen, ...]:
    """The codecs of a source, or of a slot's half."""
    if source is None:
        found = choose(line, sending=True)
    else:
        # Of a screen's own sound nothing is left out: music has pauses that are none.
        pauses = source.kind is SourceKind.MIC
        found = choose(line, sending=False, pauses=pauses, changes=source.changes_codec)
    if not found:
        wanted = "VP8, constrained baseline H.264, VP9 and AV1" if line.kind == "video" else "Opus"
        _unsupported(f"m-line {line.mid} is without {wanted}")
    return found


def _extensions(
    line: sdp.SdpMedia, chosen: tuple[Chosen, ...], *, sending: bool
) -> tuple[ExtensionPlan, tuple[sdp.SdpExtension, ...]]:
    """The extensions in use on a line with these codecs, where we are ``sending`` or receiving, and how the
    answer says so."""
    useful = {"sendrecv", "recvonly"} if sending else {"sendrecv", "sendonly"}
    wanted = {MID_URI, SEND_TIME_URI}
    if line.kind == "audio":
        wanted.add(LEVEL_URI)
    elif not sending:
        # Chromium, once its camera was offered with rids, can make no later offer without these.
        wanted |= {RID_URI, REPAIRED_RID_URI}
    # A descriptor can be longer than the 16 octets of the one-byte form. From who sends other codecs too it
    # isn't taken: Chromium then leaves picture ids and levels out of VP8's payload, where the engine reads.
    names = {each.plan.name for each in chosen}
    if line.extmap_allow_mixed and ("av1" in names if sending else names == {"av1"}):
        wanted.add(DEPENDENCY_URI)
    found: dict[str, sdp.SdpExtension] = {}
    for extension in line.extensions:
        # Ids above 14 need the two-byte form, which the engine doesn't write.
        if extension.uri in wanted and 1 <= extension.id <= 14 and extension.direction in useful:
            found.setdefault(extension.uri, extension)
    ids = {uri: extension.id for uri, extension in found.items()}
    # No layer has a rid, so the engine must not look for one: a packet with it would be no layer's.
    plan = ExtensionPlan(
        mid=ids.get(MID_URI),
        level=ids.get(LEVEL_URI),
        send_time=ids.get(SEND_TIME_URI),
        dependency=ids.get(DEPENDENCY_URI),
    )
    answered = tuple(
        replace(extension, direction=_TURNED[extension.direction]) for extension in found.values()
    )
    return plan, answered


def _fresh_ssrcs(base: int, taken: set[int]) -> Iterator[int]:
    ssrc = base
    while True:
        ssrc %= 1 << 32
        if ssrc != 0 and ssrc not in taken:
            yield ssrc
        ssrc += 1


def _answers(
    session: sdp.SdpSession,
    bundle: tuple[str, ...],
    sources: tuple[OfferedSource, ...],
    slots: tuple[SlotPlan, ...],
) -> tuple[sdp.AnswerMedia, ...]:
    """One answer for each m-line, in the offer's order (RFC 3264 section 6)."""
    receiving = {source.mid: source for source in sources}
    sending = {
        half.mid: sdp.AnswerStream(
            half.ssrc,
            half.rtx_ssrc,
            f"slot-{slot.index}",
            f"slot-{slot.index}-{'picture' if half is slot.picture else 'voice'}",
        )
        for slot in slots
        for half in slot.halves
    }

    def answer(line: sdp.SdpMedia) -> sdp.AnswerMedia:
        if line.mid in receiving:
            found = _chosen(line, receiving[line.mid])
            _, extensions = _extensions(line, found, sending=False)
            return sdp.AnswerMedia(line, "recvonly", _described(found), extensions)
        if line.mid in sending:
            found = _chosen(line, None)
            _, extensions = _extensions(line, found, sending=True)
            return sdp.AnswerMedia(line, "sendonly", _described(found), extensions, sending[line.mid])
        # Nobody named it. An inactive line keeps its transceiver; a refused one would stop it for good.
        off = line.port == 0 and not line.bundle_only
        fits = line.mid in bundle and line.rtcp_mux and line.profile in _PROFILES and not off
        return sdp.AnswerMedia(line, codecs=_described(choose(line, sending=False)) if fits else ())

    return tuple(answer(line) for line in session.media)


def _described(found: tuple[Chosen, ...]) -> tuple[sdp.SdpCodec, ...]:
    return tuple(codec for chosen in found for codec in chosen.described)
