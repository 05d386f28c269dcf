"""What else is measured beside the comparison: many silent endpoints, and two lessons on two shards."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from tests.bench.forwarding import ours, programs
from tests.bench.forwarding.measure import SETTLE_S
from tests.bench.forwarding.programs import Load, Program, processor_ns

_IN_A_LESSON = 100
_LESSONS = 2
_AFTER_JOINS_S = 10.0
"""What a thousand joins leave to be done is not silence."""


async def silent(endpoints: int, seconds: float) -> float:
    """Share of a core that our server takes while so many endpoints are connected and nobody publishes.

    They are homes of lessons of 100, with real ICE and DTLS; each checks its consent every 2.5 s.
    """
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ours.server())
        load = await stack.enter_async_context(programs.load())
        left = endpoints
        while left > 0:
            lesson = await stack.enter_async_context(ours.lesson(server, load))
            homes = min(left, _IN_A_LESSON) - 1
            for _ in range(homes):
                await lesson.receiver(load)
            left -= homes + 1
        await asyncio.sleep(_AFTER_JOINS_S)
        loop = asyncio.get_running_loop()
        before, start = processor_ns(server.pid), loop.time()
        await asyncio.sleep(seconds)
        return (processor_ns(server.pid) - before) / 1e9 / (loop.time() - start)


async def two_lessons(receivers: int, seconds: float) -> float:
    """Microseconds a packet of our server that has two busy lessons of so many receivers on two shards."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ours.server(ours.SERVE_SHARDS))
        pupils = [await stack.enter_async_context(programs.load()) for _ in range(_LESSONS)]
        teachers = [await stack.enter_async_context(programs.load()) for _ in range(_LESSONS)]
        for shard, (teacher, load) in enumerate(zip(teachers, pupils, strict=True)):
            lesson = await stack.enter_async_context(ours.lesson(server, teacher, shard=shard))
            for _ in range(receivers):
                await lesson.receiver(load)
        for teacher in teachers:
            teacher.start()
        return await _packet_us([server.pid], pupils, seconds)


async def two_bare(receivers: int, seconds: float) -> float:
    """The same of two bare loops with segments, each in a process of its own."""
    async with AsyncExitStack() as stack:
        pupils = [await stack.enter_async_context(programs.load()) for _ in range(_LESSONS)]
        loops: list[Program] = []
        for load in pupils:
            raw = [await load.raw() for _ in range(receivers)]
            loops.append(await stack.enter_async_context(programs.bare(raw, segments=True)))
        return await _packet_us([loop.pid for loop in loops], pupils, seconds)


async def _packet_us(servers: list[int], pupils: list[Load], seconds: float) -> float:
    await asyncio.sleep(SETTLE_S)
    for load in pupils:
        load.begin()
    before = sum(processor_ns(pid) for pid in servers)
    await asyncio.sleep(seconds)
    spent = sum(processor_ns(pid) for pid in servers) - before
    came = [await load.end() for load in pupils]
    counts = [each["receivers"] for each in came]
    if any(each["silent"] for each in came) or any(count["missing"] or count["forged"] for count in counts):
        raise RuntimeError(f"a run that shows nothing: {counts}")
    packets: int = sum(count["packets"] for count in counts)
    return spent / 1000 / packets
