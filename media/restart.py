"""The one later offer in the life of an endpoint: an ICE restart (RFC 8445 section 9, RFC 8829 4.1.8).

    Agreement of the join + offer + new credentials of ours  ->  Restarted (answer, IcePlan, Agreement)

A pure function like media.negotiation. Everything but the ICE credentials and the candidates stays as it was
agreed; an offer that would change anything else raises MediaRefusedError with the code `sdp-invalid`, and so
does one that brings no new credentials.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NoReturn

from bridge.ports import MediaRefusedError
from media import sdp
from media.negotiation import Agreement, RemoteTransport, transport
from media.plan import IcePlan


@dataclass(frozen=True, slots=True)
class FreshIce:
    """The server's half, made fresh for each restart by the caller."""

    ufrag: str
    pwd: str
    candidates: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Restarted:
    """The answer, what the engine has to do, and what the next restart has to keep."""

    answer: str
    ice: IcePlan | None
    """``None``: nothing, this offer was answered before and its answer was lost on the way."""
    agreement: Agreement


def restart(agreement: Agreement, text: str, fresh: FreshIce) -> Restarted:
    """Answer the offer of a restart. Raises MediaRefusedError with the code `sdp-invalid`."""
    try:
        session = sdp.parse(text)
    except sdp.SdpInvalidError as exc:
        raise MediaRefusedError("sdp-invalid", str(exc)) from exc
    _check_lines(agreement.session, session)
    remote = _transport(agreement, session)
    before = agreement.remote
    if (remote.ufrag, remote.pwd) == (before.ufrag, before.pwd) and agreement.session.version > 1:
        # A client asks again for what it got no answer to (PROTOCOL.md, "Coming back").
        return Restarted(sdp.build(agreement.session), None, agreement)
    if remote.ufrag == before.ufrag or remote.pwd == before.pwd:
        _invalid("no new ICE credentials")
    answer = replace(
        agreement.session,
        version=agreement.session.version + 1,
        ice_ufrag=fresh.ufrag,
        ice_pwd=fresh.pwd,
        candidates=fresh.candidates,
    )
    return Restarted(
        sdp.build(answer), IcePlan(fresh.ufrag, fresh.pwd, remote.ufrag), Agreement(answer, remote)
    )


def _invalid(text: str) -> NoReturn:
    raise MediaRefusedError("sdp-invalid", text)


def _check_lines(agreed: sdp.AnswerSession, session: sdp.SdpSession) -> None:
    if len(session.media) != len(agreed.media):
        _invalid("another number of m-lines than at the join")
    if set(agreed.bundle) != set(session.bundle or ()) - _refused(agreed):
        _invalid("another BUNDLE group than at the join")
    for was, line in zip(agreed.media, session.media, strict=True):
        if was.codecs:
            _check_line(was, line)
        elif line.kind != was.offered.kind:
            _invalid("another kind of m-line in the place of a refused one")


def _refused(agreed: sdp.AnswerSession) -> set[str]:
    return {line.offered.mid for line in agreed.media if not line.codecs and line.offered.mid is not None}


def _check_line(was: sdp.AnswerMedia, line: sdp.SdpMedia) -> None:
    """An m-line in use: the same in all that the engine was told of it."""
    offered = was.offered
    for name in ("kind", "mid", "direction", "profile", "rtcp_mux"):
        if getattr(line, name) != getattr(offered, name):
            _invalid(f"m-line {offered.mid}: another {name} than at the join")
    if line.port == 0 and not line.bundle_only:
        _invalid(f"m-line {offered.mid} is switched off")
    for codec in was.codecs:
        if not any(
            _same_codec(codec, each) and str(each.payload_type) in line.formats for each in line.codecs
        ):
            _invalid(f"m-line {offered.mid}: payload type {codec.payload_type} is not that of the join")
    present = {(extension.id, extension.uri) for extension in line.extensions}
    if not present.issuperset((extension.id, extension.uri) for extension in was.extensions):
        _invalid(f"m-line {offered.mid}: other header extensions than at the join")
    # A client that named no SSRC before, for a camera with rids, may name it now.
    if line.ssrcs and offered.ssrcs and line.ssrcs[0] != offered.ssrcs[0]:
        _invalid(f"m-line {offered.mid}: another SSRC than at the join")


def _same_codec(agreed: sdp.SdpCodec, offered: sdp.SdpCodec) -> bool:
    names = ("payload_type", "name", "clock_rate", "channels")
    if any(getattr(agreed, name) != getattr(offered, name) for name in names):
        return False
    if any(
        agreed.parameters.get(name) != offered.parameters.get(name) for name in ("apt", "packetization-mode")
    ):
        return False
    # H.264: of its profile-level-id the profile, since the level may differ by direction.
    was, now = (codec.parameters.get("profile-level-id") or "" for codec in (agreed, offered))
    return was[:4].lower() == now[:4].lower()


def _transport(agreement: Agreement, session: sdp.SdpSession) -> RemoteTransport:
    tagged = next(line for line in session.media if line.mid == agreement.session.bundle[0])
    try:
        remote = transport(tagged, session)
    except MediaRefusedError as refused:
        # The join had all of it, so here it isn't lack of support.
        _invalid(refused.text)
    if set(remote.fingerprints) != set(agreement.remote.fingerprints):
        _invalid("another certificate than at the join")
    return remote
