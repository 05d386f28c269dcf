"""Negotiation against offers recorded from real browsers: the answer, and the plan for the engine."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from bridge.values import GRANTS, LayerLevel, Offer, OfferedSource, Role, SourceKind
from media import sdp
from media.negotiation import (
    DEPENDENCY_URI,
    LEVEL_URI,
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    SEND_TIME_URI,
    negotiate,
)
from media.plan import CodecPlan, LayerPlan, SlotHalfPlan, SourcePlan
from tests.media.support import LOCAL, OFFERS, Recorded, recorded, recorded_named


@pytest.fixture(params=OFFERS, ids=lambda path: path.stem)
def record(request: pytest.FixtureRequest) -> Recorded:
    return recorded(request.param)


def _sections(text: str) -> list[str]:
    return re.split(r"(?m)^(?=m=)", text)


def test_there_are_offers_of_every_kind_of_endpoint() -> None:
    assert {path.stem for path in OFFERS} >= {
        f"{browser}-{name}"
        for browser in ("chromium", "firefox")
        for name in ("kiosk", "school", "home", "plain", "every-codec")
    }


def test_answer_has_the_m_lines_of_the_offer_in_its_order(record: Recorded) -> None:
    offered = sdp.parse(record.offer.sdp)
    answered = sdp.parse(negotiate(record.offer, record.grant, LOCAL).answer)
    assert [(line.kind, line.mid) for line in answered.media] == [
        (line.kind, line.mid) for line in offered.media
    ]
    assert answered.bundle == offered.bundle
    assert answered.ice_lite


def test_directions_sources_are_received_and_slots_sent(record: Recorded) -> None:
    answered = sdp.parse(negotiate(record.offer, record.grant, LOCAL).answer)
    directions = {line.mid: line.direction for line in answered.media}
    for source in record.offer.sources:
        assert directions.pop(source.mid) == "recvonly"
    for slot in record.offer.slots:
        for mid in (slot.picture, slot.voice):
            assert mid is None or directions.pop(mid) == "sendonly"
    assert not directions


def test_each_slot_half_has_its_own_ssrc_and_the_msid_of_its_slot(record: Recorded) -> None:
    negotiated = negotiate(record.offer, record.grant, LOCAL)
    lines = {line.mid: line for line in sdp.parse(negotiated.answer).media}
    sections = {
        line.mid: text for line, text in zip(lines.values(), _sections(negotiated.answer)[1:], strict=True)
    }
    seen: list[int] = []
    assert [slot.index for slot in negotiated.plan.slots] == sorted(slot.index for slot in record.offer.slots)
    for slot in negotiated.plan.slots:
        for half, name in ((slot.picture, "picture"), (slot.voice, "voice")):
            if half is None:
                continue
            seen.append(half.ssrc)
            assert lines[half.mid].ssrcs == (half.ssrc,)
            msid = f"slot-{slot.index} slot-{slot.index}-{name}"
            assert f"a=msid:{msid}\r\n" in sections[half.mid]
            assert f"a=ssrc:{half.ssrc} cname:luokkasilta\r\n" in sections[half.mid]
            assert f"a=ssrc:{half.ssrc} msid:{msid}\r\n" in sections[half.mid]
    offered = [ssrc for line in sdp.parse(record.offer.sdp).media for ssrc in line.ssrcs]
    assert len(set(seen + offered)) == len(seen) + len(offered)


def test_codecs_are_those_of_the_engine_with_what_it_knows(record: Recorded) -> None:
    offered = {line.mid: line for line in sdp.parse(record.offer.sdp).media}
    mics = {source.mid for source in record.offer.sources if source.kind is SourceKind.MIC}
    for line in sdp.parse(negotiate(record.offer, record.grant, LOCAL).answer).media:
        assert line.formats == tuple(str(codec.payload_type) for codec in line.codecs)
        for codec in line.codecs:
            (like,) = [each for each in offered[line.mid].codecs if each.payload_type == codec.payload_type]
            assert (like.name, like.clock_rate, like.channels) == (
                codec.name,
                codec.clock_rate,
                codec.channels,
            )
            if codec.name in {"vp8", "h264", "vp9", "av1"}:
                assert codec.feedback == {"ccm fir", "nack pli", "goog-remb", "nack"}
                assert [each.parameters["apt"] for each in line.codecs if each.name == "rtx"].count(
                    str(codec.payload_type)
                ) == 1
            elif codec.name == "opus":
                assert codec.feedback == frozenset()
                assert codec.parameters["useinbandfec"] == "1"
                said = dict(codec.parameters)
                assert said.pop("usedtx", None) == ("1" if line.mid in mics else None)
                assert said.items() <= like.parameters.items()
                assert said.keys() <= {"minptime", "useinbandfec"}
            elif codec.name == "red":
                assert line.direction == "sendonly"
                assert codec.parameters == like.parameters == {"111/111": None}
            else:
                assert codec.name == "rtx"
                assert codec.parameters == {"apt": like.parameters["apt"]}
                assert codec.feedback == frozenset()
        known = {MID_URI, SEND_TIME_URI}
        if line.kind == "audio":
            known.add(LEVEL_URI)
        elif line.direction == "recvonly":
            known |= {RID_URI, REPAIRED_RID_URI}
        if any(codec.name == "av1" for codec in line.codecs):
            known.add(DEPENDENCY_URI)
        uris = {extension.uri for extension in line.extensions}
        assert MID_URI in uris
        # Firefox takes dependency descriptors from nobody.
        useful = {"sendrecv", "sendonly" if line.direction == "recvonly" else "recvonly"}
        assert uris == known & {
            extension.uri for extension in offered[line.mid].extensions if extension.direction in useful
        }
        assert not line.send_rids
        assert not line.simulcast


def test_a_source_has_one_codec_and_a_slot_all_that_a_source_may_have(record: Recorded) -> None:
    offered = {line.mid: line for line in sdp.parse(record.offer.sdp).media}
    negotiated = negotiate(record.offer, record.grant, LOCAL)
    answered = {line.mid: line for line in sdp.parse(negotiated.answer).media}

    def names(mid: str) -> list[str]:
        return [codec.name for codec in answered[mid].codecs]

    for source in negotiated.plan.sources:
        assert names(source.mid) == (["vp8", "rtx"] if source.kind.is_picture else ["opus"])
        assert source.codec.nack == source.kind.is_picture
    for slot in negotiated.plan.slots:
        red = any(codec.name == "red" for codec in offered[slot.voice.mid].codecs)
        assert names(slot.voice.mid) == ["opus"] + ["red"] * red
        assert slot.voice.red_payload_type == (63 if red else None)
        if slot.picture is not None:
            h264 = any(
                codec.name == "h264" and codec.parameters["profile-level-id"] == "42e01f"
                for codec in offered[slot.picture.mid].codecs
            )
            offers = {codec.name for codec in offered[slot.picture.mid].codecs}
            expected = ["vp8", *["h264"] * h264, *(name for name in ("vp9", "av1") if name in offers)]
            assert names(slot.picture.mid) == [each for name in expected for each in (name, "rtx")]
            assert [codec.name for codec in slot.picture.codecs] == expected


def test_slots_announce_the_ssrc_of_their_retransmissions(record: Recorded) -> None:
    negotiated = negotiate(record.offer, record.grant, LOCAL)
    answered = {line.mid: line for line in sdp.parse(negotiated.answer).media}
    ours: list[int] = []
    for slot in negotiated.plan.slots:
        for half in slot.halves:
            repaired = half.codec.media == "video"
            assert (half.rtx_ssrc is not None) == repaired
            assert answered[half.mid].repairs == ({half.ssrc: half.rtx_ssrc} if repaired else {})
            ours += [half.ssrc] if half.rtx_ssrc is None else [half.ssrc, half.rtx_ssrc]
            if half.rtx_ssrc is not None:
                msid = f"slot-{slot.index} slot-{slot.index}-picture"
                assert f"a=ssrc:{half.rtx_ssrc} cname:luokkasilta\r\n" in negotiated.answer
                assert f"a=ssrc:{half.rtx_ssrc} msid:{msid}\r\n" in negotiated.answer
    offered = sdp.parse(record.offer.sdp).media
    theirs = {ssrc for line in offered for ssrc in (*line.ssrcs, *line.repairs.values())}
    assert len({*ours, *theirs}) == len(ours) + len(theirs)


def test_extension_ids_are_those_of_the_offer(record: Recorded) -> None:
    offered = {line.mid: line for line in sdp.parse(record.offer.sdp).media}
    plan = negotiate(record.offer, record.grant, LOCAL).plan
    planned: list[SourcePlan | SlotHalfPlan] = [*plan.sources]
    planned += [half for slot in plan.slots for half in slot.halves]
    for each in planned:
        ids = {extension.uri: extension.id for extension in offered[each.mid].extensions}
        assert each.extensions.mid == ids[MID_URI]
        # Firefox has abs-send-time on its pictures alone.
        assert each.extensions.send_time == ids.get(SEND_TIME_URI)
        assert each.codec.media == "audio" or each.extensions.send_time is not None
        assert each.extensions.level == (ids[LEVEL_URI] if each.codec.media == "audio" else None)
        # No layer has a rid, so no packet is told by one.
        assert each.extensions.rid is None
        assert each.extensions.repaired_rid is None


def test_one_transport_for_all(record: Recorded) -> None:
    lines = sdp.parse(record.offer.sdp).media
    negotiated = negotiate(record.offer, record.grant, LOCAL)
    assert negotiated.plan.ice.remote_ufrag == lines[0].ice_ufrag
    assert (negotiated.plan.ice.local_ufrag, negotiated.plan.ice.local_pwd) == (
        LOCAL.ice_ufrag,
        LOCAL.ice_pwd,
    )
    assert negotiated.plan.dtls.remote_fingerprints == lines[0].fingerprints
    for line, offered in zip(sdp.parse(negotiated.answer).media, lines, strict=True):
        assert (line.ice_ufrag, line.ice_pwd) == (LOCAL.ice_ufrag, LOCAL.ice_pwd)
        assert line.fingerprints == LOCAL.fingerprints
        assert line.dtls_role == "server"
        assert line.rtcp_mux
        assert line.rtcp_rsize == offered.rtcp_rsize
        assert line.port == 9
    for section in _sections(negotiated.answer)[1:]:
        assert "a=candidate:1 1 udp 2130706431 192.0.2.1 10000 typ host\r\n" in section
        assert "a=candidate:2 1 udp 2130706175 2001:db8::1 10000 typ host\r\n" in section
        assert "a=candidate:3 1 tcp 1520435199 192.0.2.1 10000 typ host tcptype passive\r\n" in section
        assert "a=candidate:4 1 tcp 1520434943 2001:db8::1 10000 typ host tcptype passive\r\n" in section
        assert section.count("a=candidate:") == 4
        assert "a=end-of-candidates\r\n" in section


def test_mixed_header_extensions_are_answered_where_they_are_offered() -> None:
    record = recorded_named("chromium-every-codec")
    answered = sdp.parse(negotiate(record.offer, record.grant, LOCAL).answer)
    assert answered.extmap_allow_mixed
    without = record.with_sdp(lambda text: text.replace("a=extmap-allow-mixed\r\n", ""))
    negotiated = negotiate(without, record.grant, LOCAL)
    assert "extmap-allow-mixed" not in negotiated.answer
    # A dependency descriptor needs the two-byte form.
    assert "dependency-descriptor" not in negotiated.answer
    (slot,) = negotiated.plan.slots
    assert slot.picture is not None
    assert slot.picture.extensions.dependency is None
    assert "av1" in [codec.name for codec in slot.picture.codecs]

    on_one = without.sdp.replace("a=mid:2\r\n", "a=mid:2\r\na=extmap-allow-mixed\r\n")
    negotiated = negotiate(replace(without, sdp=on_one), record.grant, LOCAL)
    lines = sdp.parse(negotiated.answer)
    assert not lines.extmap_allow_mixed
    assert [line.mid for line in lines.media if line.extmap_allow_mixed] == ["2"]
    (slot,) = negotiated.plan.slots
    assert slot.picture is not None
    assert slot.picture.extensions.dependency == 13


@pytest.mark.parametrize(("codec", "dependency"), [("VP8", None), ("VP9", None), ("AV1", 13)])
def test_dependency_descriptors_are_for_av1(codec: str, dependency: int | None) -> None:
    """The engine continues the numbers in the payload of VP8 and VP9, not those of a descriptor beside."""
    record = recorded_named("chromium-every-codec")

    def only(text: str) -> str:
        head, camera, *rest = _sections(text)
        for other in {"VP8", "VP9", "AV1", "H264"} - {codec}:
            camera = camera.replace(f" {other}/", " H265/")
        return "".join([head, camera, *rest])

    edited = record.offer if codec == "VP8" else record.with_sdp(only)
    camera = negotiate(edited, record.grant, LOCAL).plan.sources[0]
    assert (camera.codec.name, camera.extensions.dependency) == (codec.lower(), dependency)


def test_negotiation_is_pure(record: Recorded) -> None:
    assert negotiate(record.offer, record.grant, LOCAL) == negotiate(record.offer, record.grant, LOCAL)


def test_kiosk_plan() -> None:
    record = recorded_named("chromium-kiosk")
    plan = negotiate(record.offer, record.grant, LOCAL).plan
    lines = {line.mid: line for line in sdp.parse(record.offer.sdp).media}
    assert [source.kind for source in plan.sources] == [
        SourceKind.CAMERA,
        SourceKind.DOCUMENT,
        SourceKind.SCREEN,
        SourceKind.MIC,
        SourceKind.CONTENT,
    ]
    camera, document, *_ = plan.sources
    assert lines[camera.mid].simulcast == ("h", "m", "l")
    # No simulcast in the answer, so one layer, and Chromium tells no SSRC for a camera with rids.
    assert camera.layers == (LayerPlan(LayerLevel.HIGH, rid=None, ssrc=None),)
    assert camera.codec == CodecPlan("vp8", 96, 90000, rtx_payload_type=97, nack=True)
    # The first of the FID pair, not the retransmissions.
    group = re.search(r"a=ssrc-group:FID (\d+) (\d+)", _sections(record.offer.sdp)[2])
    assert group is not None
    assert document.layers == (LayerPlan(LayerLevel.HIGH, None, int(group[1]), int(group[2])),)
    assert [slot.picture is not None for slot in plan.slots] == [True] * 12 + [False] * 2
    assert plan.receive_bitrate == 3 * 2_500_000 + 2 * 64_000


def test_firefox_camera_is_known_by_its_first_ssrc() -> None:
    """Firefox tells the SSRCs of all its layers; without simulcast answered it sends the first of them."""
    record = recorded_named("firefox-kiosk")
    camera = negotiate(record.offer, record.grant, LOCAL).plan.sources[0]
    first = re.search(r"a=ssrc:(\d+)", record.offer.sdp)
    group = re.search(r"a=ssrc-group:FID (\d+) (\d+)", record.offer.sdp)
    assert first is not None
    assert group is not None
    assert first[1] == group[1]
    assert camera.layers == (LayerPlan(LayerLevel.HIGH, None, int(group[1]), int(group[2])),)


def test_ssrcs_step_over_those_of_the_offer() -> None:
    record = recorded_named("chromium-kiosk")
    repairs = {ssrc for line in sdp.parse(record.offer.sdp).media for ssrc in line.repairs.values()}
    taken = repairs | {ssrc for line in sdp.parse(record.offer.sdp).media for ssrc in line.ssrcs}
    for base in (min(taken), min(repairs)):
        plan = negotiate(record.offer, record.grant, replace(LOCAL, ssrc_base=base)).plan
        assert min(half.ssrc for slot in plan.slots for half in slot.halves) == base + 1
    wrapped = negotiate(record.offer, record.grant, replace(LOCAL, ssrc_base=(1 << 32) - 1)).plan
    picture, voice = wrapped.slots[0].halves
    assert (picture.ssrc, picture.rtx_ssrc, voice.ssrc) == ((1 << 32) - 1, 1, 2)


def test_an_m_line_that_nobody_named_stays_inactive() -> None:
    record = recorded_named("chromium-home")
    offer = replace(record.offer, sources=record.offer.sources[:1])
    answered = sdp.parse(negotiate(offer, record.grant, LOCAL).answer)
    unnamed = record.offer.sources[1].mid
    line = next(line for line in answered.media if line.mid == unnamed)
    assert (line.direction, line.port, len(line.codecs)) == ("inactive", 9, 1)
    assert answered.bundle is not None
    assert unnamed in answered.bundle


def test_a_data_channel_is_refused_and_leaves_the_bundle() -> None:
    record = recorded_named("chromium-plain")
    channel = (
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:AAAA\r\n"
        "a=mid:data\r\na=sctp-port:5000\r\n"
    )
    # Before the others, so that the tagged m-line is the one refused.
    text = record.offer.sdp.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE data 0 1")
    text = text.replace("m=video", channel + "m=video", 1)
    negotiated = negotiate(replace(record.offer, sdp=text), record.grant, LOCAL)
    answered = sdp.parse(negotiated.answer)
    assert "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n" in negotiated.answer
    assert answered.bundle == ("0", "1")
    assert negotiated.plan.ice.remote_ufrag == sdp.parse(record.offer.sdp).media[0].ice_ufrag


def test_firefox_directions_of_extensions() -> None:
    """An extension that the client only sends is no use in a slot; the answer turns a direction around."""
    record = recorded_named("chromium-home")
    text = re.sub(r"a=extmap:(\d+) (\S+abs-send-time)", r"a=extmap:\1/sendonly \2", record.offer.sdp)
    negotiated = negotiate(replace(record.offer, sdp=text), record.grant, LOCAL)
    assert all(source.extensions.send_time is not None for source in negotiated.plan.sources)
    assert all(half.extensions.send_time is None for slot in negotiated.plan.slots for half in slot.halves)
    for line in sdp.parse(negotiated.answer).media:
        directions = [each.direction for each in line.extensions if each.uri == SEND_TIME_URI]
        assert directions == (["recvonly"] if line.direction == "recvonly" else [])


def test_bundle_only_m_lines_have_port_0() -> None:
    record = recorded_named("firefox-home")
    offered = sdp.parse(record.offer.sdp).media
    assert sum(line.bundle_only and line.port == 0 for line in offered) > 4
    assert all(
        line.port == 9 for line in sdp.parse(negotiate(record.offer, record.grant, LOCAL).answer).media
    )


@pytest.mark.parametrize("policy", [RTCBundlePolicy.BALANCED, RTCBundlePolicy.MAX_BUNDLE])
async def test_aiortc_joins_with_the_credentials_of_its_first_m_line(policy: RTCBundlePolicy) -> None:
    client = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=policy))
    try:
        camera, mic = client.addTransceiver("video", "sendonly"), client.addTransceiver("audio", "sendonly")
        await client.setLocalDescription(await client.createOffer())
        text = client.localDescription.sdp
        assert camera.mid is not None
        assert mic.mid is not None
        offer = Offer(
            text, (OfferedSource(SourceKind.CAMERA, camera.mid), OfferedSource(SourceKind.MIC, mic.mid)), ()
        )
        negotiated = negotiate(offer, GRANTS[Role.HOME], LOCAL)
        offered = sdp.parse(text)
        assert "a=candidate:" in text
        assert negotiated.plan.ice.remote_ufrag == offered.media[0].ice_ufrag
        assert {f.algorithm for f in negotiated.plan.dtls.remote_fingerprints} >= {"sha-256"}
        await client.setRemoteDescription(RTCSessionDescription(negotiated.answer, "answer"))
        assert client.signalingState == "stable"
        assert (camera.currentDirection, mic.currentDirection) == ("sendonly", "sendonly")
    finally:
        await client.close()
