"""A bad line to try something on: ``python -m tests.line --rate-down 2M --delay 30 --loss 5 --burst 2.5``

Makes two network namespaces, a server's (address 10.77.0.1) and a client's, with one line between them, and
says how to enter them. With a command after ``--`` it runs that in the client's namespace and ends with it;
else it waits for Ctrl-C. At the end it tells what became of the packets.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from tests.line.loss import GilbertElliott
from tests.line.namespaces import why_not
from tests.line.network import NO_UDP, SERVER_ADDRESS, Leg, Line, open_network
from tests.line.oneway import QUEUE_S

_UNITS = {"k": 1e3, "M": 1e6, "G": 1e9}


def parse_rate(text: str) -> float:
    """bit/s of "300000", "300k", "2M" or "1.5M". Raises ValueError."""
    unit = _UNITS.get(text[-1:])
    rate = float(text[:-1]) * unit if unit else float(text)
    if not 0 < rate < float("inf"):
        raise ValueError(f"{text!r} is no rate")
    return rate


def parse_line(arguments: Sequence[str]) -> tuple[Line, list[str]]:
    """The line that the arguments ask for, and the command after ``--``. Exits on what it can't read."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.line", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--rate-down", type=parse_rate, metavar="RATE", help="bit/s towards the client, e.g. 2M (no limit)")
    add("--rate-up", type=parse_rate, metavar="RATE", help="bit/s towards the server (no limit)")
    add("--delay", type=float, default=0.0, metavar="MS", help="one way, milliseconds (0)")
    add(
        "--queue", type=float, default=1000 * QUEUE_S, metavar="MS", help="what the queue holds (%(default)g)"
    )
    add("--loss", type=float, default=0.0, metavar="PERCENT", help="of all packets, each way (0)")
    add("--burst", type=float, default=1.0, metavar="PACKETS", help="mean length of a loss (1)")
    add("--no-udp", action="store_true", help="UDP does not pass")
    add("--seed", type=int, default=0, help="decides which packets are lost (0)")
    add("command", nargs="*", help="run in the client's namespace")
    options = parser.parse_args(arguments)
    try:
        line = Line(
            rate_down=options.rate_down,
            rate_up=options.rate_up,
            delay_s=options.delay / 1000,
            loss=GilbertElliott.bursts(options.loss / 100, options.burst),
            queue_s=options.queue / 1000,
            blocked=NO_UDP if options.no_udp else (),
            seed=options.seed,
        )
        # Made here too, since they say what can't be.
        _ = line.down, line.up
    except ValueError as error:
        parser.error(str(error))
    return line, options.command


async def run(line: Line, command: list[str]) -> int:
    """Until the command ends (its exit code) or Ctrl-C (0)."""
    async with open_network() as network:
        client = await network.new_client()
        leg = await network.join(client, line)
        print(f"server {SERVER_ADDRESS}: nsenter --net={network.server.path}")
        print(f"client {leg.client_address}: nsenter --net={client.path}", flush=True)
        stop = asyncio.Event()
        for each in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(each, stop.set)
        if command:
            process = await asyncio.create_subprocess_exec(*client.command(*command))
            code = await process.wait()
        else:
            code = 0
            await stop.wait()
        await _tell(leg)
    return code


async def _tell(leg: Leg) -> None:
    counters = await leg.counters()
    for name, way in (("down", counters.down), ("up", counters.up)):
        print(f"{name}: {', '.join(f'{count} {what}' for what, count in way.as_dict().items())}")
    print(f"missed by the emulator: {counters.missed}")


def main() -> int:
    line, command = parse_line(sys.argv[1:])
    if reason := why_not():
        print(f"no line on this machine: {reason}", file=sys.stderr)
        return 1
    return asyncio.run(run(line, command))


if __name__ == "__main__":
    sys.exit(main())
