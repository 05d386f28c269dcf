"""What becomes of raw files when a lesson is over, with real child processes."""

from __future__ import annotations

import asyncio
import logging
import queue
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.values import EndpointId, LessonId
from media.recording import service as service_module
from media.recording.layout import raw_folder, raw_name
from media.recording.service import RecordingService
from tests.media_recording.raw import head, raw_file, sound_packets

LESSON, OTHER = LessonId("lesson"), LessonId("other")
GOOD = raw_file("opus", sound_packets(0.4), kind="mic")
WAIT_S = 60.0


class Synced:
    """Stands for the engine: answers when it is told to, at once by default."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.may.set()
        self.error: Exception | None = None
        self.asked = 0

    async def __call__(self) -> None:
        self.asked += 1
        await self.may.wait()
        if self.error is not None:
            raise self.error


@pytest.fixture
def synced() -> Synced:
    return Synced()


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.fixture
async def service(recordings: Path, synced: Synced) -> AsyncIterator[RecordingService]:
    made = RecordingService(recordings, synced)
    yield made
    await made.stop()


def record(recordings: Path, lesson: LessonId, content: bytes = GOOD) -> Path:
    folder = recordings / lesson
    folder.mkdir(parents=True)
    (folder / "1-mic.part").write_bytes(content)
    return folder


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*"))


async def done(service: RecordingService) -> None:
    async with asyncio.timeout(WAIT_S):
        await service.idle()


async def test_a_lesson_that_is_over_gets_its_file_and_loses_the_raw_ones(
    service: RecordingService, recordings: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = record(recordings, LESSON)
    service.finish(LESSON)
    service.finish(LESSON)
    await done(service)
    assert (service.finished, service.failed) == (1, 0)
    assert names_in(recordings) == ["lesson.mkv"]
    assert not folder.exists()
    said = [each.getMessage() for each in caplog.records if each.name == service_module.__name__]
    assert len(said) == 1
    assert "20 frames" in said[0]


async def test_nothing_begins_before_all_is_on_disk(
    service: RecordingService, recordings: Path, synced: Synced
) -> None:
    record(recordings, LESSON)
    synced.may.clear()
    service.finish(LESSON)
    await asyncio.sleep(0.1)
    assert synced.asked == 1
    assert not (recordings / "lesson.mkv").exists()
    synced.may.set()
    await done(service)
    assert (recordings / "lesson.mkv").exists()


async def test_a_lesson_of_which_nothing_was_recorded_is_nothing_to_do(
    service: RecordingService, recordings: Path
) -> None:
    service.finish(LESSON)
    await done(service)
    assert (service.finished, service.failed) == (0, 0)
    assert not names_in(recordings)
    folder = record(recordings, OTHER, head("opus"))
    service.finish(OTHER)
    await done(service)
    assert not folder.exists(), "files without a packet are not kept"
    assert not (recordings / "other.mkv").exists()


@pytest.mark.parametrize("content", [b"what is this?", raw_file("vp8", sound_packets(0.1))])
async def test_raw_files_stay_when_it_fails(
    service: RecordingService, recordings: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    folder = record(recordings, LESSON, content)
    service.finish(LESSON)
    await done(service)
    assert (service.finished, service.failed) == (0, 1)
    assert (folder / "1-mic.part").read_bytes() == content
    assert names_in(recordings) == ["lesson"]
    assert len([each for each in caplog.records if each.levelno == logging.ERROR]) == 1


async def test_raw_files_stay_when_the_engine_does_not_answer(
    service: RecordingService, recordings: Path, synced: Synced
) -> None:
    folder = record(recordings, LESSON)
    synced.error = RuntimeError("the engine is gone")
    service.finish(LESSON)
    await done(service)
    assert service.failed == 1
    assert folder.exists()


async def test_a_child_that_takes_for_ever_is_ended(
    service: RecordingService, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "LONGEST_S", 0.0)
    monkeypatch.setattr(service_module, "_LOOK_EVERY_S", 0.01)
    folder = record(recordings, LESSON)
    service.finish(LESSON)
    await done(service)
    assert (service.finished, service.failed) == (0, 1)
    assert folder.exists()


async def test_few_at_once(service: RecordingService, recordings: Path) -> None:
    running = most = 0
    real = service._remux

    async def counted(folder: Path, out: Path) -> tuple[int, str]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return await real(folder, out)
        finally:
            running -= 1

    service._remux = counted  # type: ignore[method-assign]
    lessons = [LessonId(f"lesson-{number}") for number in range(3)]
    for lesson in lessons:
        record(recordings, lesson)
        service.finish(lesson)
    await done(service)
    assert most == service_module.AT_ONCE
    assert names_in(recordings) == [f"{lesson}.mkv" for lesson in lessons]


async def test_after_a_crash_what_is_over_is_finished_and_the_rest_waits(
    service: RecordingService, recordings: Path
) -> None:
    over, going_on = record(recordings, LESSON), record(recordings, OTHER)
    half_removed = record(recordings, LessonId("gone.done"))
    half_made = recordings / "lesson.mkv.77.partial"
    half_made.write_bytes(b"half")
    (recordings / "something else").mkdir()

    async def is_over(lesson: LessonId) -> bool:
        return lesson == LESSON

    assert await service.recover(is_over) == [OTHER], "it goes on"
    await done(service)
    assert not over.exists()
    assert (recordings / "lesson.mkv").exists()
    assert going_on.exists()
    assert not half_removed.exists()
    assert not half_made.exists()


async def test_without_a_folder_there_is_nothing_to_recover(service: RecordingService) -> None:
    async def is_over(lesson: LessonId) -> bool:
        raise AssertionError(lesson)

    assert await service.recover(is_over) == []


async def test_stopping_ends_the_child_and_keeps_the_raw_files(
    service: RecordingService, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
    child = [sys.executable, "-c", "import time; time.sleep(3600)"]

    def lasting(_command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(child, **options)
        processes.put(process)
        return process

    monkeypatch.setattr(service_module, "Popen", lasting)
    folder = record(recordings, LESSON)
    service.finish(LESSON)
    process = await asyncio.to_thread(processes.get, timeout=WAIT_S)
    async with asyncio.timeout(WAIT_S):
        await service.stop()
    assert process.returncode == -signal.SIGKILL
    assert folder.exists()
    await service.stop()


@pytest.mark.parametrize("lesson", ["", "..", "a/b", "a.done", "x" * 200, "-rf"])
def test_an_id_that_leads_elsewhere_is_refused(recordings: Path, lesson: str) -> None:
    with pytest.raises(ValueError, match="can't be recorded"):
        raw_folder(recordings, LessonId(lesson))


def test_a_file_is_named_by_start_endpoint_and_kind() -> None:
    start = datetime(2026, 11, 24, 7, 5, 9, 120, UTC)
    assert raw_name(start, EndpointId("e-1"), "mic") == "20261124T070509.000120Z-e-1-mic.part"
    assert raw_name(start, EndpointId("../e"), "mic") == "20261124T070509.000120Z-___e-mic.part"
