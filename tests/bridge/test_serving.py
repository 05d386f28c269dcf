"""``luokkasilta serve`` as a process: stops when told, obeys other commands, speaks TLS, reads its file."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import signal
import ssl
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridge.values import Role

PATIENCE_S = 60.0
LOOPBACK = ("--http", "127.0.0.1:0", "--media", "127.0.0.1:0")


@dataclass(frozen=True, slots=True)
class Served:
    url: str
    data: Path
    process: Process
    log: Path


async def luokkasilta(*arguments: str | Path) -> str:
    """What a command prints that is met."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge.cli", *map(str, arguments), stdout=PIPE, stderr=PIPE
    )
    said, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return said.decode().strip()


@asynccontextmanager
async def serving(folder: Path, arguments: Sequence[str | Path] = LOOPBACK) -> AsyncIterator[Served]:
    data, log = folder / "data", folder / "log"
    command = [sys.executable, "-m", "bridge.cli", "serve", "--data", str(data), *map(str, arguments)]
    with log.open("wb") as complaints:
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=complaints)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = (await process.stdout.readline()).decode()
        assert line, log.read_text()
        url = next(word for word in line.split() if word.startswith("http"))
        yield Served(url, data, process, log)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await process.communicate()
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode == 0, log.read_text()
    assert not [each for each in ("Traceback", " ERROR ", " CRITICAL ") if each in log.read_text()]


@asynccontextmanager
async def connected(served: Served, token: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A WebSocket that has said hello and was welcomed."""
    url = served.url.replace("http", "ws", 1) + "/ws"
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as ws:
        await ws.send_json({"type": "hello", "version": 1, "token": token})
        assert (await ws.receive_json(timeout=PATIENCE_S))["type"] == "welcome"
        yield ws


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_it_says_where_it_listens_and_stops_when_told(tmp_path: Path, how: signal.Signals) -> None:
    async with serving(tmp_path) as served, aiohttp.ClientSession() as session:
        async with session.get(f"{served.url}/healthz") as response:
            assert response.status == 200
        async with session.get(f"{served.url}/readyz") as response:
            assert (await response.json())["parts"] == {"storage": "ok", "media": "ok", "program": "ok"}
        async with session.get(f"{served.url}/metrics") as response:
            text = await response.text()
        assert "luokkasilta_engine_up 1.0" in text
        assert 'luokkasilta_engine_shard_total{counter="datagrams",shard="0"} 0.0' in text
        assert 'luokkasilta_engine_troubles_total{counter="shards_failed"} 0.0' in text
        async with session.get(f"{served.url}/api/statistics") as response:
            assert (await response.json())["classrooms"] == {}
        served.process.send_signal(how)
        async with asyncio.timeout(PATIENCE_S):
            assert await served.process.wait() == 0


async def test_a_running_server_obeys_the_other_commands(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        lesson = await luokkasilta("lesson", "new", "--data", served.data, "--record")
        of = ("--data", served.data, "--lesson", lesson, "--role")
        token = await luokkasilta("token", *of, Role.SCHOOL)
        async with connected(served, token) as ws:
            await luokkasilta("lesson", "end", "--data", served.data, "--id", lesson)
            ended = time.monotonic()
            said: list[dict[str, Any]] = []
            while (frame := await ws.receive(PATIENCE_S)).type is aiohttp.WSMsgType.TEXT:
                said.append(frame.json())
            # The command has ended before; its own way out counts in favour of the server.
            assert time.monotonic() - ended < 1.0 + 0.5
            lessons = [each["lesson"] for each in said if each["type"] == "lesson"]
            assert lessons[-1]["state"] == "ended"
            assert lessons[-1]["recording"] == "on"
            assert ws.close_code == 1000


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed one for the addresses of this machine: its file and that of its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "luokkasilta test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files


async def test_tls_beyond_this_machine(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    trust = ssl.create_default_context(cafile=str(certificate[0]))
    tls = ("--certificate", certificate[0], "--key", certificate[1])
    async with serving(tmp_path, ("--http", "0.0.0.0:0", "--media", "127.0.0.1:0", *tls)) as served:
        assert served.url.startswith("https://0.0.0.0:")
        port = served.url.rpartition(":")[2]
        base = f"https://127.0.0.1:{port}"
        lesson = await luokkasilta("lesson", "new", "--data", served.data)
        token = await luokkasilta("token", "--data", served.data, "--lesson", lesson, "--role", "home")
        connector = aiohttp.TCPConnector(ssl=trust)
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.get(f"{base}/healthz") as response:
                assert response.status == 200
            headers = {"Origin": base}
            async with session.ws_connect(f"wss://127.0.0.1:{port}/ws", headers=headers) as ws:
                await ws.send_json({"type": "hello", "version": 1, "token": token})
                assert (await ws.receive_json(timeout=PATIENCE_S))["type"] == "welcome"
        # Plain HTTP on that port, and garbage: no answer, and nothing in the log.
        for first in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", os.urandom(200)):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
            writer.write(first)
            async with asyncio.timeout(PATIENCE_S):
                with suppress(ConnectionError):
                    assert b"HTTP/1" not in await reader.read()
            writer.close()
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLS"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", int(port), ssl=old)


async def test_a_proxy_may_speak_tls_before_it(tmp_path: Path) -> None:
    arguments = ("--http", "0.0.0.0:0", "--media", "127.0.0.1:0", "--behind-proxy")
    async with serving(tmp_path, arguments) as served, aiohttp.ClientSession() as session:
        url = served.url.replace("0.0.0.0", "127.0.0.1")
        async with session.get(f"{url}/metrics") as response:
            assert response.status == 401
        headers = {
            "Authorization": f"Bearer {await luokkasilta('token', '--operator', '--data', served.data)}"
        }
        async with session.get(f"{url}/metrics", headers=headers) as response:
            assert response.status == 200


async def test_the_file_is_obeyed_and_flags_win_over_it(tmp_path: Path) -> None:
    file = tmp_path / "luokkasilta.toml"
    file.write_text(
        """
        data = "nowhere"
        [http]
        address = "127.0.0.1:1"
        [media]
        bind = ["127.0.0.1:0"]
        announce = ["198.51.100.7:443"]
        [limits]
        strangers = 1
        [turn]
        urls = ["turn:turn.example.fi:3478"]
        secret = "a-secret-that-is-nobody's"
        [contact]
        text = "Soita opettajalle."
        phone = "+358 40 123 4567"
        """
    )
    async with serving(tmp_path, ("--config", file, "--http", "127.0.0.1:0")) as served:
        assert not (tmp_path / "nowhere").exists(), "--data wins"
        lesson = await luokkasilta("lesson", "new", "--data", served.data)
        token = await luokkasilta("token", "--data", served.data, "--lesson", lesson, "--role", "kiosk")
        url = served.url.replace("http", "ws", 1) + "/ws"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as ws:
            async with session.ws_connect(url) as second:
                assert (await second.receive_json(timeout=PATIENCE_S))["code"] == "server-full"
            await ws.send_json({"type": "hello", "version": 1, "token": token})
            welcome = await ws.receive_json(timeout=PATIENCE_S)
        assert welcome["lesson"]["state"] == "live"
        assert welcome["contact"] == {"text": "Soita opettajalle.", "phone": "+358 40 123 4567"}
        assert welcome["iceServers"][0]["urls"] == ["turn:turn.example.fi:3478"]
    log = served.log.read_text()
    assert "198.51.100.7 port 443" in log
    assert "a-secret" not in log
