"""The command ``luokkasilta``. Each use that can't be met is one line on stderr and a code other than 0."""

from __future__ import annotations

import argparse
import asyncio
import logging
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn, TypeAlias, TypeVar

from bridge.config import Config, parse_address, parse_ip
from bridge.demo import run_demo
from bridge.errors import SetupError
from bridge.lessons import Lesson, LessonStore, LessonUnknownError, new_lesson
from bridge.program import lessons_in, running, tokens_of
from bridge.values import LessonId, LessonState, Role

T = TypeVar("T")
# argparse has no public name for what add_subparsers gives.
Group: TypeAlias = "argparse._SubParsersAction[_Parser]"  # noqa: SLF001
DEFAULT_TTL_S = 3600

FAILED = 1
MISUSED = 2

_DEFAULTS = Config()
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd]?)", re.ASCII)
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(MISUSED, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 1 for what can't be done, 2 for what was asked in the wrong way."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except SetupError as error:
        sys.stderr.write(f"luokkasilta: {error.text} ({error.code})\n")
        return FAILED
    except ValueError as error:
        sys.stderr.write(f"luokkasilta: {error}\n")
        return MISUSED
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="luokkasilta", description="Classroom bridge: one lesson, live, between sites.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str, group: Group | None = None
    ) -> argparse.ArgumentParser:
        made = (group or commands).add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        made.add_argument(
            "--data", type=Path, default=_DEFAULTS.data, metavar="FOLDER", help="data folder (%(default)s)"
        )
        return made

    for name, run, text in (
        ("serve", _serve, "Run the server until it is told to stop."),
        ("demo", _demo, "Run the server with a demo lesson and a synthetic classroom in it."),
    ):
        made = command(name, run, text)
        made.add_argument(
            "--http",
            type=_said(parse_address),
            default=_DEFAULTS.http,
            metavar="ADDR:PORT",
            help="(%(default)s)",
        )
        made.add_argument(
            "--media",
            type=_said(parse_address),
            action="append",
            metavar="ADDR:PORT",
            help=f"where UDP is heard; may be repeated ({_DEFAULTS.media[0]})",
        )
        made.add_argument(
            "--announce",
            type=_said(parse_ip),
            action="append",
            metavar="ADDR",
            help="address that clients are told; may be repeated (those of the interfaces)",
        )

    lesson = commands.add_parser("lesson", help="Make, list and end lessons in the data folder.")
    verbs = lesson.add_subparsers(required=True, metavar="new|list|end")
    new = command("new", _lesson_new, "Make a lesson and print its id.", verbs)
    new.add_argument("--title", required=True)
    new.add_argument("--course", required=True, help="the course's code, e.g. RUB14")
    command(
        "list",
        _lesson_list,
        "Print id, state, course and title of every lesson, one a line, with tabs.",
        verbs,
    )
    end = command(
        "end",
        _lesson_end,
        "End a lesson. A server that has endpoints in it notices when the last of them has gone.",
        verbs,
    )
    end.add_argument("lesson", help="the lesson's id")

    token = command("token", _token, "Print a token that lets an endpoint into a lesson.")
    token.add_argument("--lesson", required=True, help="the lesson's id")
    token.add_argument("--role", required=True, type=Role, choices=tuple(Role), help="%(choices)s")
    token.add_argument("--site", required=True, help="the site's public name, e.g. Iisalmi")
    token.add_argument("--room", help="the physical room, where several devices share one")
    token.add_argument(
        "--ttl", type=_said(parse_duration), default=DEFAULT_TTL_S, help="90s, 15m, 12h, 7d (1h)"
    )
    return parser


def _said(parse: Callable[[str], T]) -> Callable[[str], T]:
    """argparse shows a ValueError's text only when it comes as its own error."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


def parse_duration(text: str) -> int:
    """Seconds of "90", "90s", "15m", "12h" or "7d". Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time like 90s, 15m, 12h or 7d")
    return int(match[1]) * _UNIT_S[match[2]]


def _config(options: argparse.Namespace) -> Config:
    return Config(
        http=options.http,
        media=tuple(options.media or _DEFAULTS.media),
        announce=tuple(options.announce or ()),
        data=options.data,
    )


def _serve(options: argparse.Namespace) -> int:
    async def serve() -> int:
        stop = _stop_signal()
        async with running(_config(options)) as program:
            _say(f"Luokkasilta listens on {program.base_url} (Ctrl-C stops it)")
            await stop.wait()
        return 0

    _log_to_stderr()
    return asyncio.run(serve())


def _demo(options: argparse.Namespace) -> int:
    async def demo() -> int:
        stop = _stop_signal()
        async with running(_config(options)) as program:
            await run_demo(program, _say, stop)
        return 0

    _log_to_stderr()
    return asyncio.run(demo())


def _lesson_new(options: argparse.Namespace) -> int:
    async def new() -> int:
        lesson = new_lesson(options.title, options.course, datetime.now(UTC))
        async with lessons_in(options.data) as store:
            await store.add(lesson)
        _say(lesson.id)
        return 0

    return asyncio.run(new())


def _lesson_list(options: argparse.Namespace) -> int:
    async def show() -> int:
        async with lessons_in(options.data) as store:
            for lesson in await store.list():
                _say(f"{lesson.id}\t{lesson.state}\t{lesson.course}\t{lesson.title}")
        return 0

    return asyncio.run(show())


def _lesson_end(options: argparse.Namespace) -> int:
    async def end() -> int:
        async with lessons_in(options.data) as store:
            lesson = await _known(store, options.lesson)
            if lesson.state is LessonState.ENDED:
                raise SetupError("lesson-ended", f"lesson {lesson.id} is over already")
            await store.set_state(lesson.id, LessonState.ENDED, datetime.now(UTC))
        return 0

    return asyncio.run(end())


def _token(options: argparse.Namespace) -> int:
    async def sign() -> int:
        async with lessons_in(options.data) as store:
            lesson = await _known(store, options.lesson)
        tokens = await tokens_of(options.data)
        now = time.time()
        _say(
            tokens.sign(lesson.id, options.role, options.site, now=now, ttl_s=options.ttl, room=options.room)
        )
        return 0

    return asyncio.run(sign())


async def _known(store: LessonStore, lesson: str) -> Lesson:
    try:
        return await store.get(LessonId(lesson))
    except LessonUnknownError:
        raise SetupError("lesson-unknown", f"there is no lesson {lesson!r}") from None


def _stop_signal() -> asyncio.Event:
    """Set by Ctrl-C and SIGTERM from now on."""
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    return stop


def _say(line: str) -> None:
    """To stdout at once, also when it is a pipe: whoever started the program waits for it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # What Alembic says at each start is of no use to whoever runs the server.
    logging.getLogger("alembic").setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
