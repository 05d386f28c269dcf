"""The command ``luokkasilta``: what may be asked of it. What it then does is in bridge/commands.py.

Each use that can't be met is one line on stderr and a code other than 0.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, TypeVar

from bridge.config import Config, parse_address, parse_announced, parse_media
from bridge.errors import SetupError
from bridge.lessons import parse_lesson_id
from bridge.settings import explained
from bridge.values import Role

T = TypeVar("T")
# argparse has no public name for what add_subparsers gives.
Group: TypeAlias = "argparse._SubParsersAction[_Parser]"  # noqa: SLF001
DEFAULT_TTL_S = 3600

FAILED = 1
MISUSED = 2

_TITLE = "Lesson"
_COURSE = "TRIAL"
_DEFAULTS = Config()
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd]?)", re.ASCII)
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and knows no flag by half its name."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        self.exit(MISUSED, f"{self.prog}: {' '.join(message.split())}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, 1 for what can't be done, 2 for what was asked in the wrong way."""
    options = _parser().parse_args(arguments)
    # Imported when it is known what to do.
    from bridge import commands  # noqa: PLC0415 - the server and its libraries take a second to load

    try:
        code: int = getattr(commands, options.run)(options)
        # Where stdout is a pipe that nobody reads, it shall be noticed here.
        sys.stdout.flush()
    except SetupError as error:
        sys.stderr.write(f"luokkasilta: {error.text} ({error.code})\n")
        return FAILED
    except ValueError as error:
        sys.stderr.write(f"luokkasilta: {error}\n")
        return MISUSED
    except BrokenPipeError:
        # Python flushes once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="luokkasilta", description="Classroom bridge: one lesson, live, between sites.")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_servers(verbs)
    _add_lesson(verbs)
    _add_token(verbs)
    recording = _add(
        verbs,
        "recording",
        "recording",
        "Make the playable file of a lesson's recording now, also while it goes on, and print its path.",
    )
    _add_data(recording)
    _add_id(recording, required=True)
    return parser


def _add(verbs: Group, name: str, run: str, text: str) -> _Parser:
    """``run``: the name of its function in bridge/commands.py."""
    made = verbs.add_parser(
        name, help=text, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.set_defaults(run=run)
    return made


def _add_data(made: _Parser) -> None:
    words = f"the data folder of the server (default: {_DEFAULTS.data}, where serve puts it too)"
    made.add_argument("--data", type=Path, default=_DEFAULTS.data, metavar="DIR", help=words)


def _add_id(made: _Parser, *, required: bool, words: str = "the lesson's id") -> None:
    made.add_argument("--id", type=_said(parse_lesson_id), required=required, metavar="ID", help=words)


def _add_servers(verbs: Group) -> None:
    serve = _add(verbs, "serve", "serve", "Run the server until it is told to stop.")
    demo = _add(
        verbs,
        "demo",
        "demo",
        "Run the server with a demo lesson and a synthetic classroom in it; the lesson is recorded.",
    )
    for made in (serve, demo):
        _add_addresses(made)
        made.epilog = _file_explained()
    for flag, words in (("--certificate", "certificate chain"), ("--key", "private key of the certificate")):
        serve.add_argument(
            flag,
            type=Path,
            metavar="FILE",
            help=f"the {words}, PEM (default: none, which will do on loopback alone: browsers give a camera "
            "and a microphone only to https pages and to pages of the machine itself)",
        )


def _add_addresses(made: _Parser) -> None:
    """Without defaults of argparse's own: what is not given here is taken from the file."""
    media = " and ".join(map(str, _DEFAULTS.media))
    made.add_argument(
        "--http",
        type=_said(parse_address),
        metavar="ADDR:PORT",
        help=f"where pages and WebSockets are served (default: {_DEFAULTS.http}, this machine alone, "
        "since there is no certificate to begin with)",
    )
    made.add_argument(
        "--behind-proxy",
        action="store_true",
        default=None,
        help="a reverse proxy speaks TLS before the server (default: no, so an address beyond loopback "
        "needs a certificate); then no client counts as on loopback",
    )
    made.add_argument(
        "--media",
        type=_said(parse_media),
        action="append",
        metavar="ADDR:PORT",
        help=f"where sound and picture are heard, UDP and TCP; may be repeated (default: {media}, every "
        "interface on one port, which is all that a firewall has to let in; IPv6 where the machine has it)",
    )
    made.add_argument(
        "--announce",
        type=_said(parse_announced),
        action="append",
        metavar="ADDR[:PORT]",
        help="address that clients are told to send media to, with a port where that differs; may be "
        "repeated; need not be the machine's own (default: the addresses of the interfaces, loopback last, "
        "which is right where no address is translated)",
    )
    made.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help=f"folder of the database, the signing key and the recordings (default: {_DEFAULTS.data}, in the "
        "folder that the server is started in; made when it is not there)",
    )
    made.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings in TOML; flags win over it (default: none, the settings below as they are)",
    )


def _file_explained() -> str:
    lines = ["keys of the configuration file (TOML), with their defaults; paths are from the file's folder:"]
    for key, default, words in explained():
        lines.append(f"  {key}{f' = {default}' if default else ''}")
        lines += textwrap.wrap(words, 100, initial_indent="        ", subsequent_indent="        ")
    return "\n".join(lines)


def _add_lesson(verbs: Group) -> None:
    lesson = verbs.add_parser("lesson", help="Make, list and end lessons in the data folder.")
    actions = lesson.add_subparsers(required=True, metavar="new|list|end")
    new = _add(actions, "new", "lesson_new", "Make a lesson, open at once, and print its id.")
    _add_data(new)
    _add_id(new, required=False, words="the id it gets (default: a new one, that can be read aloud)")
    new.add_argument("--title", default=_TITLE, help="what pages show (default: %(default)s)")
    new.add_argument("--course", default=_COURSE, help="the course's code (default: %(default)s)")
    new.add_argument("--waiting", action="store_true", help="the lesson waits until its teacher opens it")
    new.add_argument(
        "--record",
        action="store_true",
        help="keep the teacher's sound and pictures; every page says so (default: nothing is kept)",
    )
    listing = _add(
        actions,
        "list",
        "lesson_list",
        "Print id, state, course and title of every lesson, one a line, with tabs.",
    )
    _add_data(listing)
    _add_id(listing, required=False, words="of this lesson alone")
    end = _add(actions, "end", "lesson_end", "End a lesson; a running server does so within a second.")
    _add_data(end)
    _add_id(end, required=True)


def _add_token(verbs: Group) -> None:
    token = _add(verbs, "token", "token", "Print a token that lets an endpoint into a lesson.")
    _add_data(token)
    token.add_argument("--lesson", type=_said(parse_lesson_id), metavar="ID", help="the lesson's id")
    token.add_argument("--role", type=Role, choices=tuple(Role), metavar="ROLE", help="%(choices)s")
    token.add_argument(
        "--site", help="the site's public name, e.g. Iisalmi (default: the role's, with a few letters)"
    )
    token.add_argument("--room", help="the physical room, where several devices share one")
    token.add_argument(
        "--operator",
        action="store_true",
        help="a token for /metrics and /api/statistics instead; it lets nobody into a lesson",
    )
    token.add_argument(
        "--ttl",
        type=_said(parse_duration),
        default=DEFAULT_TTL_S,
        metavar="SECONDS",
        help="how long it lets somebody in; also 15m, 12h, 7d (default: %(default)s, one lesson)",
    )


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


if __name__ == "__main__":
    sys.exit(main())
