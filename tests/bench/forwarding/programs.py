"""The native programs of the benchmark as processes: built, started, spoken to by lines of JSON, ended.

Load   endpoints (load/src/bin/load.rs)
Bare   the yardstick (load/src/bin/bare.rs)
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.bench.forwarding import descriptions
from tests.bench.forwarding.descriptions import Local

_CRATE = Path(__file__).parent / "load"
_BINARIES = _CRATE / "target" / "release"
_ANSWER_S = 20.0


def build() -> None:
    """Build both programs in release mode; takes a minute the first time."""
    command = (
        "cargo",
        "build",
        "--release",
        "--locked",
        "--quiet",
        "--manifest-path",
        str(_CRATE / "Cargo.toml"),
    )
    subprocess.run(command, check=True)


class Program:
    """A process that answers lines of JSON by lines of JSON."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, message: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def hear(self) -> dict[str, Any]:
        """The next line. Raises RuntimeError where the program ended, TimeoutError where it is silent."""
        assert self._process.stdout is not None
        async with asyncio.timeout(_ANSWER_S):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("a program of the benchmark ended; what it said is above")
        message: dict[str, Any] = json.loads(line)
        return message

    async def close(self) -> None:
        """End its input and wait for its end; its last words are not heard."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.communicate()


@asynccontextmanager
async def _running(name: str) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(_BINARIES / name, stdin=PIPE, stdout=PIPE, limit=1 << 20)
    program = Program(process)
    try:
        yield program
    finally:
        if process.returncode is None:
            await program.close()


class Load:
    """Some endpoints in one process."""

    def __init__(self, program: Program, fingerprint: str) -> None:
        self._program = program
        self._fingerprint = fingerprint
        self._opened = 0

    @property
    def pid(self) -> int:
        return self._program.pid

    async def open(self, address: str) -> tuple[int, Local]:
        """A new endpoint's number and its half of a description."""
        self._opened += 1
        self._program.tell({"open": {"id": self._opened}})
        port = (await self._program.hear())["port"]
        return self._opened, Local(self._fingerprint, port, address)

    async def connect(self, number: int, local: Local, remote: str, *, publishes: bool = False) -> None:
        """Let the endpoint connect to who described itself as ``remote``; returns when SRTP has its keys."""
        plan = descriptions.plan(local, remote, publishes=publishes)
        self._program.tell({"add": {"id": number, "plan": plan}})
        assert await self._program.hear() == {"connected": number}

    async def raw(self) -> dict[str, Any]:
        """A receiver with keys of ours instead of a negotiation: port, key and salt."""
        self._opened += 1
        keys = {"key": list(secrets.token_bytes(16)), "salt": list(secrets.token_bytes(12))}
        self._program.tell({"raw": {"id": self._opened, **keys}})
        return {"port": (await self._program.hear())["port"], **keys}

    def start(self) -> None:
        """Publishers begin to send."""
        self._program.tell("start")

    def begin(self) -> None:
        """A measured span begins."""
        self._program.tell("begin")

    async def end(self) -> dict[str, Any]:
        """The span's counts: ``publishers``, ``receivers``, ``silent``, ``delays_us``."""
        self._program.tell("end")
        return await self._program.hear()


@asynccontextmanager
async def load() -> AsyncIterator[Load]:
    """A load process without endpoints."""
    async with _running("load") as program:
        yield Load(program, (await program.hear())["fingerprint"])


@asynccontextmanager
async def bare(receivers: Sequence[dict[str, Any]], *, segments: bool) -> AsyncIterator[Program]:
    """The bare loop, sending to ``receivers`` (of Load.raw)."""
    async with _running("bare") as program:
        program.tell({"receivers": list(receivers), "segments": segments})
        assert await program.hear() == {"ready": True}
        yield program


def processor_ns(pid: int) -> int:
    """User and system time of all threads of a process so far, in nanoseconds.

    The scheduler's own account (schedstat), which has no ticks; where the kernel has none, the ticks of stat.
    """
    threads = [Path(entry.path, "schedstat") for entry in os.scandir(f"/proc/{pid}/task")]
    try:
        return sum(int(thread.read_text().split()[0]) for thread in threads)
    except FileNotFoundError:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def resident_octets(pid: int) -> int:
    """Memory that is this process's own (VmRSS)."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1]
    return int(kilobytes) * 1024
