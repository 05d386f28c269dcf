"""Measures, in real browsers on this machine: ``python -m tests.bench.first_picture``

- from pressing the kiosk's button to the first picture displayed at a school that waits (median of 10);
- the server's processor time for one teacher with two viewers.

Both clocks of the first are those of browsers on one machine: performance.timeOrigin plus the event's own
time, and the time at which requestVideoFrameCallback says that the frame is displayed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from bridge.values import Role
from tests.e2e.kit.browser import Browser, open_browser
from tests.e2e.kit.media_files import Devices, write_devices
from tests.e2e.kit.pages import PATIENCE_MS, press, visit, wait_for_pictures
from tests.e2e.kit.server import Server, running_server

WATCH_S = 30.0
FILES_S = 180.0

_MARK_PRESS = """addEventListener("pointerdown", (event) => {
    window.pressedAtMs = performance.timeOrigin + event.timeStamp;
}, { capture: true })"""

_MARK_PICTURE = """(() => {
    const watched = new WeakSet();
    const watch = () => {
        for (const video of document.querySelectorAll("video[data-slot]")) {
            if (watched.has(video)) continue;
            watched.add(video);
            video.requestVideoFrameCallback((now, frame) => {
                window.shownAtMs ??= performance.timeOrigin + frame.expectedDisplayTime;
            });
        }
    };
    new MutationObserver(watch).observe(document, { childList: true, subtree: true, attributes: true });
})()"""

_REFUSE_DEVICES = """navigator.mediaDevices.getUserMedia = () =>
    Promise.reject(new DOMException("refused by the bench", "NotAllowedError"))"""


async def first_picture_ms(server: Server, kiosk: Browser, school: Browser) -> float:
    """One lesson: from the press to the picture, in milliseconds."""
    lesson = await server.new_lesson()
    await visit(school, await server.link(lesson, Role.SCHOOL, "Iisalmi"))
    await press(school, "school.join")
    await visit(kiosk, await server.link(lesson, Role.KIOSK, "Närpiö"))
    await press(kiosk, "kiosk.open")
    await school.page.wait_for_function("() => window.shownAtMs !== undefined", timeout=PATIENCE_MS)
    pressed: float = await kiosk.page.evaluate("window.pressedAtMs")
    shown: float = await school.page.evaluate("window.shownAtMs")
    return shown - pressed


def processor_s(pid: int) -> float:
    """User and system time of a process and all its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def processor_share(pid: int) -> float:
    """Of one core, over WATCH_S."""
    before, start = processor_s(pid), time.monotonic()
    await asyncio.sleep(WATCH_S)
    return (processor_s(pid) - before) / (time.monotonic() - start)


async def lesson_share(server: Server, files: tuple[Devices, ...], publishers: int) -> float:
    """The server's share of a core in a lesson of three where the first ``publishers`` have a camera."""
    lesson = await server.new_lesson()
    roles = ((Role.KIOSK, "Närpiö"), (Role.SCHOOL, "Iisalmi"), (Role.HOME, "Vieremä"))
    async with AsyncExitStack() as stack:
        browsers = []
        for number, (role, site) in enumerate(roles):
            browser = await stack.enter_async_context(open_browser(role.value, files[number]))
            if number >= publishers:
                await browser.page.add_init_script(_REFUSE_DEVICES)
            await visit(browser, await server.link(lesson, role, site))
            browsers.append(browser)
        kiosk, school, home = browsers
        await press(school, "school.join")
        await press(home, "home.join")
        await press(kiosk, "kiosk.open")
        for number, browser in enumerate(browsers):
            pictures = publishers - (1 if number < publishers else 0)
            if pictures:
                await wait_for_pictures(browser, pictures)
        return await processor_share(server.pid)


def machine() -> str:
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return f"{cpu}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"


async def measure(lessons: int, folder: Path) -> None:
    files = tuple(write_devices(folder, source, FILES_S) for source in range(3))
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {machine()}; load before: {os.getloadavg()[0]:.2f}")
    async with running_server(folder) as server:
        async with open_browser("kiosk", files[0]) as kiosk, open_browser("school", files[1]) as school:
            print(f"Chromium {kiosk.version}")
            await kiosk.page.add_init_script(_MARK_PRESS)
            await school.page.add_init_script(_MARK_PICTURE)
            times_ms = [await first_picture_ms(server, kiosk, school) for _ in range(lessons)]
        print("\n| press to first picture at the school | ms |\n|---|---|")
        print(f"| median of {lessons} | {statistics.median(times_ms):.0f} |")
        print(f"| least, most | {min(times_ms):.0f}, {max(times_ms):.0f} |")
        print(f"| all, in order (the first has cold browsers) | {', '.join(f'{t:.0f}' for t in times_ms)} |")

        idle = await processor_share(server.pid)
        alone = await lesson_share(server, files, 1)
        together = await lesson_share(server, files, 3)
    print(f"\n| server, 640x360 at 10 fps, over {WATCH_S:.0f} s | % of a core |\n|---|---|")
    print(f"| no lesson | {100 * idle:.1f} |")
    print(f"| a teacher who publishes, two viewers who only watch | {100 * alone:.1f} |")
    print(f"| a teacher and two viewers who all publish | {100 * together:.1f} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lessons", type=int, default=10, help="how many times a lesson is opened (10)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="luokkasilta-") as folder:
        asyncio.run(measure(options.lessons, Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
