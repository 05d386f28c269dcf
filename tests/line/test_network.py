"""The line over real devices: UDP and TCP through the kernels' own stacks of two namespaces."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import sys
import time
from asyncio.subprocess import PIPE
from dataclasses import replace
from pathlib import Path

import pytest

from tests.line.loss import GilbertElliott
from tests.line.namespaces import Namespace
from tests.line.network import NO_UDP, SERVER_ADDRESS, Line, Network

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 20.0


class Ends:
    """A UDP socket at the server and one at the client that know each other."""

    def __init__(self, server: Namespace, client: Namespace) -> None:
        self.server = server.socket(kind=socket.SOCK_DGRAM)
        self.client = client.socket(kind=socket.SOCK_DGRAM)
        self.server.bind((SERVER_ADDRESS, 0))
        self.client.connect(self.server.getsockname())
        for each in (self.server, self.client):
            each.settimeout(PATIENCE_S)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

    async def __aenter__(self) -> Ends:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        self.client.close()

    def meet(self) -> None:
        """The server learns the client's address."""
        self.client.send(b"hello")
        self.server.connect(self.server.recvfrom(100)[1])

    def send_up(self, count: int, every_s: float, octets: int = 200) -> list[tuple[int, float]]:
        """(number, seconds on the way) of what arrived at the server."""
        arrived: list[tuple[int, float]] = []
        start = time.monotonic()
        self.server.settimeout(0)
        for number in range(count):
            while time.monotonic() < start + number * every_s:
                self._take(arrived)
                time.sleep(0.0003)
            self.client.send(struct.pack("!Id", number, time.monotonic()).ljust(octets, b"\0"))
            self._take(arrived)
        self.server.settimeout(0.7)
        self._take(arrived)
        return arrived

    def _take(self, arrived: list[tuple[int, float]]) -> None:
        try:
            while True:
                number, sent = struct.unpack("!Id", self.server.recv(2000)[:12])
                arrived.append((number, time.monotonic() - sent))
        except (BlockingIOError, TimeoutError):
            return


async def test_udp_has_the_delay_of_both_ways_and_the_counters_know(network: Network) -> None:
    client = await network.new_client()
    leg = await network.join(client, Line(delay_s=0.05))
    async with Ends(network.server, client) as ends:
        start = time.monotonic()
        await asyncio.to_thread(ends.meet)
        ends.server.send(b"hello yourself")
        assert await asyncio.to_thread(ends.client.recv, 100) == b"hello yourself"
        assert time.monotonic() - start >= 0.1
    counters = await leg.counters()
    assert (counters.down.offered, counters.down.delivered) == (1, 1)
    assert (counters.up.offered, counters.up.delivered, counters.missed) == (1, 1, 0)
    assert counters.down.delivered_octets == len(b"hello yourself") + 28


async def test_loss_of_the_seed_is_the_same_in_two_runs(network: Network) -> None:
    line = Line(loss_up=GilbertElliott.bursts(0.2, 3.0), seed=11)
    runs = []
    for _ in range(2):
        client = await network.new_client()
        leg = await network.join(client, line)
        async with Ends(network.server, client) as ends:
            runs.append([number for number, _ in await asyncio.to_thread(ends.send_up, 400, 0.001)])
        counters = await leg.counters()
        assert counters.missed == 0
        assert counters.up.offered == 400
        assert counters.up.delivered == len(runs[-1])
    assert runs[0] == runs[1] == sorted(runs[0])
    assert 0.1 < 1 - len(runs[0]) / 400 < 0.3


