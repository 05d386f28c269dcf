"""A server and clients, each in a network namespace of its own, joined by lines.

                      leg 0: a Line (two TUN devices with tests.line.emulator between them)
    server ---------- leg 1: a Line ----------------------------- client
    10.77.0.1   '---- leg 2: no Line, a veth pair -------- client
                      each leg i: 10.77.(i+1).1 at the server, 10.77.(i+1).2 at the client

The server has one address, on its loopback, and reaches each client's addresses by their legs. A client
has a default route over its first leg that is up (Firefox connects to nothing without one). "down" is from
the server to the client, "up" the other way. The emulator moves IPv6 too, the network has none.

    async with open_network() as network:
        client = await network.new_client()
        line = Line(rate_down=2e6, delay_s=0.03, loss=GilbertElliott.bursts(0.05, 2))
        leg = await network.join(client, line)
        await network.server.run("ping", ...)
        await leg.change(replace(line, rate_down=5e5))
        print(await leg.counters())
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.line.emulator import conditions_to_json
from tests.line.loss import NO_LOSS, GilbertElliott
from tests.line.namespaces import Namespace, new_namespace
from tests.line.oneway import QUEUE_S, Conditions, Counters

SERVER_ADDRESS = "10.77.0.1"
_ROOT = Path(__file__).resolve().parents[2]
_ANSWER_S = 20.0
_FIRST_METRIC = 100


@dataclass(frozen=True, slots=True)
class Line:
    """What a line is like in both directions; rates in bit/s, ``None`` is no limit; ``delay_s`` is one way.

    ``loss`` holds for both directions unless ``loss_up`` says otherwise; each has its own random numbers.
    ``blocked``: IP protocol numbers that don't pass.
    """

    rate_down: float | None = None
    rate_up: float | None = None
    delay_s: float = 0.0
    loss: GilbertElliott = NO_LOSS
    loss_up: GilbertElliott | None = None
    queue_s: float = QUEUE_S
    blocked: tuple[int, ...] = ()
    seed: int = 0

    @property
    def down(self) -> Conditions:
        return Conditions(self.rate_down, self.delay_s, self.queue_s, self.loss, self.blocked)

    @property
    def up(self) -> Conditions:
        loss = self.loss if self.loss_up is None else self.loss_up
        return replace(self.down, rate=self.rate_up, loss=loss)

    def without(self, *protocols: int) -> Line:
        """The same line where these IP protocols don't pass."""
        return replace(self, blocked=protocols)


NO_UDP = (socket.IPPROTO_UDP,)


@dataclass(frozen=True, slots=True)
class LineCounters:
    """``missed``: packets that a device dropped before the emulator could read them, as the machine was too
    busy, and that a device which was down did not take; a test whose loss matters asserts that it is 0."""

    down: Counters
    up: Counters
    missed: int


class _Emulator:
    def __init__(self, process: Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn, asyncio.timeout(_ANSWER_S):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the line's emulator has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Leg:
    """One way between the server and a client."""

    def __init__(
        self, number: int, server: Namespace, client: Namespace, line: Line | None, emulator: _Emulator | None
    ) -> None:
        self.line = line
        """``None`` for a veth pair, which is as good as the machine."""
        self.server_address, self.client_address = f"10.77.{number + 1}.1", f"10.77.{number + 1}.2"
        self.server_device, self.client_device = f"s{number}", f"c{number}"
        self._server, self._client, self._emulator = server, client, emulator
        self._metric = _FIRST_METRIC + number

    async def change(self, line: Line) -> None:
        """From now on the line is like this; the seed stays as it was."""
        await self._line().ask({"down": conditions_to_json(line.down), "up": conditions_to_json(line.up)})
        self.line = line

    async def counters(self) -> LineCounters:
        answer = await self._line().ask({})
        missed: int = answer["unwritten"]
        for namespace, device in ((self._server, self.server_device), (self._client, self.client_device)):
            (shown,) = json.loads(await namespace.run("ip", "-json", "-stats", "link", "show", "dev", device))
            missed += shown["stats64"]["tx"]["dropped"]
        return LineCounters(Counters(**answer["down"]), Counters(**answer["up"]), missed)

    async def set_down(self) -> None:
        """As if the client's cable was pulled: its device and its routes go."""
        await self._client.run("ip", "link", "set", self.client_device, "down")

    async def set_up(self) -> None:
        """Up (again), with its default route, which is second to that of an earlier leg."""
        await self._client.run("ip", "link", "set", self.client_device, "up")
        route = ("default", "via", self.server_address, "dev", self.client_device)
        await self._client.run("ip", "route", "replace", *route, "metric", str(self._metric))

    def _line(self) -> _Emulator:
        if self._emulator is None:
            raise ValueError("a leg without a Line has no conditions and no counters")
        return self._emulator


class Network:
    """Made by ``open_network``; all that it makes ends with it."""

    def __init__(self, server: Namespace, stack: AsyncExitStack) -> None:
        self.server = server
        self.legs: list[Leg] = []
        self._stack = stack
        self._numbers = itertools.count()

    async def new_client(self) -> Namespace:
        """A namespace that is not joined to anything yet."""
        return await self._stack.enter_async_context(new_namespace())

    async def join(self, client: Namespace, line: Line | None = None, *, up: bool = True) -> Leg:
        """Lay a leg from the server to ``client``; without ``up`` the client's end waits for ``set_up``."""
        number = next(self._numbers)
        emulator = None
        devices = f"s{number}", f"c{number}"
        if line is None:
            veth = ("type", "veth", "peer", "name", devices[1], "netns", str(client.pid))
            await self.server.run("ip", "link", "add", devices[0], *veth)
        else:
            emulator = await self._stack.enter_async_context(
                _emulator((self.server.pid, client.pid), devices, line)
            )
        leg = Leg(number, self.server, client, line, emulator)
        for namespace, device, own in (
            (self.server, devices[0], leg.server_address),
            (client, devices[1], leg.client_address),
        ):
            await namespace.run("ip", "address", "add", f"{own}/30", "dev", device)
        await self.server.run("ip", "link", "set", devices[0], "up")
        if up:
            await leg.set_up()
        self.legs.append(leg)
        return leg


@asynccontextmanager
async def open_network() -> AsyncIterator[Network]:
    """Raises RuntimeError or OSError where tests.line.namespaces.why_not would say why."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(new_namespace())
        await server.run("ip", "address", "add", f"{SERVER_ADDRESS}/32", "dev", "lo")
        yield Network(server, stack)


@asynccontextmanager
async def _emulator(pids: tuple[int, int], devices: tuple[str, str], line: Line) -> AsyncIterator[_Emulator]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.line.emulator", *map(str, pids), *devices),
        cwd=_ROOT,
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
        stdin=PIPE,
        stdout=PIPE,
    )
    try:
        emulator = _Emulator(process)
        conditions = {"down": conditions_to_json(line.down), "up": conditions_to_json(line.up)}
        await emulator.ask(conditions | {"seed": line.seed})
        yield emulator
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(_ANSWER_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
