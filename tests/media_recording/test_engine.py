"""Recording through the facade of the real engine and a lesson's media: what is told, and what is refused."""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bridge.ports import MediaConnected, MediaEvent, RecordingFailed
from bridge.values import GRANTS, EndpointId, LessonId, Role, SourceKind, SourceRef
from media.recording.format import RawRecording
from media.service import MediaService, RecordingUnavailableError
from tests.media_recording.publisher import Teacher

LESSON, TEACHER = LessonId("lesson"), EndpointId("teacher")
WAIT_S = 60.0


class Sink:
    def __init__(self) -> None:
        self.events: list[MediaEvent] = []
        self._changed = asyncio.Event()

    def __call__(self, event: MediaEvent) -> None:
        self.events.append(event)
        self._changed.set()

    async def wait_for(self, wanted: Callable[[MediaEvent], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not any(map(wanted, self.events)):
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.fixture
async def service(recordings: Path) -> AsyncIterator[MediaService]:
    made = MediaService(["127.0.0.1:0"], recordings=recordings)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def teacher() -> AsyncIterator[Teacher]:
    made = Teacher()
    yield made
    await made.close()


async def test_without_a_folder_a_recorded_lesson_is_refused() -> None:
    service = MediaService(["127.0.0.1:0"])
    await service.start()
    try:
        with pytest.raises(RecordingUnavailableError, match="no folder"):
            service.open(LESSON, print, record=True)
        service.open(LESSON, print).close()
    finally:
        await service.stop()


async def test_a_lesson_whose_id_leads_elsewhere_is_refused(service: MediaService) -> None:
    with pytest.raises(RecordingUnavailableError, match="no name of a folder"):
        service.open(LessonId("../lesson"), print, record=True)


async def test_files_end_in_order_with_the_lesson(
    service: MediaService, recordings: Path, teacher: Teacher
) -> None:
    sink = Sink()
    lesson = service.open(LESSON, sink, record=True)
    await teacher.accept(lesson.admit(TEACHER, await teacher.offer(), GRANTS[Role.KIOSK]).answer)
    await sink.wait_for(lambda event: isinstance(event, MediaConnected))
    async with asyncio.timeout(WAIT_S):
        await teacher.beat.reached(1.0)
    lesson.close()
    await service.sync_recordings()
    files = await asyncio.to_thread(lambda: sorted((recordings / LESSON).iterdir()))
    for path, kind in zip(files, ("camera", "mic"), strict=True):
        with await asyncio.to_thread(RawRecording.open, path) as raw:
            assert raw.head.kind == kind
            assert len(list(raw.entries())) > 3
            assert raw.ended, "the end is on disk when it was synced"


async def test_a_full_disk_is_told_with_the_source_and_the_lesson_goes_on(
    service: MediaService, recordings: Path, teacher: Teacher
) -> None:
    """A limit of this process on the size of its files stands for the disk: for the writer it is the same."""
    assert signal.getsignal(signal.SIGXFSZ) is signal.SIG_IGN, "Python ignores it, or this would end the test"
    sink = Sink()
    lesson = service.open(LESSON, sink, record=True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        await teacher.accept(lesson.admit(TEACHER, await teacher.offer(), GRANTS[Role.KIOSK]).answer)
        camera = SourceRef(TEACHER, SourceKind.CAMERA)
        await sink.wait_for(lambda event: isinstance(event, RecordingFailed) and event.source == camera)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    failed = [event for event in sink.events if isinstance(event, RecordingFailed)]
    assert all("can't be written" in event.reason for event in failed)
    statistics = await service.statistics()
    assert statistics["io"]["recording_errors"] >= 1
    assert statistics["io"]["recording_dropped"] >= 1
    lesson.close()
    await service.sync_recordings()
    path = await asyncio.to_thread(lambda: next((recordings / LESSON).glob("*-camera.part")))
    with await asyncio.to_thread(RawRecording.open, path) as raw:
        assert len(list(raw.entries())) > 3
        assert raw.ended, "what was written before and after it is whole"


async def test_a_folder_that_can_t_be_made_is_told(
    service: MediaService, recordings: Path, teacher: Teacher
) -> None:
    await asyncio.to_thread(recordings.write_text, "a file stands in the way")
    sink = Sink()
    lesson = service.open(LESSON, sink, record=True)
    await teacher.accept(lesson.admit(TEACHER, await teacher.offer(), GRANTS[Role.KIOSK]).answer)
    await sink.wait_for(lambda event: isinstance(event, RecordingFailed))
    await sink.wait_for(lambda event: isinstance(event, MediaConnected))
    assert "can't be made" in next(each.reason for each in sink.events if isinstance(each, RecordingFailed))
