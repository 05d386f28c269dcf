"""Offers that can't be taken: malformed twins of recorded ones. Each gives a MediaRefusedError."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.ports import MediaRefusedError
from bridge.values import GRANTS, Offer, OfferedSlot, OfferedSource, Role, SourceKind
from media import sdp
from media.negotiation import negotiate
from tests.media.support import LOCAL, OFFERS, Recorded, recorded, recorded_named

CODES = {"sdp-invalid", "sdp-unsupported", "not-granted"}
RECORDS = [recorded(path) for path in OFFERS]
HOME = recorded_named("chromium-home")
PLAIN = recorded_named("chromium-plain")


def _refusal(offer: Offer, record: Recorded = PLAIN) -> str:
    with pytest.raises(MediaRefusedError) as refused:
        negotiate(offer, record.grant, LOCAL)
    return refused.value.code


def _without(pattern: str) -> Callable[[str], str]:
    return lambda text: re.sub(rf"(?m)^{pattern}.*\r\n", "", text)


def _with(old: str, new: str) -> Callable[[str], str]:
    return lambda text: re.sub(old, new, text)


EDITS: dict[str, tuple[Callable[[str], str], str]] = {
    "empty": (lambda text: "", "sdp-invalid"),
    "not SDP": (lambda text: '{"type": "offer"}', "sdp-invalid"),
    "no m-line": (lambda text: text.split("m=")[0], "sdp-invalid"),
    "too long": (lambda text: text + "a=x\r\n" * 50_000, "sdp-invalid"),
    "65 m-lines": (lambda text: text + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 63, "sdp-invalid"),
    "129 SSRCs": (
        lambda text: text + "".join(f"a=ssrc:{n} cname:x\r\n" for n in range(1, 130)),
        "sdp-invalid",
    ),
    "same mid twice": (_with("a=mid:1", "a=mid:0"), "sdp-invalid"),
    "other mids": (_with("a=mid:", "a=mid:x"), "sdp-invalid"),
    "mid too long": (_with("a=mid:0", "a=mid:" + "0" * 17), "sdp-invalid"),
    "mid with a blank": (_with("a=mid:0", "a=mid:0 0"), "sdp-invalid"),
    "no mids": (_without("a=mid"), "sdp-invalid"),
    "media the other way round": (_with("m=video", "m=audio"), "sdp-invalid"),
    "does not send": (_with("a=sendonly", "a=recvonly"), "sdp-invalid"),
    "inactive": (_with("a=sendonly", "a=inactive"), "sdp-invalid"),
    "switched off": (_with("m=video 9", "m=video 0"), "sdp-invalid"),
    "m-line without formats": (_with(r"SAVPF [0-9 ]+", "SAVPF"), "sdp-invalid"),
    "payload type above a byte": (_with("96", "960"), "sdp-invalid"),
    "payload type negative": (_with("rtpmap:96", "rtpmap:-96"), "sdp-invalid"),
    "payload type huge": (_with("rtpmap:96", "rtpmap:" + "9" * 5000), "sdp-invalid"),
    "fmtp of nothing": (_with("a=fmtp:97", "a=fmtp:98"), "sdp-invalid"),
    "SSRC zero": (_with(r"a=ssrc:\d+", "a=ssrc:0"), "sdp-invalid"),
    "SSRC above 32 bits": (_with(r"a=ssrc:\d+", "a=ssrc:4294967296"), "sdp-invalid"),
    "SSRC on both m-lines": (_with(r"a=ssrc:\d+", "a=ssrc:7"), "sdp-invalid"),
    "SSRC without a value": (_with(r"a=ssrc:(\d+) cname:\S+", r"a=ssrc:\1"), "sdp-invalid"),
    "FID group of one": (_with(r"(FID \d+) \d+", r"\1"), "sdp-invalid"),
    "FID group of three": (_with(r"(FID \d+ \d+)", r"\1 7"), "sdp-invalid"),
    "FID group of one twice": (_with(r"FID (\d+) \d+", r"FID \1 \1"), "sdp-invalid"),
    "FID group of nothing": (_with(r"FID (\d+) \d+", "FID"), "sdp-invalid"),
    "FID group out of range": (_with(r"FID (\d+) \d+", r"FID \1 4294967296"), "sdp-invalid"),
    "FID group twice": (_with(r"(a=ssrc-group:FID \d+) \d+", "\\1 7\r\n\\1 8"), "sdp-invalid"),
    "SSRC on one m-line and repeating on another": (
        lambda text: re.sub(r"a=ssrc:\d+ cname(.*\r\n.*\r\n)$", r"a=ssrc:7 cname\1", text).replace(
            re.findall(r"FID \d+ (\d+)", text)[0], "7"
        ),
        "sdp-invalid",
    ),
    "65 SSRC groups": (lambda text: text + "a=ssrc-group:SIM 1 2\r\n" * 65, "sdp-invalid"),
    "extmap without a URI": (_with(r"a=extmap:9 \S+", "a=extmap:9"), "sdp-invalid"),
    "extmap of an unknown direction": (_with("a=extmap:9 ", "a=extmap:9/up "), "sdp-invalid"),
    "extmap id twice": (_with("a=extmap:1 ", "a=extmap:9 "), "sdp-invalid"),
    "extmap id with two meanings": (_with("a=extmap:14 ", "a=extmap:1 "), "sdp-invalid"),
    "payload type with two meanings": (_with(r"\b111\b", "96"), "sdp-invalid"),
    "rid twice": (lambda text: text + "a=rid:h send\r\na=rid:h send\r\n", "sdp-invalid"),
    "rid of an unknown direction": (lambda text: text + "a=rid:h up\r\n", "sdp-invalid"),
    "simulcast of nothing": (lambda text: text + "a=simulcast:send\r\n", "sdp-invalid"),
    "simulcast twice": (lambda text: text + "a=simulcast:send h\r\n" * 2, "sdp-invalid"),
    "setup of an unknown role": (_with("a=setup:actpass", "a=setup:holdconn"), "sdp-invalid"),
    "BUNDLE with a stranger": (_with("BUNDLE 0 1", "BUNDLE 0 1 2"), "sdp-invalid"),
    "BUNDLE twice": (_with("(a=group:BUNDLE 0 1)", "\\1\r\n\\1"), "sdp-invalid"),
    "BUNDLE with one m-line twice": (_with("BUNDLE 0 1", "BUNDLE 0 1 0"), "sdp-invalid"),
    "ICE name too short": (_with(r"a=ice-ufrag:\S+", "a=ice-ufrag:abc"), "sdp-invalid"),
    "ICE name with forbidden characters": (_with(r"a=ice-ufrag:\S+", "a=ice-ufrag:ab:cd"), "sdp-invalid"),
    "ICE password too short": (_with(r"a=ice-pwd:\S+", "a=ice-pwd:abcdef"), "sdp-invalid"),
    "fingerprint too short": (_with(r"(sha-256 \S\S:\S\S)\S+", r"\1"), "sdp-invalid"),
    "fingerprint of other letters": (_with(r"sha-256 \S\S", "sha-256 ZZ"), "sdp-invalid"),
    "fingerprint without a value": (_with(r"sha-256 \S+", "sha-256"), "sdp-invalid"),
    "surrogates": (_with("a=mid:0", "a=mid:\ud800"), "sdp-invalid"),
    "no BUNDLE": (_without("a=group"), "sdp-unsupported"),
    "half a BUNDLE": (_with("BUNDLE 0 1", "BUNDLE 0"), "sdp-unsupported"),
    "no rtcp-mux": (_without("a=rtcp-mux"), "sdp-unsupported"),
    "no ICE name": (_without("a=ice-ufrag"), "sdp-unsupported"),
    "no ICE password": (_without("a=ice-pwd"), "sdp-unsupported"),
    "ICE-lite": (_with("a=extmap-allow-mixed", "a=ice-lite"), "sdp-unsupported"),
    "no fingerprint": (_without("a=fingerprint"), "sdp-unsupported"),
    "another fingerprint": (_with("sha-256", "sha-1"), "sdp-unsupported"),
    "no setup": (_without("a=setup"), "sdp-unsupported"),
    "setup passive": (_with("a=setup:actpass", "a=setup:passive"), "sdp-unsupported"),
    "SDES keys": (_with("UDP/TLS/RTP/SAVPF", "RTP/SAVPF"), "sdp-unsupported"),
    "no DTLS": (_with("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "sdp-unsupported"),
    "no codec of ours": (_with("VP8", "H265"), "sdp-unsupported"),
    "VP9 of another profile": (
        _with("VP8/90000", "VP9/90000\r\na=fmtp:96 profile-id=2"),
        "sdp-unsupported",
    ),
    "VP8 at another rate": (_with("VP8/90000", "VP8/48000"), "sdp-unsupported"),
    "H.264 of no use": (
        _with("VP8/90000", "H264/90000\r\na=fmtp:96 packetization-mode=0;profile-level-id=42e01f"),
        "sdp-unsupported",
    ),
    "VP8 that the m-line does not list": (_with(r"SAVPF 96 97", "SAVPF 97"), "sdp-unsupported"),
    "VP8 where RTCP is": (_with(r"\b96\b", "70"), "sdp-unsupported"),
    "no Opus": (_with("opus", "PCMU"), "sdp-unsupported"),
    "Opus in mono": (_with("opus/48000/2", "opus/48000"), "sdp-unsupported"),
    "neither SSRC nor mid extension": (
        lambda text: _without("a=ssrc")(_without("a=extmap:9 ")(text)),
        "sdp-unsupported",
    ),
}


@pytest.mark.parametrize(("edit", "code"), EDITS.values(), ids=EDITS)
def test_malformed_twin(edit: Callable[[str], str], code: str) -> None:
    assert _refusal(PLAIN.with_sdp(edit)) == code


CLAIMS: dict[str, tuple[Offer, str]] = {
    "nothing": (replace(HOME.offer, sources=(), slots=()), "sdp-invalid"),
    "a kind beyond the grant": (
        replace(HOME.offer, sources=(OfferedSource(SourceKind.SCREEN, "0"),)),
        "not-granted",
    ),
    "a kind twice": (
        replace(
            HOME.offer,
            sources=(OfferedSource(SourceKind.CAMERA, "0"), OfferedSource(SourceKind.CAMERA, "2")),
        ),
        "sdp-invalid",
    ),
    "an m-line for two things": (
        replace(HOME.offer, slots=(*HOME.offer.slots[:-1], OfferedSlot(6, None, HOME.offer.slots[0].voice))),
        "sdp-invalid",
    ),
    "an m-line that is not there": (
        replace(HOME.offer, sources=(OfferedSource(SourceKind.CAMERA, "99"),)),
        "sdp-invalid",
    ),
    "a slot too many": (replace(HOME.offer, slots=(OfferedSlot(7, None, "3"),)), "not-granted"),
    "a slot before the first": (replace(HOME.offer, slots=(OfferedSlot(-1, "2", "3"),)), "sdp-invalid"),
    "a slot twice": (
        replace(HOME.offer, slots=(HOME.offer.slots[0], replace(HOME.offer.slots[1], index=0))),
        "sdp-invalid",
    ),
    "a pair without a picture": (replace(HOME.offer, slots=(OfferedSlot(0, None, "3"),)), "sdp-invalid"),
    "a voice with a picture": (replace(HOME.offer, slots=(OfferedSlot(5, "2", "3"),)), "sdp-invalid"),
    "a picture on an audio m-line": (replace(HOME.offer, slots=(OfferedSlot(0, "3", "5"),)), "sdp-invalid"),
    "a slot where the client sends": (
        replace(HOME.offer, sources=(), slots=(OfferedSlot(0, "0", "3"),)),
        "sdp-invalid",
    ),
    "a source where it receives": (
        replace(HOME.offer, sources=(OfferedSource(SourceKind.CAMERA, "2"),), slots=()),
        "sdp-invalid",
    ),
}


@pytest.mark.parametrize(("offer", "code"), CLAIMS.values(), ids=CLAIMS)
def test_claims_that_do_not_fit(offer: Offer, code: str) -> None:
    assert _refusal(offer, HOME) == code


def test_every_kind_beyond_a_grant_is_refused() -> None:
    kiosk = recorded_named("chromium-kiosk")
    for source in kiosk.offer.sources:
        offer = replace(kiosk.offer, sources=(source,), slots=())
        if source.kind in GRANTS[Role.HOME].publish:
            negotiate(offer, GRANTS[Role.HOME], LOCAL)
        else:
            assert _refusal(offer, HOME) == "not-granted"


def _holds(record: Recorded, text: str) -> None:
    """Either a refusal with a code of ours, or a sound answer with as many m-lines."""
    offer = replace(record.offer, sdp=text)
    refusal: MediaRefusedError | None = None
    try:
        negotiated = negotiate(offer, record.grant, LOCAL)
    except MediaRefusedError as refused:
        refusal = refused
    if refusal is not None:
        assert refusal.code in CODES
        assert len(refusal.text) < 200
        return
    answered = sdp.parse(negotiated.answer)
    assert [line.mid for line in answered.media] == [line.mid for line in sdp.parse(text).media]
    assert len(negotiated.plan.sources) == len(offer.sources)
    assert len(negotiated.plan.slots) == len(offer.slots)


_records = st.sampled_from(RECORDS)
_fragments = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "",
            " ",
            ":",
            "/",
            ";",
            "=",
            "-1",
            "0",
            "65536",
            "4294967296",
            "9" * 5000,
            "\x00",
            "\u0661",
            "\r",
            "1" * 20,
        ]
    ),
)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(record=_records, at=st.floats(0, 1))
def test_truncated(record: Recorded, at: float) -> None:
    _holds(record, record.offer.sdp[: int(at * len(record.offer.sdp))])


@settings(derandomize=True, max_examples=200, deadline=None)
@given(record=_records, data=st.data())
def test_lines_lost_doubled_and_moved(record: Recorded, data: st.DataObject) -> None:
    lines = record.offer.sdp.split("\r\n")
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(lines) - 1))
        what = data.draw(st.sampled_from(["lose", "double", "move"]))
        if what == "double":
            lines.insert(at, lines[at])
        elif len(lines) > 1:
            line = lines.pop(at)
            if what == "move":
                lines.insert(data.draw(st.integers(0, len(lines))), line)
    _holds(record, "\r\n".join(lines))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(record=_records, data=st.data())
def test_values_replaced(record: Recorded, data: st.DataObject) -> None:
    lines = record.offer.sdp.split("\r\n")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        words = re.split(r"([ :=/;])", lines[at])
        words[data.draw(st.integers(0, len(words) - 1))] = data.draw(_fragments)
        lines[at] = "".join(words)
    _holds(record, "\r\n".join(lines))


@settings(derandomize=True, max_examples=200, deadline=None)
@given(text=st.text(), head=st.sampled_from(["", "v=0\r\n", "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na="]))
def test_any_text(text: str, head: str) -> None:
    _holds(PLAIN, head + text)


def test_the_longest_lists_are_read_in_bounded_time() -> None:
    """Within the limits of length and number, an offer made to be slow takes a fraction of a second."""
    section = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"
    section += "".join(f"a=rtpmap:{n} VP8/90000\r\n" for n in range(128))
    section += "a=rtcp-fb:* nack pli\r\n" * 500
    section += "".join(f"a=fmtp:{n} x=1\r\n" for n in range(128))
    section += "".join(f"a=ssrc:{n} cname:x\r\n" for n in range(1, 129))
    text = "v=0\r\n" + section * (sdp.MAX_CHARACTERS // len(section))
    before = time.process_time()
    assert len(sdp.parse(text).media) >= 10
    assert time.process_time() - before < 1.0
