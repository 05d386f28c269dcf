"""D7, with real processes and a real client: killing the server loses at most the last second."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.media_recording.publisher import BIG, FRAMES_PER_SECOND, SMALL, Teacher
from tests.media_recording.watching import Seen, hear, picture_sizes, see, stream_names

ROOT = Path(__file__).resolve().parents[2]
ANSWER_S = 60.0
LIP_SYNC_S = 0.08
LOST_S = 1.0


class Server:
    """The process of tests.media_recording.server."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def ask(self, **words: object) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(words).encode() + b"\n")
        async with asyncio.timeout(ANSWER_S):
            line = await self.process.stdout.readline()
        assert line, "the server has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def admit(self, teacher: Teacher, endpoint: str, role: str = "kiosk") -> None:
        offer = await teacher.offer()
        sources = [{"kind": each.kind.value, "mid": each.mid} for each in offer.sources]
        answer = await self.ask(endpoint=endpoint, sdp=offer.sdp, sources=sources, role=role)
        await teacher.accept(answer["answer"])

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


StartServer = Callable[[], Awaitable[Server]]
MakeTeacher = Callable[..., Teacher]


@pytest.fixture
async def start_server(tmp_path: Path) -> AsyncIterator[StartServer]:
    started: list[Process] = []

    async def start() -> Server:
        with (tmp_path / f"server-{len(started)}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.media_recording.server",
                tmp_path / "recordings",
                cwd=ROOT,
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                limit=1 << 20,
            )
        started.append(process)
        return Server(process)

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
async def teachers() -> AsyncIterator[MakeTeacher]:
    async with AsyncExitStack() as stack:

        def make(video_codec: str = "video/VP8", *, grows_at: int | None = None) -> Teacher:
            teacher = Teacher(video_codec, grows_at=grows_at)
            stack.push_async_callback(teacher.close)
            return teacher

        yield make


async def played(teacher: Teacher, seconds: float) -> int:
    """Let it teach until its clock shows ``seconds``; gives the number of the last frame by then."""
    async with asyncio.timeout(ANSWER_S):
        await teacher.beat.reached(seconds)
    return int(teacher.beat.now_s * FRAMES_PER_SECOND)


def lip_sync(seen: Seen, bursts: list[float]) -> list[float]:
    """For each burst: how much later it is heard than its second is seen; negative for early sound."""
    # Frame n is captured at n / FRAMES_PER_SECOND on the publisher's clock; a burst begins at each second.
    zero = sorted(at - number / FRAMES_PER_SECOND for at, number in seen)[len(seen) // 2]
    return [(at - zero + 0.5) % 1.0 - 0.5 for at in bursts]


async def test_a_killed_server_loses_less_than_a_second_and_the_lesson_goes_on(
    start_server: StartServer, teachers: MakeTeacher, tmp_path: Path
) -> None:
    first, teacher = await start_server(), teachers()
    await first.admit(teacher, "before")
    last = await played(teacher, 7.0)
    await first.kill()

    second, again = await start_server(), teachers()
    await second.admit(again, "after")
    last_again = await played(again, 5.0)
    outcome = await second.ask(end=True)
    assert (outcome["finished"], outcome["failed"]) == (1, 0)
    assert not [event for event in outcome["events"] if "RecordingFailed" in event]

    out = tmp_path / "recordings" / "lesson.mkv"
    assert not (tmp_path / "recordings" / "lesson").exists(), "raw files go when they are not needed any more"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    names = await asyncio.to_thread(stream_names, out)
    assert [name for name, _ in names] == ["camera", "mic"], "both segments share their streams"
    seen, bursts = await asyncio.to_thread(see, out), await asyncio.to_thread(hear, out)

    border = next(at for at in range(1, len(seen)) if seen[at][1] < seen[at - 1][1])
    before, after = seen[:border], seen[border:]
    assert last - before[-1][1] <= LOST_S * FRAMES_PER_SECOND
    assert last_again - after[-1][1] <= LOST_S * FRAMES_PER_SECOND
    for segment in (before, after):
        numbers = [number for _, number in segment]
        assert numbers == sorted(set(numbers))
        span_s = segment[-1][0] - segment[0][0]
        assert abs(span_s - (numbers[-1] - numbers[0]) / FRAMES_PER_SECOND) < 0.1, (
            "frames stand at their times"
        )
    gap_s = after[0][0] - before[-1][0]
    assert gap_s > 0.3, "what was not recorded stays a gap"
    middle = (before[-1][0] + after[0][0]) / 2
    sync = lip_sync(before, [at for at in bursts if at < middle])
    sync += lip_sync(after, [at for at in bursts if at > middle])
    assert len(sync) >= 8
    assert max(map(abs, sync)) < LIP_SYNC_S, sync


async def test_only_what_the_teacher_sends_is_recorded(
    start_server: StartServer, teachers: MakeTeacher, tmp_path: Path
) -> None:
    server, pupil = await start_server(), teachers()
    await server.admit(pupil, "pupil", role="school")
    await played(pupil, 1.0)
    assert not list((tmp_path / "recordings").glob("*"))
    outcome = await server.ask(end=True)
    assert (outcome["finished"], outcome["failed"]) == (0, 0), (
        "nothing was recorded, so there is nothing to do"
    )
    assert not list((tmp_path / "recordings").glob("*"))


async def test_h264_that_changes_its_size_is_recorded_as_well(
    start_server: StartServer, teachers: MakeTeacher, tmp_path: Path
) -> None:
    server, teacher = await start_server(), teachers("video/H264", grows_at=3 * FRAMES_PER_SECOND)
    await server.admit(teacher, "teacher")
    last = await played(teacher, 6.0)
    outcome = await server.ask(end=True)
    assert (outcome["finished"], outcome["failed"]) == (1, 0)
    out = tmp_path / "recordings" / "lesson.mkv"
    assert await asyncio.to_thread(stream_names, out) == [("camera", "h264"), ("mic", "opus")]
    seen, bursts = await asyncio.to_thread(see, out), await asyncio.to_thread(hear, out)
    assert seen[0][1] <= FRAMES_PER_SECOND
    assert last - seen[-1][1] <= 2, "the end in order loses nothing"
    assert len(seen) > 0.8 * (seen[-1][1] - seen[0][1])
    sync = lip_sync(seen, bursts)
    assert len(sync) >= 4
    assert max(map(abs, sync)) < LIP_SYNC_S, sync
    sizes = await asyncio.to_thread(picture_sizes, out)
    assert sizes == [SMALL, BIG]
