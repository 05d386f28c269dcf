"""The demo: a lesson in progress, with a synthetic classroom as its teacher, and links for three browsers."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from bridge.lessons import IllegalTransitionError, new_lesson
from bridge.program import Program, recording_of
from bridge.values import LessonId, LessonState, Role

COURSE = "RUB14"
TITLE = "Nyheter och medier"
TTL_S = 12 * 3600
_TEACHER_SITE = "Närpiö"
_LINKS = (
    (Role.KIOSK, "Kankaanpää", "the teacher's page: press its one button"),
    (Role.SCHOOL, "Iisalmi", "a school room that takes part"),
    (Role.HOME, "Vieremä", "a student at home"),
)
_STOPPING_S = 5.0
_RECORDING_S = 5.0
"""What takes longer the next server in this data folder makes."""


async def run_demo(program: Program, say: Callable[[str], None], stop: asyncio.Event) -> None:
    """Make the lesson, start the synthetic classroom, say the links, and stay until ``stop`` is set; then say
    where the recording is.

    The classroom is a process of its own, which joins as any endpoint does. It is stopped with the demo; when
    it ends by itself, one line says so and the demo goes on without it.
    """
    lesson = new_lesson(TITLE, COURSE, datetime.now(UTC), record=True)
    await program.store.add(lesson)

    def sign(role: Role, site: str) -> str:
        return program.tokens.sign(lesson.id, role, site, now=time.time(), ttl_s=TTL_S)

    say(f"{COURSE} {TITLE}: a synthetic classroom in {_TEACHER_SITE} teaches. Join it in a browser:")
    for role, site, words in _LINKS:
        say(f"  {words} ({site})")
        say(f"    {program.base_url}/{role}#t={sign(role, site)}")
    say("The lesson is recorded, and every page says so. Ctrl-C stops the demo.")

    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "media.synthetic",
        "--url",
        program.websocket_url,
        # In the environment, because anyone on the machine may list the arguments of a process.
        env={**os.environ, "LUOKKASILTA_TOKEN": sign(Role.KIOSK, _TEACHER_SITE)},
        stdin=asyncio.subprocess.DEVNULL,
        # Ctrl-C goes to the whole group of a terminal; only the demo stops the classroom.
        start_new_session=True,
    )
    try:
        await _until_either(child, say, stop)
    finally:
        await _end(child)
        await _keep_recording(program, lesson.id, say)


async def _keep_recording(program: Program, lesson: LessonId, say: Callable[[str], None]) -> None:
    """End the lesson, so that its recording becomes a file to watch, and say where it is."""
    recordings = program.recordings
    with suppress(IllegalTransitionError):
        await program.store.set_state(lesson, LessonState.ENDED, datetime.now(UTC))
    with suppress(TimeoutError):
        async with asyncio.timeout(_RECORDING_S):
            # The server hears of the end in half a second.
            while recordings.finished + recordings.failed == 0:  # noqa: ASYNC110 - nothing tells when it is done
                await asyncio.sleep(0.1)
    _, file = recording_of(program.data, lesson)
    if await asyncio.to_thread(file.is_file):
        say(f"The recording is {file}")


async def _until_either(child: Process, say: Callable[[str], None], stop: asyncio.Event) -> None:
    stopped = asyncio.create_task(stop.wait())
    ended = asyncio.create_task(child.wait())
    try:
        await asyncio.wait({stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not stopped.done():
            say(f"The synthetic classroom has ended (exit code {child.returncode}); the server goes on.")
            await stopped
    finally:
        stopped.cancel()
        ended.cancel()


async def _end(child: Process) -> None:
    """In order when it can, in ``_STOPPING_S`` at most."""
    if child.returncode is not None:
        return
    with suppress(ProcessLookupError):
        child.terminate()
    try:
        async with asyncio.timeout(_STOPPING_S):
            await child.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