async def test_tcp_is_held_to_the_rate_and_gets_through_loss_whole(network: Network) -> None:
    client = await network.new_client()
    line = Line(rate_down=4e6, rate_up=4e6, delay_s=0.005, loss=GilbertElliott.bursts(0.01, 2.0))
    leg = await network.join(client, line)
    payload = os.urandom(500_000)
    listener = network.server.socket()
    listener.bind((SERVER_ADDRESS, 0))
    listener.listen()
    listener.settimeout(PATIENCE_S)

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.settimeout(PATIENCE_S)
            connection.sendall(payload)

    def fetch() -> bytes:
        with client.socket() as connection:
            connection.settimeout(PATIENCE_S)
            connection.connect(listener.getsockname())
            return b"".join(iter(lambda: connection.recv(65536), b""))

    start = time.monotonic()
    _, got = await asyncio.gather(asyncio.to_thread(serve), asyncio.to_thread(fetch))
    assert got == payload
    assert time.monotonic() - start >= 8 * len(payload) / 4e6
    assert (await leg.counters()).missed == 0


async def test_udp_is_blocked_while_tcp_passes_and_comes_back(network: Network) -> None:
    client = await network.new_client()
    line = Line()
    leg = await network.join(client, line.without(*NO_UDP))
    async with Ends(network.server, client) as ends:
        ends.client.send(b"into the wall")
        listener = network.server.socket()
        listener.bind((SERVER_ADDRESS, 0))
        listener.listen()
        with listener, client.socket() as connection:
            connection.settimeout(PATIENCE_S)
            await asyncio.to_thread(connection.connect, listener.getsockname())
        counters = await leg.counters()
        assert counters.up.blocked == 1
        assert counters.up.delivered >= 2
        await leg.change(line)
        await asyncio.to_thread(ends.meet)


async def test_the_queue_is_as_long_as_its_time_and_a_rate_can_change(network: Network) -> None:
    client = await network.new_client()
    line = Line(rate_up=1e6)
    leg = await network.join(client, line)
    async with Ends(network.server, client) as ends:
        arrived = await asyncio.to_thread(ends.send_up, 300, 0.001, 1222)
        # 10 kbit in each with its headers: ten times the rate for 0.3 s, then what is queued.
        assert max(way_s for _, way_s in arrived) >= 0.25
        counters = await leg.counters()
        assert counters.up.dropped == 300 - len(arrived)
        assert 50 <= len(arrived) <= 65
        await leg.change(replace(line, rate_up=None))
        assert len(await asyncio.to_thread(ends.send_up, 300, 0.001, 1222)) == 300
        assert (await leg.counters()).missed == 0


async def test_a_second_leg_takes_over_when_the_first_is_pulled(network: Network) -> None:
    client = await network.new_client()
    first = await network.join(client, Line())
    second = await network.join(client, None, up=False)
    own_address = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
    own_address += f"s.connect(('{SERVER_ADDRESS}', 9)); print(s.getsockname()[0])"

    async def address() -> str:
        return (await client.run(sys.executable, "-c", own_address)).strip()

    assert await address() == first.client_address
    await second.set_up()
    assert await address() == first.client_address
    await first.set_down()
    assert await address() == second.client_address
    async with Ends(network.server, client) as ends:
        await asyncio.to_thread(ends.meet)
    await first.set_up()
    assert await address() == first.client_address
    async with Ends(network.server, client) as ends:
        await asyncio.to_thread(ends.meet)
    with pytest.raises(ValueError, match="without a Line"):
        await second.counters()


_MAKE_AND_WAIT = """
import asyncio
from tests.line.network import Line, open_network
async def main():
    async with open_network() as network:
        client = await network.new_client()
        await network.join(client, Line())
        print(network.server.pid, client.pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_everything_ends_with_a_test_that_was_killed(network: Network) -> None:
    # `network` is here for its skip alone.
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _MAKE_AND_WAIT,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=PIPE,
    )
    assert process.stdout is not None
    holders = [int(pid) for pid in (await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)).split()]
    mine = {_namespace(pid) for pid in holders}
    assert len(mine) == 2
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    left = holders
    for _ in range(400):
        left = [pid for pid in _processes() if _namespace(pid) in mine]
        if not left:
            break
        await asyncio.sleep(0.05)
    assert not left


def _processes() -> list[int]:
    return [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]


def _namespace(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/ns/net").readlink()
    except OSError:
        return None
