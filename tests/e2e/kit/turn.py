"""Debian's coturn as the TURN server of a test: UDP, TCP and TLS, timed credentials from a shared secret."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import shutil
import signal
import socket
import time
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.kit.certificate import write_certificate
from tests.e2e.kit.server import stop_process
from tests.line.namespaces import Namespace

_START_S = 20.0
_REALM = "luokkasilta.test"
RELAY_PORTS = (49_200, 49_399)


@dataclass(frozen=True, slots=True)
class TurnServer:
    """A coturn that answers; one port takes UDP and TCP, the other TLS over TCP."""

    address: str
    port: int
    tls_port: int
    secret: str
    log: Path
    certificate: Path

    @property
    def udp(self) -> str:
        return f"turn:{self.address}:{self.port}?transport=udp"

    @property
    def tcp(self) -> str:
        return f"turn:{self.address}:{self.port}?transport=tcp"

    @property
    def tls(self) -> str:
        return f"turns:{self.address}:{self.tls_port}?transport=tcp"

    def credentials(self, name: str = "endpoint", ttl_s: int = 3600) -> tuple[str, str]:
        """(username, password) of the TURN REST scheme (draft-uberti-behave-turn-rest)."""
        username = f"{int(time.time()) + ttl_s}:{name}"
        digest = hmac.new(self.secret.encode(), username.encode(), hashlib.sha1).digest()
        return username, base64.b64encode(digest).decode()

    def ice_server(self, *urls: str) -> dict[str, object]:
        """An RTCIceServer."""
        username, credential = self.credentials()
        return {"urls": list(urls), "username": username, "credential": credential}

    def allocations(self) -> int:
        """How many relayed addresses it has given out so far, by its log."""
        return self.log.read_text(errors="replace").count("ALLOCATE processed, success")


def why_no_turn() -> str | None:
    """Why this machine can't run it; ``None`` when it can."""
    return None if shutil.which("turnserver") else "turnserver is not installed (Debian: coturn)"


@asynccontextmanager
async def running_turn(
    folder: Path, address: str = "127.0.0.1", namespace: Namespace | None = None
) -> AsyncIterator[TurnServer]:
    """Start coturn on ``address`` and stop it at the end. Raises AssertionError when it does not answer."""
    port, tls_port = _free_port(address, namespace), _free_port(address, namespace)
    files = write_certificate(folder, address)
    server = TurnServer(
        address, port, tls_port, secrets.token_urlsafe(24), folder / "turn.log", files.certificate
    )
    settings = [
        f"listening-ip={address}",
        f"relay-ip={address}",
        f"listening-port={port}",
        f"tls-listening-port={tls_port}",
        f"min-port={RELAY_PORTS[0]}",
        f"max-port={RELAY_PORTS[1]}",
        f"cert={files.certificate}",
        f"pkey={files.key}",
        "use-auth-secret",
        f"static-auth-secret={server.secret}",
        f"realm={_REALM}",
        f"userdb={folder / 'turn.db'}",
        f"pidfile={folder / 'turn.pid'}",
        f"log-file={server.log}",
        "simple-log",
        "verbose",
        "new-log-timestamp",
        "no-cli",
        "no-dtls",
        "no-multicast-peers",
        # The server of the lesson is on the same machine.
        "allow-loopback-peers",
    ]
    configuration = folder / "turnserver.conf"
    configuration.touch(mode=0o600)
    configuration.write_text("\n".join(settings) + "\n")
    command: tuple[str, ...] = ("turnserver", "-c", str(configuration))
    if namespace is not None:
        command = namespace.command(*command)
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    try:
        async with asyncio.timeout(_START_S):
            while not await asyncio.to_thread(_answers, server, namespace):
                assert process.returncode is None, f"coturn ended with {process.returncode}"
                await asyncio.sleep(0.1)
        yield server
    finally:
        await stop_process(process, signal.SIGTERM)


def _new_socket(namespace: Namespace | None, kind: int) -> socket.socket:
    return socket.socket(socket.AF_INET, kind) if namespace is None else namespace.socket(kind=kind)


def _free_port(address: str, namespace: Namespace | None) -> int:
    """Free for UDP and TCP a moment ago."""
    with _new_socket(namespace, socket.SOCK_STREAM) as tcp:
        tcp.bind((address, 0))
        port: int = tcp.getsockname()[1]
        with _new_socket(namespace, socket.SOCK_DGRAM) as udp:
            udp.bind((address, port))
        return port


def _answers(server: TurnServer, namespace: Namespace | None) -> bool:
    """A Binding request (RFC 8489) over UDP is answered, and both TCP ports are open."""
    request = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + secrets.token_bytes(12)
    try:
        with _new_socket(namespace, socket.SOCK_DGRAM) as udp:
            udp.settimeout(0.5)
            udp.connect((server.address, server.port))
            udp.send(request)
            answered = udp.recv(2048)[8:20] == request[8:20]
        for port in (server.port, server.tls_port):
            with _new_socket(namespace, socket.SOCK_STREAM) as tcp:
                tcp.settimeout(0.5)
                tcp.connect((server.address, port))
    except OSError:
        return False
    return answered
