"""Measures the line emulator on this machine: ``python -m tests.bench.line``

Packets a second through an unlimited line, and how much later than asked packets arrive that are sent evenly.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import struct
import sys
import time

from tests.line.namespaces import why_not
from tests.line.network import SERVER_ADDRESS, Line, open_network

OCTETS = 1172
"""1,200 with the headers."""
DELAY_S = 0.03


def send_evenly(up: socket.socket, down: socket.socket, rate: float, seconds: float) -> list[float]:
    """Send ``rate`` packets a second for ``seconds``; how long each that arrived was on the way, seconds."""
    ways: list[float] = []

    def receive() -> None:
        try:
            while True:
                sent = struct.unpack("!d", down.recv(2048)[:8])[0]
                ways.append(time.monotonic() - sent)
        except TimeoutError:
            return

    async def both() -> None:
        receiving = asyncio.to_thread(receive)
        await asyncio.gather(receiving, asyncio.to_thread(send))

    def send() -> None:
        start = time.monotonic()
        for number in range(int(rate * seconds)):
            ahead = start + number / rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            up.send(struct.pack("!d", time.monotonic()).ljust(OCTETS, b"\0"))

    asyncio.run(both())
    return ways


async def measure(rates: list[float], seconds: float) -> None:
    print(f"load before: {os.getloadavg()[0]:.2f}")
    print("| packets/s sent | Mbit/s | arrived | late ms: median, p95, p99, most | missed |")
    print("|---|---|---|---|---|")
    for rate in rates:
        async with open_network() as network:
            client = await network.new_client()
            leg = await network.join(client, Line(delay_s=DELAY_S))
            down = network.server.socket(kind=socket.SOCK_DGRAM)
            up = client.socket(kind=socket.SOCK_DGRAM)
            with down, up:
                down.bind((SERVER_ADDRESS, 0))
                down.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
                down.settimeout(1.0)
                up.connect(down.getsockname())
                ways = await asyncio.to_thread(send_evenly, up, down, rate, seconds)
            missed = (await leg.counters()).missed
        late = sorted(1000 * (way - DELAY_S) for way in ways)
        cuts = statistics.quantiles(late, n=100)
        figures = f"{cuts[49]:.2f}, {cuts[94]:.2f}, {cuts[98]:.2f}, {late[-1]:.2f}"
        megabits = rate * (OCTETS + 28) * 8 / 1e6
        print(f"| {rate:.0f} | {megabits:.1f} | {len(ways) / (rate * seconds):.1%} | {figures} | {missed} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each rate is sent (5)")
    parser.add_argument("--rates", type=float, nargs="*", default=[200, 1000, 4000, 10000, 20000])
    options = parser.parse_args()
    if reason := why_not():
        print(f"no line on this machine: {reason}", file=sys.stderr)
        return 1
    asyncio.run(measure(options.rates, options.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
