"""What each use of ``luokkasilta`` does. Every function takes argparse's options and gives the exit code.

Raises SetupError for what can't be done and ValueError for what was asked in the wrong way; bridge/cli.py
says them.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bridge.config import Config, Tls
from bridge.demo import run_demo
from bridge.errors import SetupError
from bridge.lessons import IllegalTransitionError, Lesson, LessonStore, LessonTakenError, LessonUnknownError
from bridge.lessons import new_lesson as lesson_of
from bridge.program import Program, lessons_in, recording_of, running, tokens_of
from bridge.settings import read_settings
from bridge.values import LessonId, LessonState, Role

log = logging.getLogger(__name__)

_NOTHING_RECORDED = 3
"""The exit code of media.recording for that."""
_SITES = {
    Role.KIOSK: "Classroom",
    Role.SCHOOL: "School",
    Role.HOME: "Home",
    Role.WORKPLACE: "Workplace",
    Role.GUEST: "Guest",
}


def serve(options: Namespace) -> int:
    async def until_stopped(program: Program, stop: asyncio.Event) -> None:
        _say(f"Luokkasilta listens on {program.base_url} (Ctrl-C stops it)")
        await stop.wait()

    return _serve(_config(options), until_stopped)


def demo(options: Namespace) -> int:
    config = _config(options)
    if config.tls is not None:
        # Its synthetic classroom has nobody to ask whether a certificate is the right one.
        raise SetupError("demo-without-tls", "the demo speaks plain HTTP; use serve with a certificate")

    async def show(program: Program, stop: asyncio.Event) -> None:
        await run_demo(program, _say, stop)

    return _serve(config, show)


def lesson_new(options: Namespace) -> int:
    async def new() -> int:
        now = datetime.now(UTC)
        lesson = lesson_of(
            options.title, options.course, now, record=options.record, live=not options.waiting
        )
        if options.id is not None:
            lesson = replace(lesson, id=options.id)
        async with lessons_in(options.data) as store:
            try:
                await store.add(lesson)
            except LessonTakenError:
                raise SetupError("lesson-taken", f"there is a lesson {lesson.id!r} already") from None
        _say(lesson.id)
        return 0

    return asyncio.run(new())


def lesson_list(options: Namespace) -> int:
    async def show() -> int:
        async with lessons_in(options.data) as store:
            lessons = await store.list() if options.id is None else (await _known(store, options.id),)
        for lesson in lessons:
            _say(f"{lesson.id}\t{lesson.state}\t{lesson.course}\t{lesson.title}")
        return 0

    return asyncio.run(show())


def lesson_end(options: Namespace) -> int:
    async def end() -> int:
        async with lessons_in(options.data) as store:
            lesson = await _known(store, options.id)
            try:
                await store.set_state(lesson.id, LessonState.ENDED, datetime.now(UTC))
            except IllegalTransitionError:
                raise SetupError("lesson-ended", f"lesson {lesson.id} is over already") from None
        return 0

    return asyncio.run(end())


def token(options: Namespace) -> int:
    if options.operator:
        if any((options.lesson, options.role, options.site, options.room)):
            raise ValueError("--operator goes without --lesson, --role, --site and --room")
        return asyncio.run(_operator_token(options))
    if options.lesson is None or options.role is None:
        raise ValueError("token: --lesson and --role are needed, or --operator")
    return asyncio.run(_lesson_token(options))


async def _operator_token(options: Namespace) -> int:
    tokens = await tokens_of(options.data)
    _say(tokens.sign_operator(now=time.time(), ttl_s=options.ttl))
    return 0


async def _lesson_token(options: Namespace) -> int:
    async with lessons_in(options.data) as store:
        lesson = await _known(store, options.lesson)
    tokens = await tokens_of(options.data)
    # Schools of one name hear each other through the air and not through the server: two that were given
    # none must not count as one.
    site = _SITES[options.role] + f" {secrets.token_hex(2)}" if options.site is None else options.site
    now = time.time()
    _say(tokens.sign(lesson.id, options.role, site, now=now, ttl_s=options.ttl, room=options.room))
    return 0


def recording(options: Namespace) -> int:
    """Also of a lesson that goes on. The raw files stay for the server, which clears them away."""
    raw, file = recording_of(options.data, options.id)
    try:
        if raw.is_dir():
            _make_playable(raw, file)
    except FileNotFoundError:
        log.debug("the server has just made it itself, and cleared away what we read")
    except OSError as error:
        text = f"the recording can't be made playable: {error.strerror or error}"
        raise SetupError("recording-failed", text) from error
    if not file.is_file():
        raise SetupError("recording-unknown", f"nothing of lesson {options.id} was recorded")
    _say(str(file))
    return 0


def _make_playable(raw: Path, file: Path) -> None:
    """Raises OSError, and SetupError ``recording-failed``."""
    # Of a copy: it is read twice, and a lesson that goes on would be longer the second time. The name begins
    # with a dot, so that nobody takes it for a lesson's.
    with TemporaryDirectory(prefix=".", dir=raw.parent) as still:
        for path in raw.iterdir():
            shutil.copyfile(path, Path(still, path.name))
        # As the server does it: what reads a recording is a process of its own.
        made = subprocess.run(  # noqa: S603 - our own program, and an id that was checked
            [sys.executable, "-m", "media.recording", still, file],
            capture_output=True,
            text=True,
            check=False,
        )
    if made.returncode not in {0, _NOTHING_RECORDED}:
        words = (made.stderr.strip().splitlines() or [f"it ended with {made.returncode}"])[-1]
        raise SetupError("recording-failed", f"the recording can't be made playable: {words}")


def _config(options: Namespace) -> Config:
    """The file's settings, or the defaults, and over them what was said on the command line."""
    config = Config() if options.config is None else read_settings(options.config)
    said: dict[str, Any] = {
        name: value
        for name in ("http", "behind_proxy", "data")
        if (value := getattr(options, name)) is not None
    }
    said |= {name: tuple(value) for name in ("media", "announce") if (value := getattr(options, name))}
    # The demo has no such flags.
    tls = [each for name in ("certificate", "key") if (each := getattr(options, name, None)) is not None]
    if len(tls) == 1:
        raise ValueError("--certificate and --key go together")
    if tls:
        said["tls"] = Tls(*tls)
    return replace(config, **said)


def _serve(config: Config, work: Callable[[Program, asyncio.Event], Awaitable[None]]) -> int:
    async def run() -> int:
        stop = _stop_signal()
        async with running(config) as program:
            await work(program, stop)
        return 0

    _log_to_stderr()
    _allow_many_files()
    return asyncio.run(run())


async def _known(store: LessonStore, lesson: LessonId) -> Lesson:
    try:
        return await store.get(lesson)
    except LessonUnknownError:
        raise SetupError("lesson-unknown", f"there is no lesson {lesson!r}") from None


def _stop_signal() -> asyncio.Event:
    """Set by Ctrl-C and SIGTERM from now on."""
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    return stop


def _allow_many_files() -> None:
    """Every connection is an open file, and the soft limit is often 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _say(line: str) -> None:
    """To stdout at once, also when it is a pipe: whoever started the program waits for it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # What Alembic says at each start is of no use to whoever runs the server.
    logging.getLogger("alembic").setLevel(logging.WARNING)
