"""The whole, with the real server: from ``lesson new --record`` to a file that plays."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import av
import pytest
from av.frame import Frame

from bridge.values import Role
from media.synthetic.endpoint import Endpoint
from media.synthetic.tracks import read_speech
from tests.e2e.kit.server import Server, run_command, running_server

TAUGHT_S = 4.0
FINISHED_S = 60.0


async def taught(server: Server, lesson: str, seconds: float) -> None:
    """A synthetic classroom teaches for a while and leaves."""
    link = await server.link(lesson, Role.KIOSK, "Närpiö")
    url = server.base_url.replace("http", "ws", 1) + "/ws"
    speech = await asyncio.to_thread(read_speech)
    endpoint = Endpoint(url, link.partition("#t=")[2], speech, lambda: datetime.now(UTC))
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await endpoint.run()


async def until(condition: Callable[[], bool]) -> None:
    """Another process brings it about, so it is asked for."""
    async with asyncio.timeout(FINISHED_S):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def teach_and_crash(folder: Path) -> str:
    """A server is killed in the middle of a recorded lesson, whose id is given."""
    lesson = ""
    try:
        async with running_server(folder) as server:
            lesson = await new_recorded_lesson(server)
            teaching = asyncio.create_task(taught(server, lesson, 60.0))
            await until((server.data / "recordings" / lesson).exists)
            await asyncio.sleep(TAUGHT_S)
            os.kill(server.pid, signal.SIGKILL)
            teaching.cancel()
            await asyncio.gather(teaching, return_exceptions=True)
    except AssertionError as exc:
        assert "the server ended with -9" in str(exc)  # noqa: PT017
    return lesson


def lengths(path: Path) -> dict[str, float]:
    """Seconds of each stream, by its title, everything decoded."""
    ends: dict[str, float] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            for frame in packet.decode():
                assert isinstance(frame, Frame)
                assert frame.time is not None
                name = packet.stream.metadata["title"]
                ends[name] = max(ends.get(name, 0.0), frame.time)
    return ends


async def new_recorded_lesson(server: Server) -> str:
    return await run_command(
        "lesson", "new", "--title", "Nyheter", "--course", "RUB14", "--record", "--data", str(server.data)
    )


async def test_a_recorded_lesson_can_be_watched_after_its_end(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        lesson = await new_recorded_lesson(server)
        await taught(server, lesson, TAUGHT_S + 2.0)
        await run_command("lesson", "end", "--id", lesson, "--data", str(server.data))
        out = server.data / "recordings" / f"{lesson}.mkv"
        await until(out.exists)
        ends = await asyncio.to_thread(lengths, out)
        assert ends.keys() == {"camera", "mic"}
        assert min(ends.values()) > TAUGHT_S / 2
        said = await run_command("recording", "--id", lesson, "--data", str(server.data))
        assert said == str(out)


async def test_a_lesson_that_is_not_to_be_recorded_leaves_nothing(tmp_path: Path) -> None:
    async with running_server(tmp_path) as server:
        lesson = await server.new_lesson()
        await taught(server, lesson, 3.0)
        await run_command("lesson", "end", "--id", lesson, "--data", str(server.data))
        with pytest.raises(RuntimeError, match="nothing of lesson"):
            await run_command("recording", "--id", lesson, "--data", str(server.data))
    assert not (tmp_path / "data" / "recordings").exists()


async def test_what_a_crash_left_behind_is_finished_at_the_next_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    lesson = await teach_and_crash(tmp_path)
    folder = data / "recordings" / lesson
    assert list(folder.glob("*.part"))
    said = await run_command("recording", "--id", lesson, "--data", str(data))
    out = data / "recordings" / f"{lesson}.mkv"
    assert said == str(out)
    assert min((await asyncio.to_thread(lengths, out)).values()) > TAUGHT_S / 2
    assert list(folder.glob("*.part")), "made by hand, and the raw files stay: the lesson is not over"
    await asyncio.to_thread(out.unlink)

    await run_command("lesson", "end", "--id", lesson, "--data", str(data))
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "data").symlink_to(data)
    async with running_server(tmp_path / "again"):
        await until(out.exists)
        ends = await asyncio.to_thread(lengths, out)
        assert min(ends.values()) > TAUGHT_S / 2
        await until(lambda: not folder.exists())
