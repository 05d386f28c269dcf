"""Which codec a source that can change is sent as, while others come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.ports import CodecChanged
from bridge.values import EndpointId, LessonId, Offer, SourceKind, SourceRef
from media.common import CommonCodecs
from media.negotiation import negotiate
from media.plan import CodecName, CodecPlan, PeerPlan
from media.recording.format import RawRecording
from media.service import MediaService
from tests.media.clients import Sink
from tests.media.support import LOCAL, recorded_named

LESSON = LessonId("lesson")
TEACHER, VIEWER, NARROW = EndpointId("teacher"), EndpointId("viewer"), EndpointId("narrow")
CAMERA = SourceRef(TEACHER, SourceKind.CAMERA)
EVERY, PLAIN = recorded_named("chromium-every-codec"), recorded_named("chromium-plain")
OLD = recorded_named("chromium-home")
"""Its slots take VP8 and H.264."""


def changing() -> Offer:
    """A camera in every codec, whose client changes it."""
    sources = tuple(replace(source, changes_codec=True) for source in EVERY.offer.sources)
    return replace(EVERY.offer, sources=sources)


def codecs(*names: CodecName) -> list[CodecPlan]:
    return [CodecPlan(name, 96 + number, 90000) for number, name in enumerate(names)]


def plan_of(name: str) -> PeerPlan:
    record = recorded_named(name)
    return negotiate(record.offer, record.grant, LOCAL).plan


def test_the_first_codec_that_nobody_lacks() -> None:
    common = CommonCodecs()
    wanted = codecs("vp9", "av1", "vp8", "h264")
    assert common.best(wanted).name == "vp9"
    common.add(plan_of("chromium-every-codec"))
    assert (common.missing, common.best(wanted).name) == (frozenset(), "vp9")
    common.add(plan_of("firefox-every-codec"))
    assert (set(common.missing), common.best(wanted).name) == ({"h264"}, "vp9")
    common.add(plan_of("chromium-home"))
    assert (set(common.missing), common.best(wanted).name) == ({"h264", "vp9", "av1"}, "vp8")
    # Nobody is helped by the order alone.
    assert common.best(codecs("vp9", "h264")).name == "vp9"
    common.add(plan_of("chromium-home"))
    assert common.best(codecs("vp9", "h264")).name == "h264", "one lacks it, two the other"
    for gone in ("chromium-home", "chromium-home", "firefox-every-codec", "chromium-every-codec"):
        common.remove(plan_of(gone))
    assert (common.missing, common.best(wanted).name) == (frozenset(), "vp9")


def test_one_without_pictures_lacks_nothing() -> None:
    common = CommonCodecs()
    common.add(plan_of("chromium-plain"))
    assert common.missing == frozenset()


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[MediaService]:
    media = MediaService(["127.0.0.1:0"], recordings=tmp_path)
    await media.start()
    yield media
    await media.stop()


@pytest.fixture
def sink() -> Sink:
    return Sink()


async def _sent_and_wanted(service: MediaService) -> tuple[str, bool]:
    """As what the camera is taken, and whether the viewer's slot wants it."""
    told = (await service.statistics())["lessons"][LESSON]
    wanted = told[VIEWER]["slots"][0]["picture"]["wanted"]
    assert wanted in (None, {"endpoint": TEACHER, "kind": "camera"})
    return told[TEACHER]["sources"]["camera"]["codec"], wanted is not None


async def test_a_source_changes_with_who_is_there_and_plays_on(service: MediaService, sink: Sink) -> None:
    lesson = service.open(LESSON, sink)
    admission = lesson.admit(TEACHER, changing(), EVERY.grant)
    assert admission.codecs == {SourceKind.CAMERA: "vp9"}
    assert lesson.admit(VIEWER, EVERY.offer, EVERY.grant).codecs == {}
    lesson.route(VIEWER, 0, CAMERA, None)
    assert await _sent_and_wanted(service) == ("vp9", True)

    lesson.admit(NARROW, OLD.offer, OLD.grant)
    assert sink.events == [CodecChanged(CAMERA, "vp8")]
    assert await _sent_and_wanted(service) == ("vp8", True)
    lesson.admit(EndpointId("another"), OLD.offer, OLD.grant)
    lesson.dismiss(NARROW)
    assert sink.events == [CodecChanged(CAMERA, "vp8")], "one that lacks it is still there"
    lesson.dismiss(EndpointId("another"))
    assert sink.events == [CodecChanged(CAMERA, "vp8"), CodecChanged(CAMERA, "vp9")]
    assert await _sent_and_wanted(service) == ("vp9", True)
    assert (await service.statistics())["troubles"]["commands_failed"] == 0


async def test_one_who_comes_late_begins_with_what_all_can_show(service: MediaService, sink: Sink) -> None:
    lesson = service.open(LESSON, sink)
    lesson.admit(NARROW, OLD.offer, OLD.grant)
    assert lesson.admit(TEACHER, changing(), EVERY.grant).codecs == {SourceKind.CAMERA: "vp8"}
    assert sink.events == []


async def test_a_source_that_cannot_change_stays_as_it_is(service: MediaService, sink: Sink) -> None:
    lesson = service.open(LESSON, sink)
    assert lesson.admit(TEACHER, EVERY.offer, EVERY.grant).codecs == {}
    lesson.admit(VIEWER, EVERY.offer, EVERY.grant)
    assert await _sent_and_wanted(service) == ("vp8", False)
    assert sink.events == []


async def test_nobody_is_told_while_all_are_let_go(service: MediaService, sink: Sink) -> None:
    lesson = service.open(LESSON, sink)
    lesson.admit(NARROW, OLD.offer, OLD.grant)
    lesson.admit(TEACHER, changing(), EVERY.grant)
    lesson.close()
    assert sink.events == []


def _raw_files(folder: Path) -> list[tuple[str, str, bool]]:
    """(kind, codec, whether it has ended) of each raw file, in the order in which they began."""
    found: list[tuple[str, str, bool]] = []
    for path in sorted(folder.iterdir()):
        with RawRecording.open(path) as raw:
            list(raw.entries())
            found.append((raw.head.kind, raw.head.codec, raw.ended))
    return found


async def test_a_recording_goes_on_in_another_file(service: MediaService, sink: Sink, tmp_path: Path) -> None:
    lesson = service.open(LESSON, sink, record=True)
    lesson.admit(TEACHER, changing(), replace(EVERY.grant, teaches=True))
    lesson.admit(NARROW, OLD.offer, OLD.grant)
    await service.sync_recordings()
    found = await asyncio.to_thread(_raw_files, tmp_path / LESSON)
    assert found == [("camera", "vp9", True), ("mic", "opus", False), ("camera", "vp8", False)]


async def test_the_answer_takes_every_codec_of_a_source_that_can_change(service: MediaService) -> None:
    lesson = service.open(LESSON, Sink())
    answer = lesson.admit(TEACHER, changing(), EVERY.grant).answer
    assert "m=video 9 UDP/TLS/RTP/SAVPF 98 99 45 46 96 97 108 109\r\n" in answer
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" in answer, "a voice has one"
    camera = answer.split("m=video")[1]
    assert "dependency-descriptor" not in camera, "VP8 would go without picture ids"
