"""A server that its clients reach over a line: a network of namespaces with the server in one of them.

Its pages are https, since browsers give a camera to no other page that isn't on loopback.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.kit.certificate import write_certificate
from tests.e2e.kit.server import Server, running_server
from tests.e2e.kit.turn import TurnServer, running_turn
from tests.line.namespaces import Namespace
from tests.line.network import SERVER_ADDRESS, Leg, Line, Network, open_network

BROWSER_FLAGS = ("--ignore-certificate-errors",)
"""For Chromium, whose TURN over TLS listens to this flag alone: what Playwright offers for the certificates
of pages does not reach it. (Tried with 156: without it, onicecandidateerror 701 and a TLS session that it
ends; with it, a candidate.)"""

CONTACT_TEXT, CONTACT_PHONE = "Soita koulun kansliaan.", "0600 123 456"
"""What the server tells its pages to show when there is no line."""


@dataclass(frozen=True, slots=True)
class FarServer:
    """``client`` is joined to the server by ``leg``; more clients and legs can be had from ``network``."""

    server: Server
    network: Network
    client: Namespace
    leg: Leg
    turn: TurnServer | None


@asynccontextmanager
async def far_server(
    folder: Path, line: Line | None, *, turn: bool = False, turn_urls: tuple[str, ...] = ("udp", "tcp", "tls")
) -> AsyncIterator[FarServer]:
    """A running server and one client's namespace, joined by ``line``; with ``None`` by a good one.

    ``turn``: a TURN server beside it, which clients are told of by ``turn_urls``.
    """
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(open_network())
        client = await network.new_client()
        leg = await network.join(client, line)
        files = write_certificate(folder, SERVER_ADDRESS)
        settings = [
            f"[contact]\ntext = {json.dumps(CONTACT_TEXT)}\nphone = {json.dumps(CONTACT_PHONE)}",
        ]
        relay = None
        if turn:
            relay = await stack.enter_async_context(running_turn(folder, SERVER_ADDRESS, network.server))
            urls = [getattr(relay, each) for each in turn_urls]
            settings.append(f"[turn]\nurls = {json.dumps(urls)}\nsecret = {json.dumps(relay.secret)}")
        configuration = folder / "luokkasilta.toml"
        configuration.write_text("\n".join(settings) + "\n")
        server = await stack.enter_async_context(
            running_server(
                folder,
                http=f"{SERVER_ADDRESS}:0",
                more=(
                    *("--announce", SERVER_ADDRESS, "--config", str(configuration)),
                    *("--certificate", str(files.certificate), "--key", str(files.key)),
                ),
                namespace=network.server,
            )
        )
        yield FarServer(server, network, client, leg, relay)
