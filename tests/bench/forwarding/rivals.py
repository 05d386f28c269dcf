"""The rivals of one comparison, each a function that makes one run with so many receivers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.bench.forwarding import janus, ours, programs
from tests.bench.forwarding.measure import SETTLE_S, Run, span

Rival = Callable[[int, float], Awaitable[Run]]


async def run_ours(receivers: int, seconds: float) -> Run:
    """A fresh server of ours."""
    async with (
        ours.server() as server,
        programs.load() as teacher,
        programs.load() as pupils,
        ours.lesson(server, teacher) as lesson,
    ):
        for _ in range(receivers):
            await lesson.receiver(pupils)
        teacher.start()
        await asyncio.sleep(SETTLE_S)
        return await span(server.pid, seconds, pupils, teacher)


async def run_janus(receivers: int, seconds: float) -> Run:
    """A fresh Janus at its best setting."""
    async with (
        janus.server() as server,
        programs.load() as teacher,
        programs.load() as pupils,
        janus.lesson(server, teacher) as lesson,
    ):
        for _ in range(receivers):
            await lesson.receiver(pupils)
        teacher.start()
        await asyncio.sleep(SETTLE_S)
        return await span(server.pid, seconds, pupils, teacher)


async def _run_bare(receivers: int, seconds: float, *, segments: bool) -> Run:
    async with programs.load() as pupils:
        raw = [await pupils.raw() for _ in range(receivers)]
        async with programs.bare(raw, segments=segments) as program:
            await asyncio.sleep(SETTLE_S)
            return await span(program.pid, seconds, pupils)


async def run_bare(receivers: int, seconds: float) -> Run:
    """The bare loop with sendmmsg."""
    return await _run_bare(receivers, seconds, segments=False)


async def run_segments(receivers: int, seconds: float) -> Run:
    """The bare loop with sendmmsg of segmented messages."""
    return await _run_bare(receivers, seconds, segments=True)


RIVALS: dict[str, Rival] = {
    "ours": run_ours,
    "janus": run_janus,
    "bare": run_bare,
    "segments": run_segments,
}
