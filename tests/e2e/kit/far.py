"""A server that its clients reach over a line: a network of namespaces with the server in one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.kit.server import Server, running_server
from tests.line.namespaces import Namespace
from tests.line.network import SERVER_ADDRESS, Leg, Line, Network, open_network


@dataclass(frozen=True, slots=True)
class FarServer:
    """``client`` is joined to the server by ``leg``; more clients and legs can be had from ``network``."""

    server: Server
    network: Network
    client: Namespace
    leg: Leg

    @property
    def browser_flags(self) -> tuple[str, ...]:
        """What Chromium needs to have a camera on the server's pages, which are not on loopback."""
        return (f"--unsafely-treat-insecure-origin-as-secure={self.server.base_url}",)


@asynccontextmanager
async def far_server(
    folder: Path, line: Line | None, *, more: Sequence[str] = ()
) -> AsyncIterator[FarServer]:
    """A running server and one client's namespace, joined by ``line``; with ``None`` by a good one."""
    async with open_network() as network:
        client = await network.new_client()
        leg = await network.join(client, line)
        arguments = ("--announce", SERVER_ADDRESS, *more)
        http, media = f"{SERVER_ADDRESS}:0", "0.0.0.0:0"
        async with running_server(
            folder, http=http, media=media, more=arguments, namespace=network.server
        ) as server:
            yield FarServer(server, network, client, leg)
