"""One run of one rival: what a forwarded packet costs, how late it comes, how much is lost."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.forwarding.programs import Load, processor_ns, resident_octets

SETTLE_S = 1.5
"""From the first packet to the measured span: the first key frame, and what starts slowly."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one span showed."""

    packet_us: float
    """User and system time of the server per packet that reached a receiver, in microseconds."""
    core: float
    """The same as a share of one core."""
    p50_us: float
    p99_us: float
    packets: int
    missing: int
    disordered: int
    silent: int
    late: int
    """Turns of the publisher that came more than 5 ms late: the machine was too busy for the load itself."""
    resident: int
    """Octets of memory of the server at the end (VmRSS)."""


async def span(pid: int, seconds: float, receivers: Load, publishers: Load | None = None) -> Run:
    """Measure the process ``pid`` while the lesson runs. Raises RuntimeError where it shows nothing."""
    loop = asyncio.get_running_loop()
    if publishers is not None:
        publishers.begin()
    receivers.begin()
    before, start = processor_ns(pid), loop.time()
    await asyncio.sleep(seconds)
    spent, elapsed = processor_ns(pid) - before, loop.time() - start
    resident = resident_octets(pid)
    came = await receivers.end()
    sent = (await publishers.end())["publishers"] if publishers is not None else None
    return _run(came, sent, spent, elapsed, resident)


def _run(came: dict[str, Any], sent: dict[str, Any] | None, spent: int, elapsed: float, resident: int) -> Run:
    counts, delays = came["receivers"], came["delays_us"]
    if counts["packets"] == 0 or counts["forged"] or came["silent"]:
        raise RuntimeError(f"a run that shows nothing: {came}")
    return Run(
        packet_us=spent / 1000 / counts["packets"],
        core=spent / 1e9 / elapsed,
        p50_us=delays["p50"],
        p99_us=delays["p99"],
        packets=counts["packets"],
        missing=counts["missing"],
        disordered=counts["disordered"],
        silent=came["silent"],
        late=sent["late"] if sent else 0,
        resident=resident,
    )


def median(runs: Sequence[Run], field: str) -> float:
    """Of one field over all runs."""
    return float(statistics.median(getattr(run, field) for run in runs))


def spread(runs: Sequence[Run], field: str) -> str:
    """Least and most of one field."""
    values = [getattr(run, field) for run in runs]
    return f"{min(values):.2f} to {max(values):.2f}"
