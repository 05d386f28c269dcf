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
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

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
_KILLED_AFTER_S = 5.0


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
        """After a crash: finish what was left behind of lessons that are over; returns which.

        A lesson that goes on keeps its files, which become one recording with those to come.
        """
        names = await asyncio.to_thread(self._left_behind)
        over = [lesson for lesson in names if await is_over(lesson)]
        for lesson in over:
            self.finish(lesson)
        return over

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
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "media.recording", folder, out, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
        )
        try:
            async with asyncio.timeout(LONGEST_S):
                said, complaint = await process.communicate()
        except TimeoutError:
            return -1, f"not done in {LONGEST_S:.0f} s"
        finally:
            if process.returncode is None:
                await _end(process)
        assert process.returncode is not None
        lines = (said if process.returncode == 0 else complaint).decode(errors="replace").strip().splitlines()
        words = lines[-1] if lines else f"ended with {process.returncode} and said nothing"
        return process.returncode, words[:_LONGEST_WORDS]

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


async def _end(process: asyncio.subprocess.Process) -> None:
    """It leaves nothing behind that the next try doesn't replace, so it may be killed."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_KILLED_AFTER_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
