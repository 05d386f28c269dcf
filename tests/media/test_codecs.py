"""Which codecs are taken of an m-line: H.264, VP9, AV1 by profile, RTX by its ``apt``, RED by its blocks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.ports import MediaRefusedError
from media import sdp
from media.codecs import choose, decodes_constrained_baseline, is_constrained_baseline
from media.negotiation import negotiate
from media.plan import CodecPlan
from tests.media.support import LOCAL, recorded_named

VP8 = "a=rtpmap:96 VP8/90000", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96"
FEEDBACK = "a=rtcp-fb:* nack", "a=rtcp-fb:* nack pli"


def h264(number: int, parameters: str) -> tuple[str, ...]:
    return f"a=rtpmap:{number} H264/90000", f"a=fmtp:{number} {parameters}"


def line(*lines: str, media: str = "video") -> sdp.SdpMedia:
    """An m-line with these attributes, whose formats are all of its rtpmaps."""
    numbers = [each.split()[0].removeprefix("a=rtpmap:") for each in lines if each.startswith("a=rtpmap:")]
    text = "\r\n".join(["v=0", f"m={media} 9 UDP/TLS/RTP/SAVPF {' '.join(numbers)}", *lines, ""])
    return sdp.parse(text).media[0]


CB_31 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"


@pytest.mark.parametrize(
    ("profile_level_id", "constrained", "decoded"),
    [
        # RFC 6184 section 8.1, table 5.
        ("42e01f", True, True),
        ("42C01F", True, True),
        ("42401f", True, True),
        ("4d801f", True, True),
        ("58c01f", True, True),
        ("42001f", False, True),
        ("42801f", False, True),
        ("58801f", False, True),
        ("4d001f", False, False),
        ("4d401f", False, False),
        ("640c1f", False, False),
        ("64001f", False, False),
        ("f4001f", False, False),
        ("580c1f", False, False),
        ("42e11f", False, False),
    ],
)
def test_profiles(profile_level_id: str, constrained: bool, decoded: bool) -> None:
    assert is_constrained_baseline(profile_level_id) == constrained
    assert decodes_constrained_baseline(profile_level_id) == decoded


def test_vp8_comes_first_wherever_it_is_offered() -> None:
    both = line(*h264(102, CB_31), *VP8, *FEEDBACK)
    assert [chosen.plan.name for chosen in choose(both, sending=False)] == ["vp8"]
    assert [chosen.plan.name for chosen in choose(both, sending=True)] == ["vp8", "h264"]


def test_h264_alone_is_taken_and_answered_with_its_profile() -> None:
    offered = line(
        *h264(98, CB_31.replace("mode=1", "mode=0")),
        *h264(99, "packetization-mode=1;profile-level-id=64001f"),
        *h264(102, CB_31 + ";sprop-parameter-sets=Z0LAHtkA,aMuMsg=="),
        *("a=rtpmap:103 rtx/90000", "a=fmtp:103 apt=102"),
        *FEEDBACK,
    )
    for sending in (False, True):
        (chosen,) = choose(offered, sending=sending)
        assert chosen.plan == CodecPlan("h264", 102, 90000, rtx_payload_type=103, nack=True)
        codec, rtx = chosen.described
        assert codec.parameters == {
            "level-asymmetry-allowed": "1",
            "packetization-mode": "1",
            "profile-level-id": "42e01f",
        }
        assert (rtx.name, rtx.parameters) == ("rtx", {"apt": "102"})


@pytest.mark.parametrize(
    "parameters",
    [
        "profile-level-id=42e01f",
        "packetization-mode=0;profile-level-id=42e01f",
        "packetization-mode=2;profile-level-id=42e01f",
        "packetization-mode=1",
        "packetization-mode=1;profile-level-id=42e0",
        "packetization-mode=1;profile-level-id=42e01g",
        "packetization-mode=1;profile-level-id=",
        "packetization-mode=1;profile-level-id=4d001f",
        "packetization-mode=1;profile-level-id=640c1f",
    ],
)
def test_other_h264_is_not_taken(parameters: str) -> None:
    offered = line(*h264(102, parameters))
    assert choose(offered, sending=False) == choose(offered, sending=True) == ()


def test_a_receiver_of_baseline_takes_what_we_send_and_a_sender_of_it_may_send_more() -> None:
    baseline = h264(102, "packetization-mode=1;profile-level-id=42001f")
    constrained = h264(108, "packetization-mode=1;profile-level-id=42e01f")
    assert [chosen.plan.payload_type for chosen in choose(line(*baseline), sending=True)] == [102]
    assert choose(line(*baseline), sending=False) == ()
    for sending in (False, True):
        (chosen,) = choose(line(*baseline, *constrained), sending=sending)
        assert chosen.plan.payload_type == 108


@pytest.mark.parametrize(
    ("offered", "asymmetry", "sending", "answered"),
    [
        # What a source sends is played to everyone: level 3.1 at most.
        ("42e034", False, False, "42e01f"),
        ("42e034", True, False, "42e01f"),
        ("42e014", True, False, "42e01f"),
        ("42e014", False, False, "42e014"),
        # A receiver of less can't be sent what a source may send.
        ("42e034", False, True, "42e01f"),
        ("42e014", False, True, None),
        ("42e014", True, True, None),
    ],
)
def test_levels(offered: str, asymmetry: bool, sending: bool, answered: str | None) -> None:
    allowed = "level-asymmetry-allowed=1;" if asymmetry else ""
    found = choose(
        line(*h264(102, f"{allowed}packetization-mode=1;profile-level-id={offered}")), sending=sending
    )
    said = [chosen.described[0].parameters["profile-level-id"] for chosen in found]
    assert said == ([] if answered is None else [answered])
    assert all(("level-asymmetry-allowed" in chosen.described[0].parameters) == asymmetry for chosen in found)


@pytest.mark.parametrize(
    "lines",
    [
        ("a=rtpmap:97 rtx/90000",),
        ("a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=98"),
        ("a=rtpmap:97 rtx/48000", "a=fmtp:97 apt=96"),
        ("a=rtpmap:70 rtx/90000", "a=fmtp:70 apt=96"),
        ("a=rtpmap:97 rtx/90000", "a=fmtp:97 rtx-time=96"),
        (),
    ],
)
def test_without_fitting_retransmissions_there_is_no_nack(lines: tuple[str, ...]) -> None:
    (chosen,) = choose(line("a=rtpmap:96 VP8/90000", *lines, *FEEDBACK), sending=True)
    assert chosen.plan == CodecPlan("vp8", 96, 90000)
    (codec,) = chosen.described
    assert codec.feedback == {"nack pli"}


def test_retransmissions_without_nack_in_the_offer() -> None:
    (chosen,) = choose(line(*VP8, "a=rtcp-fb:96 nack pli"), sending=True)
    assert chosen.plan == CodecPlan("vp8", 96, 90000, rtx_payload_type=97, nack=False)


@pytest.mark.parametrize("nack", [False, True])
def test_opus_has_nack_where_the_offer_has_it(nack: bool) -> None:
    feedback = ("a=rtcp-fb:111 transport-cc", *(["a=rtcp-fb:111 nack"] if nack else []))
    offered = line("a=rtpmap:111 opus/48000/2", *feedback, "a=fmtp:111 useinbandfec=1", media="audio")
    for sending in (False, True):
        (chosen,) = choose(offered, sending=sending)
        assert chosen.plan == CodecPlan("opus", 111, 48000, nack=nack)
        assert chosen.described[0].feedback == ({"nack"} if nack else frozenset())


def test_a_slot_plays_either_codec_and_has_one_ssrc_for_the_retransmissions_of_both() -> None:
    record = recorded_named("chromium-every-codec")
    negotiated = negotiate(record.offer, record.grant, LOCAL)
    (slot,) = negotiated.plan.slots
    assert slot.picture is not None
    assert slot.picture.codecs == (
        CodecPlan("vp8", 96, 90000, rtx_payload_type=97, nack=True),
        CodecPlan("h264", 108, 90000, rtx_payload_type=109, nack=True),
        CodecPlan("vp9", 98, 90000, rtx_payload_type=99, nack=True),
        CodecPlan("av1", 45, 90000, rtx_payload_type=46, nack=True),
    )
    assert (slot.picture.ssrc, slot.picture.rtx_ssrc, slot.voice.ssrc) == (1000, 1001, 1002)
    assert (slot.voice.rtx_ssrc, slot.voice.codecs) == (None, (CodecPlan("opus", 111, 48000),))
    (camera, _) = negotiated.plan.sources
    assert camera.codec == CodecPlan("vp8", 96, 90000, rtx_payload_type=97, nack=True)
    assert "m=video 9 UDP/TLS/RTP/SAVPF 96 97 108 109 98 99 45 46\r\n" in negotiated.answer
    assert "a=fmtp:98 profile-id=0\r\n" in negotiated.answer
    assert "a=rtpmap:45 AV1/90000\r\n" in negotiated.answer
    assert "a=fmtp:45 profile=0;level-idx=5;tier=0\r\n" in negotiated.answer
    assert "a=fmtp:109 apt=108\r\n" in negotiated.answer
    assert "a=rtpmap:108 H264/90000\r\n" in negotiated.answer


@pytest.mark.parametrize(
    ("name", "parameters", "taken"),
    [
        ("VP9", "", True),
        ("VP9", "profile-id=0", True),
        ("VP9", "profile-id=2", False),
        ("VP9", "profile-id=", False),
        ("VP9", "max-fs=12288;max-fr=60", True),
        ("AV1", "", True),
        ("AV1", "level-idx=5;profile=0;tier=0", True),
        ("AV1", "level-idx=5;profile=1;tier=0", False),
    ],
)
def test_vp9_and_av1_are_taken_in_profile_0(name: str, parameters: str, taken: bool) -> None:
    fmtp = [f"a=fmtp:45 {parameters}"] if parameters else []
    offered = line(f"a=rtpmap:45 {name}/90000", *fmtp, *FEEDBACK)
    for sending in (False, True):
        assert [chosen.plan.name for chosen in choose(offered, sending=sending)] == [name.lower()] * taken


def test_of_several_profiles_the_one_that_all_decoders_have() -> None:
    vp9 = (
        "a=rtpmap:100 VP9/90000",
        "a=fmtp:100 profile-id=2",
        "a=rtpmap:98 VP9/90000",
        "a=fmtp:98 profile-id=0",
    )
    (chosen,) = choose(line(*vp9), sending=True)
    assert (chosen.plan.payload_type, chosen.described[0].parameters) == (98, {"profile-id": "0"})


OPUS = "a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1"


@pytest.mark.parametrize(
    ("lines", "red"),
    [
        (("a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111"), 63),
        (("a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111/111"), 63),
        (("a=rtpmap:63 red/48000/2",), None),
        (("a=rtpmap:63 red/48000/2", "a=fmtp:63 111/0"), None),
        (("a=rtpmap:63 red/48000/2", "a=fmtp:63 110/110"), None),
        (("a=rtpmap:63 red/8000", "a=fmtp:63 111/111"), None),
        (("a=rtpmap:70 red/48000/2", "a=fmtp:70 111/111"), None),
    ],
)
def test_redundancy_is_for_slots_and_of_opus_alone(lines: tuple[str, ...], red: int | None) -> None:
    offered = line(*OPUS, *lines, media="audio")
    (slot,) = choose(offered, sending=True)
    assert slot.red_payload_type == red
    assert [codec.name for codec in slot.described] == ["opus"] + ["red"] * (red is not None)
    (source,) = choose(offered, sending=False)
    assert source.red_payload_type is None
    assert [codec.name for codec in source.described] == ["opus"]


def test_a_source_that_would_rather_send_redundancy_may() -> None:
    offered = line("a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111", *OPUS, media="audio")
    (source,) = choose(offered, sending=False)
    assert (source.plan.payload_type, source.red_payload_type) == (111, 63)
    assert [codec.name for codec in source.described] == ["red", "opus"], "it sends what comes first"
    (slot,) = choose(offered, sending=True)
    assert [codec.name for codec in slot.described] == ["opus", "red"]


def test_redundancy_alone_is_nothing() -> None:
    assert choose(line("a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111", media="audio"), sending=True) == ()


def test_speech_may_pause_and_nothing_else() -> None:
    offered = line(*OPUS, media="audio")
    (speech,) = choose(offered, sending=False, pauses=True)
    assert speech.described[0].parameters == {"minptime": "10", "useinbandfec": "1", "usedtx": "1"}
    for sending in (False, True):
        (other,) = choose(offered, sending=sending)
        assert "usedtx" not in other.described[0].parameters


def test_a_payload_type_means_one_profile_in_the_bundle() -> None:
    """The camera's 108 is one profile, the slot's another; with the level alone apart it would do."""
    record = recorded_named("chromium-every-codec")
    camera, slot = record.with_sdp(lambda text: text.replace("VP8/", "VP7/")).sdp.split("a=mid:2")
    level = replace(record.offer, sdp=f"{camera}a=mid:2{slot.replace('42e01f', '42e028')}")
    plan = negotiate(level, record.grant, LOCAL).plan
    assert [source.codec.name for source in plan.sources] == ["h264", "opus"]
    profile = replace(record.offer, sdp=f"{camera}a=mid:2{slot.replace('42e01f', '42c01f')}")
    with pytest.raises(MediaRefusedError, match="payload type with two meanings"):
        negotiate(profile, record.grant, LOCAL)


def test_a_payload_type_repeats_one_codec_in_the_bundle() -> None:
    """97 repeats VP8 on the camera's line and H.264 on the slot's."""
    record = recorded_named("chromium-every-codec")
    camera, slot = record.offer.sdp.split("a=mid:2")
    slot = slot.replace("VP8/", "VP7/").replace("a=fmtp:97 apt=96", "a=fmtp:97 apt=108")
    slot = slot.replace("a=fmtp:109 apt=108", "a=fmtp:109 apt=96")
    with pytest.raises(MediaRefusedError, match="payload type with two meanings"):
        negotiate(replace(record.offer, sdp=f"{camera}a=mid:2{slot}"), record.grant, LOCAL)
