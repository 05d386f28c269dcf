"""The process between two TUN devices: ``python -m tests.line.emulator``, started by tests.line.network.

    namespace A -- TUN --> OneWay "down" --> TUN -- namespace B
                   TUN <-- OneWay "up"  <-- TUN

Arguments: the process ids that hold A and B, the names of the devices there. Requests come as JSON lines on
the standard input, each is answered by one on the standard output; the end of the input ends the process, and
with it both devices.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import struct
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from tests.line.loss import GilbertElliott
from tests.line.namespaces import TUN, enter
from tests.line.oneway import Conditions, OneWay

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LARGEST = 65_535
_AT_ONCE = 64
"""Packets read from one device before the other has its turn."""
_NICE = -10
"""The line is to keep time while browsers fill the machine."""


def conditions_to_json(conditions: Conditions) -> dict[str, Any]:
    return asdict(conditions)


def conditions_from_json(fields: dict[str, Any]) -> Conditions:
    loss = GilbertElliott(**fields.pop("loss"))
    return Conditions(**fields | {"loss": loss, "blocked": tuple(fields["blocked"])})


class Emulator:
    """Moves packets between two descriptors, each read and write of which is one IP packet."""

    def __init__(self, near_server: int, near_client: int, request: dict[str, Any]) -> None:
        seed = request["seed"]
        down, up = (conditions_from_json(request[name]) for name in ("down", "up"))
        self.ways = {"down": OneWay(down, f"{seed} down"), "up": OneWay(up, f"{seed} up")}
        self._legs = (
            (near_server, near_client, self.ways["down"]),
            (near_client, near_server, self.ways["up"]),
        )
        self.unwritten = 0
        """Packets that the other side's device did not take: it is down."""

    def run(self) -> None:
        """Until the standard input ends."""
        readers = [source for source, _, _ in self._legs]
        while True:
            ready, _, _ = select.select([*readers, 0], [], [], self._patience())
            for source, _, way in self._legs:
                if source in ready:
                    self._take(source, way)
            for _, sink, way in self._legs:
                for packet in way.due(time.monotonic()):
                    self._write(sink, packet)
            if 0 in ready and not self._obey():
                return

    def _patience(self) -> float | None:
        times = [at for _, _, way in self._legs if (at := way.next_event()) is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _take(self, source: int, way: OneWay) -> None:
        # Nothing more to read, or the device is down.
        with suppress(OSError):
            for _ in range(_AT_ONCE):
                way.offer(time.monotonic(), os.read(source, _LARGEST))

    def _write(self, sink: int, packet: bytes) -> None:
        try:
            os.write(sink, packet)
        except OSError:
            self.unwritten += 1

    def _obey(self) -> bool:
        line = sys.stdin.readline()
        if not line:
            return False
        request = json.loads(line)
        now = time.monotonic()
        for name, way in self.ways.items():
            if name in request:
                way.change(now, conditions_from_json(request[name]))
        answer: dict[str, Any] = {name: way.counters.as_dict() for name, way in self.ways.items()}
        print(json.dumps(answer | {"unwritten": self.unwritten}), flush=True)
        return True


def open_tun(pid: int, name: str) -> int:
    """A TUN device (no packet information) in the namespace of ``pid``. Raises OSError."""
    enter(f"/proc/{pid}/ns/net")
    descriptor = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return descriptor


def main() -> int:
    server, client, server_device, client_device = sys.argv[1:]
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    descriptors = open_tun(int(server), server_device), open_tun(int(client), client_device)
    emulator = Emulator(*descriptors, json.loads(sys.stdin.readline()))
    print(json.dumps({"ready": True}), flush=True)
    emulator.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
