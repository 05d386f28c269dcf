"""Measures, in two real browsers on this machine: ``python -m tests.bench.delay``

- capture to display: from the capture of a frame at the teacher's to its going to the display at a home;
- sound against picture: how much later sound is than the picture that belongs to it, of what the way adds.

With a line between the browsers and the server (``--delay``, ``--loss``) or without one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.first_picture import machine
from tests.e2e.kit.far import BROWSER_FLAGS, far_server
from tests.e2e.kit.lesson import HOME, KIOSK, lesson_in
from tests.e2e.kit.media_files import write_devices
from tests.e2e.kit.server import Server, running_server
from tests.e2e.kit.timing import Way, keep_captured, measure_way
from tests.line.loss import GilbertElliott
from tests.line.namespaces import Namespace
from tests.line.network import Line

SETTLES_S = 8.0


async def measure(line: Line | None, seconds: float, folder: Path) -> Way:
    files = tuple(write_devices(folder, source, seconds + 60) for source in range(3))
    async with AsyncExitStack() as stack:
        server: Server
        namespaces: list[Namespace | None] = [None, None, None]
        if line is None:
            server = await stack.enter_async_context(running_server(folder))
        else:
            far = await stack.enter_async_context(far_server(folder, line))
            server, namespaces = far.server, [far.client] * 3
        lesson = await stack.enter_async_context(
            lesson_in(
                server,
                files,
                who=[KIOSK, HOME],
                namespaces=namespaces,
                flags=BROWSER_FLAGS,
                prepare=keep_captured,
            )
        )
        await asyncio.sleep(SETTLES_S)
        return await measure_way(lesson.browsers[KIOSK], lesson.browsers[HOME], KIOSK, seconds)


def tell(name: str, way: Way) -> None:
    late = [1000 * each for each in way.capture_to_display]
    cuts = statistics.quantiles(late, n=100)
    figures = f"{cuts[49]:.0f}, {cuts[94]:.0f}, {max(late):.0f}"
    sounds = [1000 * each for each in way.sounds]
    apart = f"{1000 * way.lips_s:+.0f}"
    print(f"| {name} | {len(late)} | {figures} | {statistics.median(sounds):.0f} ({len(sounds)}) | {apart} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each is watched (20)")
    options = parser.parse_args()
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {machine()}; load before: {os.getloadavg()[0]:.2f}\n")
    print("| line | frames | capture to display ms: median, p95, most | sound ms (bursts) | apart ms |")
    print("|---|---|---|---|---|")
    for name, line in (
        ("loopback", None),
        ("30 ms per leg", Line(delay_s=0.03)),
        ("30 ms per leg, 5 % lost in bursts of 2", Line(delay_s=0.03, loss=GilbertElliott.bursts(0.05, 2.0))),
    ):
        with tempfile.TemporaryDirectory(prefix="luokkasilta-") as folder:
            tell(name, asyncio.run(measure(line, options.seconds, Path(folder))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
