"""What happens to the raw files of a lesson when it is over: RecordingService (bridge.ports.RecordingPort).

    finish --> all on disk? --> child process: python -m media.recording --> raw files removed
                                     '-- failed: raw files kept, tried again at the next start of the server

The child process works for seconds up to minutes and may fail or be killed; neither touches the server. A
playable file is there complete or not at all, and raw files go only after it: first their folder gets
another name in one step, so that a crash never leaves half of them to be made into half a recording.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired

from bridge.values import LessonId
from media.recording.layout import DONE_SUFFIX, PARTIAL_SUFFIX, is_lesson, playable, raw_folder

logger = logging.getLogger(__name__)

NOTHING_RECORDED = 3
"""The child's exit code where no packet was recorded (media.recording.__main__)."""
AT_ONCE = 1
"""Child processes: they are there to wait, the live lessons are not."""
LONGEST_S = 3600.0
"""A day of lessons is copied in less; a disk that hangs isn't waited for."""
_LONGEST_WORDS = 500
_LOOK_EVERY_S = 0.2


class RecordingService:
    """``recordings``: the folder of all lessons' recordings. ``sync``: returns when the engine's files are on
    disk.

    Who closes whom: the composition makes it, calls ``recover`` once, and ``stop`` before it stops the media.
    """

    def __init__(
        self, recordings: Path, sync: Callable[[], Awaitable[None]], *, at_once: int = AT_ONCE
    ) -> None:
        self._recordings = recordings
        self._sync = sync
        self._turn = asyncio.Semaphore(at_once)
        self._tasks: dict[LessonId, asyncio.Task[None]] = {}
        self.finished = 0
        self.failed = 0
        """Lessons since the start."""

    def finish(self, lesson: LessonId) -> None:
        """Make the lesson's recording playable, in the background. A no-op where nothing was recorded, and
        while it is under way."""
        if lesson not in self._tasks:
            task = asyncio.get_running_loop().create_task(self._finish(lesson), name=f"recording {lesson}")
            self._tasks[lesson] = task
            task.add_done_callback(lambda _: self._tasks.pop(lesson, None))

    async def recover(self, is_over: Callable[[LessonId], Awaitable[bool]]) -> list[LessonId]:
        """After a crash: finish what was left behind of lessons that are over.

        Returns those that go on: they keep their files, which become one recording with those to come.
        """
        going_on = []
        for lesson in await asyncio.to_thread(self._left_behind):
            if await is_over(lesson):
                self.finish(lesson)
            else:
                going_on.append(lesson)
        return going_on

    async def idle(self) -> None:
        """Return when nothing is under way."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def stop(self) -> None:
        """End what is under way; the next start of the server takes it up. Idempotent."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _finish(self, lesson: LessonId) -> None:
        try:
            folder = raw_folder(self._recordings, lesson)
            await self._sync()
            if not await asyncio.to_thread(folder.is_dir):
                return
            async with self._turn:
                code, words = await self._remux(folder, playable(self._recordings, lesson))
            if code not in {0, NOTHING_RECORDED}:
                self.failed += 1
                logger.error(
                    "lesson %s: its recording is not playable, the raw files stay: %s", lesson, words
                )
                return
            await asyncio.to_thread(_remove, folder)
            self.finished += 1
            logger.info("lesson %s: recording: %s", lesson, words)
        except Exception:
            self.failed += 1
            logger.exception("lesson %s: its recording was not finished, the raw files stay", lesson)

    async def _remux(self, folder: Path, out: Path) -> tuple[int, str]:
        """(exit code, what the child said in one line)."""
        stop = threading.Event()
        # In a thread: to start a process takes a moment, which the event loop has not.
        child = asyncio.ensure_future(asyncio.to_thread(_run_child, folder, out, stop))
        try:
            return await asyncio.shield(child)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait([child])
            raise

    def _left_behind(self) -> list[LessonId]:
        """Blocks. Lessons that have raw files; what a crash left half made or half removed is removed."""
        if not self._recordings.is_dir():
            return []
        found = []
        for path in sorted(self._recordings.iterdir()):
            if path.suffix == DONE_SUFFIX and is_lesson(path.stem) and path.is_dir():
                shutil.rmtree(path)
            elif path.suffix == PARTIAL_SUFFIX and path.is_file():
                path.unlink()
            elif is_lesson(path.name) and path.is_dir():
                found.append(LessonId(path.name))
        return found


def _remove(folder: Path) -> None:
    """Blocks."""
    done = folder.with_name(folder.name + DONE_SUFFIX)
    if done.exists():
        shutil.rmtree(done)
    folder.rename(done)
    shutil.rmtree(done)


def _run_child(folder: Path, out: Path, stop: threading.Event) -> tuple[int, str]:
    """Blocks. (exit code, the last line that the child said); killed on ``stop`` or when it takes too long.

    What a killed one leaves behind, the next try or the next start of the server removes.
    """
    command = [sys.executable, "-m", "media.recording", str(folder), str(out)]
    until_s = time.monotonic() + LONGEST_S
    with Popen(command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE) as process:  # noqa: S603 - our own, names checked
        while True:
            try:
                said, complaint = process.communicate(timeout=_LOOK_EVERY_S)
                break
            except TimeoutExpired:
                if stop.is_set() or time.monotonic() > until_s:
                    process.kill()
                    process.communicate()
                    return process.returncode, "stopped" if stop.is_set() else f"not done in {LONGEST_S} s"
    lines = (complaint if process.returncode else said).decode(errors="replace").strip().splitlines()
    words = lines[-1] if lines else f"ended with {process.returncode} and said nothing"
    return process.returncode, words[:_LONGEST_WORDS]
