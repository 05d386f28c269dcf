"""What a client that says nothing beside its SDP is taken to mean."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ErrorCode, RefusedError
from bridge.values import OfferedSlot, SlotCounts, SourceKind
from signalling.plainoffer import LINES_MAX, playing, publishing

COUNTS = SlotCounts(5, 2)


def sdp(*lines: str, session: str = "") -> str:
    """Each of ``lines``: "video sendonly 0", a kind, a direction and a mid; "off" for port 0."""
    text = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", *filter(None, [session])]
    for line in lines:
        kind, direction, mid, *more = line.split()
        text.append(f"m={kind} {0 if 'off' in more or 'bundle-only' in more else 9} UDP/TLS/RTP/SAVPF 96")
        text += [f"a={direction}"] if direction != "-" else []
        text += [f"a=mid:{mid}"] if mid != "-" else []
        text += ["a=bundle-only"] if "bundle-only" in more else []
    return "\r\n".join(text) + "\r\n"


def kinds(text: str) -> list[tuple[SourceKind, str]]:
    offer = publishing(text)
    assert (offer.sdp, offer.slots) == (text, ())
    return [(source.kind, source.mid) for source in offer.sources]


def test_sources_go_by_kind_and_order() -> None:
    assert kinds(sdp("audio sendonly a", "video sendonly v")) == [
        (SourceKind.MIC, "a"),
        (SourceKind.CAMERA, "v"),
    ]
    every = sdp(
        "video sendonly 0", "audio sendonly 1", "video sendrecv 2", "audio sendonly 3", "video sendonly 4"
    )
    assert kinds(every) == [
        (SourceKind.CAMERA, "0"),
        (SourceKind.MIC, "1"),
        (SourceKind.SCREEN, "2"),
        (SourceKind.CONTENT, "3"),
        (SourceKind.DOCUMENT, "4"),
    ]


def test_only_lines_that_send_are_sources() -> None:
    text = sdp(
        "video recvonly 0",
        "video inactive 1",
        "video sendonly 2 off",
        "application sendrecv 3",
        "video sendonly 4 bundle-only",
        "audio - 5",
    )
    assert kinds(text) == [(SourceKind.CAMERA, "4"), (SourceKind.MIC, "5")]


def test_a_direction_of_the_session_is_that_of_lines_without_one() -> None:
    text = sdp("video - 0", "audio recvonly 1", session="a=sendonly")
    assert kinds(text) == [(SourceKind.CAMERA, "0")]
    with pytest.raises(RefusedError):
        publishing(sdp("video - 0", session="a=recvonly"))


def test_one_picture_and_one_voice_are_played() -> None:
    text = sdp("audio recvonly a", "video recvonly v", "video recvonly w", "audio recvonly b")
    offer = playing(text, COUNTS)
    assert (offer.sources, offer.slots) == ((), (OfferedSlot(0, "v", "a"),))


def test_a_voice_alone_gets_the_first_slot_without_a_picture() -> None:
    assert playing(sdp("audio recvonly a"), COUNTS).slots == (OfferedSlot(5, None, "a"),)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", ErrorCode.SDP_INVALID),
        ("m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n", ErrorCode.SDP_INVALID),
        (sdp("video sendonly 0") + "a=x\r\n" * LINES_MAX, ErrorCode.SDP_INVALID),
        (sdp(), ErrorCode.SDP_UNSUPPORTED),
        (sdp("video sendonly -"), ErrorCode.SDP_UNSUPPORTED),
        (sdp(*["video sendonly 0"] * 4), ErrorCode.SDP_UNSUPPORTED),
        (sdp(*["audio sendonly 0"] * 3), ErrorCode.SDP_UNSUPPORTED),
        (sdp("application sendonly 0"), ErrorCode.SDP_UNSUPPORTED),
    ],
)
def test_what_publishes_nothing_is_refused(text: str, code: ErrorCode) -> None:
    with pytest.raises(RefusedError) as refused:
        publishing(text)
    assert refused.value.code is code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nonsense", ErrorCode.SDP_INVALID),
        (sdp("video recvonly 0"), ErrorCode.SDP_UNSUPPORTED),
        (sdp("video recvonly 0", "audio sendrecv 1"), ErrorCode.SDP_UNSUPPORTED),
        (sdp("video recvonly 0", "audio recvonly -"), ErrorCode.SDP_UNSUPPORTED),
    ],
)
def test_what_plays_nothing_is_refused(text: str, code: ErrorCode) -> None:
    with pytest.raises(RefusedError) as refused:
        playing(text, COUNTS)
    assert refused.value.code is code


_PIECES = st.sampled_from(
    [
        "v=0",
        "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "m=audio 0 x 0",
        "m=",
        "a=sendonly",
        "a=recvonly",
        "a=mid:0",
        "a=mid:",
        "a=bundle-only",
        "a=",
        "",
    ]
)


@given(st.one_of(st.text(), st.lists(_PIECES, max_size=30).map(lambda lines: "\r\n".join(["v=0", *lines]))))
def test_any_text_is_an_offer_or_refused(text: str) -> None:
    for read in (publishing, lambda each: playing(each, COUNTS)):
        with suppress(RefusedError):
            offer = read(text)
            assert offer.sources or offer.slots
            assert all(source.mid for source in offer.sources)
