"""The real server as a process of its own, driven by the command that everybody uses."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bridge.values import Role
from tests.line.namespaces import Namespace

ROOT = Path(__file__).resolve().parents[3]
START_S = 30.0
STOP_S = 15.0
_READY = "Luokkasilta listens on "

SERVE = ("-m", "bridge.cli", "serve")
SERVE_WITHOUT_ROOM_RULE = ("-m", "tests.e2e.kit.serve_without_room_rule")
"""The same server with the own-room rule switched off."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is ready."""

    base_url: str
    data: Path
    pid: int
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        """Where it speaks HTTP."""
        parts = urlsplit(self.base_url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    async def new_lesson(self, title: str = "Nyheter och medier", course: str = "RUB14") -> str:
        """Make a lesson and give its id."""
        # It waits, since the kiosk's one button opens it.
        arguments = ("--title", title, "--course", course, "--waiting", "--data", str(self.data))
        return await run_command("lesson", "new", *arguments)

    async def link(self, lesson: str, role: Role, site: str, room: str | None = None) -> str:
        """A page's address with its token."""
        arguments = ["--lesson", lesson, "--role", role.value, "--site", site, "--data", str(self.data)]
        if room is not None:
            arguments += ["--room", room]
        return f"{self.base_url}/{role.value}#t={await run_command('token', *arguments)}"


async def run_command(*arguments: str) -> str:
    """Run ``luokkasilta`` to its end and give what it printed. Raises RuntimeError with what went wrong."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge.cli", *arguments, cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    said, complaint = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"luokkasilta {arguments[0]} failed: {complaint.decode()}")
    return said.decode().strip()


@asynccontextmanager
async def running_server(
    folder: Path,
    program: Sequence[str] = SERVE,
    *,
    http: str = "127.0.0.1:0",
    media: str = "0.0.0.0:0",
    more: Sequence[str] = (),
    namespace: Namespace | None = None,
) -> AsyncIterator[Server]:
    """Start the server, with ``more`` arguments and in ``namespace`` where given, and stop it at the end.

    Raises AssertionError when it does not start, when it doesn't stop in order, or when it logged an error.
    """
    data, log = folder / "data", folder / "server.log"
    command = (sys.executable, *program, "--http", http, "--media", media, "--data", str(data), *more)
    if namespace is not None:
        command = namespace.command(*command)
    with log.open("wb") as complaints:
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=complaints)
        try:
            base_url = await _ready(process, log)
            yield Server(base_url, data, process.pid, log)
        finally:
            code = await stop_process(process)
    assert code == 0, f"the server ended with {code}:\n{log.read_text()[-4000:]}"
    faults = faults_in(log.read_text())
    assert not faults, "the server logged errors:\n" + "\n".join(faults)


async def _ready(process: Process, log: Path) -> str:
    with suppress(TimeoutError):
        async with asyncio.timeout(START_S):
            async for line in lines_of(process):
                if line.startswith(_READY):
                    return line.removeprefix(_READY).split()[0]
    said = await asyncio.to_thread(log.read_text)
    raise AssertionError(f"the server did not start:\n{said[-4000:]}")


async def lines_of(process: Process) -> AsyncIterator[str]:
    """What ``process`` prints, line by line, until it ends."""
    assert process.stdout is not None
    while line := await process.stdout.readline():
        yield line.decode().rstrip("\n")


async def stop_process(process: Process, how: signal.Signals = signal.SIGINT) -> int:
    """Send ``how`` and give the exit code; raises AssertionError where it takes too long (and kills it)."""
    if process.returncode is None:
        # Not process.send_signal: it looks for an exit code first, and so takes it from asyncio.
        with suppress(ProcessLookupError):
            os.kill(process.pid, how)
    try:
        async with asyncio.timeout(STOP_S):
            # communicate reads what is left in the pipe, which would else stay open.
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
        raise AssertionError(f"process {process.pid} did not stop on {how.name}") from None
    assert process.returncode is not None
    return process.returncode


def faults_in(log: str) -> list[str]:
    """The lines that say that something went wrong in the server itself."""
    return [
        line
        for line in log.splitlines()
        if " ERROR " in line or " CRITICAL " in line or line.startswith("Traceback") or "panicked" in line
    ]


def living() -> dict[int, int]:
    """Every process that has not ended, and its parent."""
    parents: dict[int, int] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                # The command's name, in brackets, may hold anything; what follows it is regular.
                state, parent = Path(entry.path, "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    parents[int(entry.name)] = int(parent)
    return parents


def descendants(pid: int) -> set[int]:
    """The living processes that ``pid`` started, and those that these started."""
    parents = living()
    found: set[int] = set()
    wave = {pid}
    while wave:
        wave = {child for child, parent in parents.items() if parent in wave} - found
        found |= wave
    return found
