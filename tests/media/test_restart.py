"""ICE restart: only the credentials and the candidates change, whatever the second offer would like."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from bridge.ports import MediaRefusedError
from media import sdp
from media.negotiation import Agreement, negotiate
from media.plan import IcePlan
from media.restart import FreshIce, restart
from tests.media.support import LOCAL, OFFERS, Recorded, recorded, recorded_named

FRESH = FreshIce("newUFRAG", "newPASSWORD/0123456789ab", (("192.0.2.99", 10000),))
AGAIN = FreshIce("thirdUFR", "thirdPASSWORD/0123456789", (("192.0.2.100", 10000),))


@pytest.fixture(params=OFFERS, ids=lambda path: path.stem)
def record(request: pytest.FixtureRequest) -> Recorded:
    return recorded(request.param)


def renewed(text: str, number: int = 1) -> str:
    """The offer with other ICE credentials, as after restartIce()."""
    text = re.sub(r"a=ice-ufrag:\S+", f"a=ice-ufrag:other{number}", text)
    return re.sub(r"a=ice-pwd:\S+", f"a=ice-pwd:other{number}" + "0" * 20, text)


def agreed(record: Recorded) -> Agreement:
    return negotiate(record.offer, record.grant, LOCAL).agreement


def test_the_answer_is_that_of_the_join_but_for_ice(record: Recorded) -> None:
    joined = negotiate(record.offer, record.grant, LOCAL)
    restarted = restart(joined.agreement, renewed(record.offer.sdp), FRESH)
    assert restarted.ice == IcePlan(FRESH.ufrag, FRESH.pwd, "other1")
    expected = joined.answer.replace("o=- 42 1 ", "o=- 42 2 ")
    expected = expected.replace(LOCAL.ice_ufrag, FRESH.ufrag).replace(LOCAL.ice_pwd, FRESH.pwd)
    expected = re.sub(r"a=candidate:[24] .*\r\n", "", expected)
    expected = expected.replace("192.0.2.1 ", "192.0.2.99 ").replace("candidate:3 ", "candidate:2 ")
    assert restarted.answer == expected


def test_one_restart_after_the_other(record: Recorded) -> None:
    first = restart(agreed(record), renewed(record.offer.sdp, 1), FRESH)
    second = restart(first.agreement, renewed(record.offer.sdp, 2), AGAIN)
    assert second.ice == IcePlan(AGAIN.ufrag, AGAIN.pwd, "other2")
    assert "o=- 42 3 " in second.answer


def test_asked_again_it_has_the_same_answer_and_the_engine_has_nothing_to_do(record: Recorded) -> None:
    first = restart(agreed(record), renewed(record.offer.sdp), FRESH)
    # The client has found candidates since.
    again = re.sub(
        r"(m=.*\r\n)", "\\1a=candidate:1 1 udp 1 192.0.2.7 5 typ host\r\n", renewed(record.offer.sdp)
    )
    repeated = restart(first.agreement, again, AGAIN)
    assert (repeated.answer, repeated.ice, repeated.agreement) == (first.answer, None, first.agreement)


def test_it_is_pure(record: Recorded) -> None:
    agreement = agreed(record)
    text = renewed(record.offer.sdp)
    assert restart(agreement, text, FRESH) == restart(agreement, text, FRESH)


PLAIN, HOME = recorded_named("chromium-plain"), recorded_named("chromium-home")
EVERY = recorded_named("chromium-every-codec")


def _with(old: str, new: str, *, count: int = 0) -> Callable[[str], str]:
    return lambda text: re.sub(old, new, text, count=count)


EDITS: dict[str, tuple[Recorded, Callable[[str], str], str]] = {
    "no SDP": (PLAIN, lambda text: "", "v=0"),
    "one m-line less": (PLAIN, lambda text: text.split("m=audio")[0], "number of m-lines"),
    "one m-line more": (
        PLAIN,
        lambda text: text + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n",
        "number of m-lines",
    ),
    "another mid": (HOME, lambda t: t.replace("a=mid:3", "a=mid:x").replace(" 3 ", " x ", 1), "BUNDLE"),
    "mids exchanged": (PLAIN, lambda t: re.sub("a=mid:([01])", lambda m: f"a=mid:{1 - int(m[1])}", t), "mid"),
    "m-lines exchanged": (
        PLAIN,
        lambda t: "".join(re.split("(?m)^(?=m=)", t)[at] for at in (0, 2, 1)),
        "another kind",
    ),
    "no BUNDLE": (PLAIN, _with("a=group.*\r\n", ""), "BUNDLE"),
    "a smaller BUNDLE": (PLAIN, _with("BUNDLE 0 1", "BUNDLE 0"), "BUNDLE"),
    "another direction": (PLAIN, _with("a=sendonly", "a=inactive", count=1), "direction"),
    "both directions": (HOME, _with("a=recvonly", "a=sendrecv", count=1), "direction"),
    "switched off": (PLAIN, _with("m=video 9", "m=video 0"), "switched off"),
    "no rtcp-mux": (PLAIN, _with("a=rtcp-mux\r\n", "", count=1), "rtcp_mux"),
    "no DTLS": (PLAIN, _with("UDP/TLS/RTP/SAVPF", "RTP/AVP", count=1), "profile"),
    "another payload type": (PLAIN, _with(r"\b96\b", "100"), "payload type 96"),
    "another codec": (PLAIN, _with("VP8", "VP9"), "payload type 96"),
    "a codec that is not listed": (PLAIN, _with("SAVPF 96 97", "SAVPF 97"), "payload type 96"),
    "RTX of another": (PLAIN, _with("apt=96", "apt=111"), "payload type 97"),
    "no RTX": (PLAIN, _with("a=rtpmap:97 .*\r\na=fmtp:97 .*\r\n", ""), "payload type 97"),
    "another H.264 profile": (EVERY, _with("42e01f", "640c1f"), "payload type 108"),
    "another packetization mode": (
        EVERY,
        _with("(fmtp:108 .*)packetization-mode=1", r"\1packetization-mode=0"),
        "payload type 108",
    ),
    "another extension id": (PLAIN, _with("a=extmap:9 ", "a=extmap:13 "), "header extensions"),
    "another SSRC": (
        PLAIN,
        lambda t: t.replace(str(sdp.parse(t).media[0].ssrcs[0]), "7"),
        "another SSRC",
    ),
    "another certificate": (PLAIN, _with("sha-256 ..:", "sha-256 00:"), "certificate"),
    "one more certificate": (
        PLAIN,
        _with("(a=fingerprint:sha-256 )(..)(.*\r\n)", r"\1\2\3\g<1>00\3"),
        "certificate",
    ),
    "no certificate": (PLAIN, _with("a=fingerprint.*\r\n", ""), "fingerprint"),
    "malformed credentials": (PLAIN, _with("a=ice-pwd:other1", "a=ice-pwd:other:"), "malformed"),
    "no credentials": (PLAIN, _with("a=ice-pwd.*\r\n", ""), "no ICE credentials"),
    "ICE-lite": (PLAIN, _with("a=extmap-allow-mixed", "a=ice-lite"), "ICE-lite"),
    "setup passive": (PLAIN, _with("actpass", "passive"), "passive"),
}


@pytest.mark.parametrize(("record", "edit", "reason"), EDITS.values(), ids=EDITS)
def test_whatever_else_changes_is_refused(record: Recorded, edit: Callable[[str], str], reason: str) -> None:
    text = renewed(record.offer.sdp)
    restart(agreed(record), text, FRESH)
    edited = edit(text)
    assert edited != text, "the edit found nothing to change"
    with pytest.raises(MediaRefusedError, match=reason) as refused:
        restart(agreed(record), edited, FRESH)
    assert refused.value.code == "sdp-invalid"


@pytest.mark.parametrize("name", ["ice-ufrag", "ice-pwd"])
def test_both_credentials_must_be_new(name: str) -> None:
    """RFC 8445 section 9; and the offer of the join, asked again, is no restart."""
    kept = re.findall(rf"a={name}:\S+", PLAIN.offer.sdp)[0]
    half = re.sub(rf"a={name}:\S+", kept, renewed(PLAIN.offer.sdp))
    for text in (half, PLAIN.offer.sdp):
        with pytest.raises(MediaRefusedError, match="no new ICE credentials"):
            restart(agreed(PLAIN), text, FRESH)


def test_what_may_change() -> None:
    """Ports and addresses of the candidates found, feedback and codecs that were not taken, the cname."""
    text = renewed(EVERY.offer.sdp).replace("m=video 9 ", "m=video 40123 ", 1)
    text = text.replace("a=rtcp-fb:96 goog-remb\r\n", "").replace("ulpfec/", "flexfec-03/")
    text = text.replace("cname:", "cname:x").replace("42e01f", "42e034")
    assert restart(agreed(EVERY), text, FRESH).ice is not None


def test_a_camera_that_named_no_ssrc_may_name_one() -> None:
    """Chromium names none while it offers rids, and one when no simulcast came of it."""
    camera = "a=mid:0\r\n"
    text = renewed(HOME.offer.sdp).replace(camera, f"{camera}a=ssrc:7 cname:x\r\n", 1)
    assert not sdp.parse(HOME.offer.sdp).media[0].ssrcs
    assert restart(agreed(HOME), text, FRESH).ice is not None


def test_a_refused_m_line_keeps_its_place_alone() -> None:
    channel = (
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:AAAA\r\n"
        "a=mid:data\r\na=sctp-port:5000\r\n"
    )
    offer = replace(PLAIN.offer, sdp=PLAIN.offer.sdp.replace("BUNDLE 0 1", "BUNDLE 0 1 data") + channel)
    agreement = negotiate(offer, PLAIN.grant, LOCAL).agreement
    off = offer.sdp.replace("BUNDLE 0 1 data", "BUNDLE 0 1").replace("application 9", "application 0")
    for text in (offer.sdp, off):
        assert restart(agreement, renewed(text), FRESH).ice is not None
    with pytest.raises(MediaRefusedError, match="a refused one"):
        restart(agreement, renewed(off).replace("m=application", "m=message"), FRESH)
