"""What the operator does on the command line, in a process of its own, reaches those in the lesson."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bridge.registry import WATCH_S
from bridge.values import Role
from tests.signalling.client import bench_of

ROOT = Path(__file__).parent.parent.parent


async def luokkasilta(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bridge.cli", *arguments, cwd=ROOT)
    assert await process.wait() == 0


async def test_a_lesson_that_the_operator_ends_is_over_for_all(tmp_path: Path) -> None:
    async with (
        bench_of(tmp_path) as bench,
        bench.joined(Role.KIOSK) as kiosk,
        bench.known(Role.HOME) as waiting,
    ):
        await luokkasilta("lesson", "end", "--data", str(tmp_path), "--id", bench.lesson.id)
        for client in (kiosk, waiting):
            lesson = await client.until("lesson")
            while lesson["lesson"]["state"] != "ended":
                lesson = await client.until("lesson")
            assert await client.close_code() == 1000
        assert bench.media.last.closed == 1
        async with bench.stranger() as late:
            error = await late.ask("hello", version=1, token=bench.token(Role.HOME))
            assert error["code"] == "lesson-ended"
    assert 2 * WATCH_S <= 1.0, "told within the second that PROTOCOL.md says"
