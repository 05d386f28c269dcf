"""DTLS as the server: handshakes with an ordinary aiortc client over pipes in memory, some of them lossy."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import random
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_AEAD_AES_256_GCM,
    SRTP_AES128_CM_SHA1_80,
    SRTPProtectionProfile,
    generate_certificate,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from media import dtls
from media.dtls import Certificate, DtlsFailedError, DtlsPeer, SrtpKeys
from media.plan import DtlsPlan, Fingerprint


def fingerprint_of(certificate: RTCCertificate) -> Fingerprint:
    found = next(each for each in certificate.getFingerprints() if each.algorithm == "sha-256")
    return Fingerprint(found.algorithm, found.value)


class Pipe:
    """The client's ICE transport; what it sends goes to ``peer`` unless ``loses`` says otherwise."""

    role = "controlling"

    def __init__(self, loses: Callable[[str, int], bool]) -> None:
        self.peer: DtlsPeer | None = None
        self.sent = {"client": 0, "server": 0}
        self.sizes: list[int] = []
        self.answered = asyncio.Event()
        self._loses = loses
        self._inbound: asyncio.Queue[bytes] = asyncio.Queue()

    def _lost(self, sender: str) -> bool:
        self.sent[sender] += 1
        return self._loses(sender, self.sent[sender] - 1)

    def from_server(self, data: bytes) -> None:
        self.sizes.append(len(data))
        self.answered.set()
        if not self._lost("server"):
            self._inbound.put_nowait(data)

    async def _recv(self) -> bytes:
        return await self._inbound.get()

    async def _send(self, data: bytes) -> None:
        assert self.peer is not None
        if not self._lost("client"):
            self.peer.received(data)


class Pair:
    """A DtlsPeer and an aiortc client with a pipe between them."""

    def __init__(
        self,
        *,
        loses: Callable[[str, int], bool] = lambda sender, number: False,
        certificate: Certificate | None = None,
        expected: Fingerprint | None = None,
    ) -> None:
        self.certificate = certificate or Certificate()
        client_certificate = RTCCertificate.generateCertificate()
        self.pipe = Pipe(loses)
        self.client = RTCDtlsTransport(self.pipe, [client_certificate])  # type: ignore[arg-type]
        self.client._set_role("client")
        self.keys: list[SrtpKeys] = []
        self.connected = asyncio.Event()
        self.connected_at_keys: list[bool] = []
        self.server = self.pipe.peer = DtlsPeer(
            self.certificate,
            DtlsPlan((expected or fingerprint_of(client_certificate),)),
            send=self.pipe.from_server,
            on_keys=self._keys_came,
        )

    def _keys_came(self, keys: SrtpKeys) -> None:
        self.keys.append(keys)
        self.connected_at_keys.append(self.server.connected)

    async def shake_hands(self) -> asyncio.Task[None]:
        """Both sides connected; returns the task of the server's side."""
        life = asyncio.create_task(self.server.run(self.connected.set))
        await self.start_client()
        await self.connected.wait()
        return life

    async def start_client(self) -> None:
        own = self.certificate.fingerprint
        await self.client.start(RTCDtlsParameters([RTCDtlsFingerprint(own.algorithm, own.value)]))

    async def close(self, life: asyncio.Task[None]) -> None:
        await self.server.close()
        await self.client.stop()
        await life

    def exported_by_client(self) -> SrtpKeys:
        """What RFC 5764 section 4.2 says that the client has, named from the server's side."""
        assert self.client._ssl is not None
        if self.client._ssl.get_selected_srtp_profile() == b"SRTP_AES128_CM_SHA1_80":
            material = self.client._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 60)
            return SrtpKeys(1, material[:16], material[32:46], material[16:32], material[46:])
        material = self.client._ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 56)
        return SrtpKeys(7, material[:16], material[32:44], material[16:32], material[44:])


async def test_keys_agree_and_come_before_connected() -> None:
    pair = Pair()
    life = await pair.shake_hands()
    assert pair.server.connected
    assert pair.client.state == "connected"
    assert pair.keys == [pair.exported_by_client()]
    assert pair.connected_at_keys == [False]
    await pair.close(life)


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        ([SRTP_AES128_CM_SHA1_80], 1),
        ([SRTP_AES128_CM_SHA1_80, SRTP_AEAD_AES_128_GCM], 7),
        ([SRTP_AEAD_AES_256_GCM, SRTP_AES128_CM_SHA1_80], 1),
    ],
    ids=["CM alone", "CM first", "256 bits first"],
)
async def test_the_servers_order_of_profiles_decides(
    offered: list[SRTPProtectionProfile], agreed: int
) -> None:
    pair = Pair()
    pair.client._srtp_profiles = offered
    life = await pair.shake_hands()
    (keys,) = pair.keys
    assert keys == pair.exported_by_client()
    assert keys.profile == agreed
    assert (len(keys.send_key), len(keys.send_salt)) == (16, 14 if agreed == 1 else 12)
    await pair.close(life)


async def test_closing_sends_close_notify() -> None:
    pair = Pair()
    life = await pair.shake_hands()
    closed = asyncio.Event()
    pair.client.on("statechange", closed.set)
    await pair.server.close()
    await life
    await asyncio.wait_for(closed.wait(), 1)
    assert pair.client.state == "closed"
    await pair.server.close()


async def test_close_notify_of_the_client_ends_the_run() -> None:
    pair = Pair()
    life = await pair.shake_hands()
    await pair.client.stop()
    await asyncio.wait_for(life, 1)
    assert not pair.server.connected
    await pair.server.close()


async def test_any_one_datagram_of_the_handshake_may_be_lost() -> None:
    def losing(sender: str, number: int) -> Callable[[str, int], bool]:
        return lambda who, n: (who, n) == (sender, number)

    # Together, because each waits for OpenSSL's first timer of a second.
    pairs = [Pair(loses=losing(sender, number)) for sender in ("client", "server") for number in (0, 1)]
    lives = await asyncio.wait_for(asyncio.gather(*(pair.shake_hands() for pair in pairs)), 10)
    for pair, life in zip(pairs, lives, strict=True):
        assert sum(pair.pipe.sent.values()) > 4, "nothing was repeated"
        assert pair.keys == [pair.exported_by_client()]
        await pair.close(life)


async def test_handshakes_over_a_bad_line() -> None:
    def losing(seed: int) -> Callable[[str, int], bool]:
        line = random.Random(seed)
        return lambda who, n: line.random() < 0.15

    pairs = [Pair(loses=losing(seed)) for seed in range(8)]
    lives = await asyncio.wait_for(asyncio.gather(*(pair.shake_hands() for pair in pairs)), 14)
    assert sum(sum(pair.pipe.sent.values()) for pair in pairs) > 8 * 4, "nothing was repeated"
    for pair, life in zip(pairs, lives, strict=True):
        assert pair.keys == [pair.exported_by_client()]
        await pair.close(life)


async def test_datagrams_that_are_no_dtls_do_no_harm() -> None:
    pair = Pair()
    for garbage in (b"", b"\x00", b"\x80" * 100, b"\x16\xfe\xfd", b"\x16" * 1300):
        pair.server.received(garbage)
    life = await pair.shake_hands()
    pair.server.received(b"")
    pair.server.received(b"\x17\xfe\xfd\x00\x01" + bytes(40))
    await asyncio.sleep(0.05)
    assert pair.server.connected
    assert not life.done()
    await pair.close(life)


async def test_another_certificate_than_the_offers_is_refused() -> None:
    pair = Pair(expected=Fingerprint("sha-256", ":".join(["00"] * 32)))
    life = asyncio.create_task(pair.server.run(pair.connected.set))
    await pair.start_client()
    with pytest.raises(DtlsFailedError, match="another certificate"):
        await life
    assert not pair.keys
    assert not pair.connected.is_set()
    await pair.server.close()
    await pair.client.stop()


async def test_no_profile_in_common_is_refused() -> None:
    pair = Pair()
    pair.client._srtp_profiles = [SRTP_AEAD_AES_256_GCM]
    life = asyncio.create_task(pair.server.run(pair.connected.set))
    await pair.start_client()
    with pytest.raises(DtlsFailedError, match="no SRTP profile"):
        await life
    assert not pair.keys
    await pair.server.close()
    await pair.client.stop()


async def test_a_client_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dtls, "CONNECT_TIMEOUT_S", 0.05)
    pair = Pair()
    with pytest.raises(DtlsFailedError, match=r"no DTLS datagram within 0\.05 s"):
        await pair.server.run(pair.connected.set)
    await pair.server.close()


async def test_a_client_that_stops_in_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dtls, "HANDSHAKE_TIMEOUT_S", 0.3)
    pair = Pair(loses=lambda sender, number: sender == "client" and number > 0)
    life = asyncio.create_task(pair.server.run(pair.connected.set))
    client = asyncio.create_task(pair.start_client())
    with pytest.raises(DtlsFailedError, match=r"no end of the DTLS handshake within 0\.3 s"):
        await life
    client.cancel()
    await asyncio.wait([client])
    await pair.server.close()


async def test_closing_in_the_middle_of_a_handshake() -> None:
    pair = Pair(loses=lambda sender, number: sender == "client" and number > 0)
    life = asyncio.create_task(pair.server.run(pair.connected.set))
    client = asyncio.create_task(pair.start_client())
    await asyncio.wait_for(pair.pipe.answered.wait(), 1)
    await pair.server.close()
    with pytest.raises(DtlsFailedError, match="closed"):
        await asyncio.wait_for(life, 1)
    client.cancel()
    await asyncio.wait([client])


async def test_a_cancelled_recv_loses_no_datagram() -> None:
    """aiortc cancels ``_recv`` at each DTLS timer; here at every moment that a loop iteration offers."""
    ice = dtls._EngineIce(lambda data: None)
    got: list[bytes] = []
    for number in range(200):
        waiting = asyncio.create_task(ice._recv())
        for _ in range(number % 4):
            await asyncio.sleep(0)
        if number % 2:
            ice.put(number.to_bytes(2))
        for _ in range(number % 3):
            await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            got.append(await waiting)
    while ice._waiting:
        got.append(await ice._recv())
    assert got == [number.to_bytes(2) for number in range(1, 200, 2)]


async def test_the_inbound_queue_drops_the_newest_and_counts() -> None:
    pair = Pair()
    for number in range(100):
        pair.server.received(bytes([20, number]))
    assert pair.server.dropped == 100 - dtls.INBOUND_LIMIT
    assert [await pair.server._ice._recv() for _ in range(64)] == [bytes([20, n]) for n in range(64)]
    pair.server.received(bytes([20, 200]))
    assert await pair.server._ice._recv() == bytes([20, 200])


def large_certificate() -> Certificate:
    """A certificate whose flight takes several datagrams."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "large")])
    now = datetime.datetime.now(tz=datetime.UTC)
    names = x509.SubjectAlternativeName(
        [x509.DNSName(f"{number:04}.{'x' * 50}.test") for number in range(80)]
    )
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate = Certificate()
    certificate._certificate = RTCCertificate(key, signed)
    return certificate


async def test_a_long_flight_leaves_in_whole_records_and_several_datagrams() -> None:
    pair = Pair(certificate=large_certificate())
    life = await asyncio.wait_for(pair.shake_hands(), 0.9)  # Without a timer, so without a repetition.
    assert len(pair.pipe.sizes) >= 5
    assert max(pair.pipe.sizes) <= dtls.MTU
    assert pair.keys == [pair.exported_by_client()]
    await pair.close(life)


def test_cutting_a_flight_into_datagrams() -> None:
    def record(length: int) -> bytes:
        return b"\x16\xfe\xfd" + bytes(8) + length.to_bytes(2) + bytes(length)

    small, half, large = record(87), record(587), record(1400)
    assert list(dtls.datagrams(b"")) == []
    assert list(dtls.datagrams(small)) == [small]
    assert list(dtls.datagrams(half + half + small)) == [half + half, small]
    assert list(dtls.datagrams(small + large + small)) == [small, large, small]
    assert list(dtls.datagrams(small + half[:20])) == [small + half[:20]]


def test_keys_are_not_printed() -> None:
    keys = SrtpKeys(7, b"secret-key", b"secret-salt", b"secret-key", b"secret-salt")
    assert "secret" not in repr(keys)


def test_certificates_are_p256_and_differ() -> None:
    one, other = Certificate(), Certificate()
    assert one.fingerprint != other.fingerprint
    assert isinstance(one.for_aiortc._key.curve, ec.SECP256R1)


class _Bridge(asyncio.DatagramProtocol):
    """A UDP socket before a DtlsPeer."""

    def __init__(self) -> None:
        self.peer: DtlsPeer | None = None
        self.transport: asyncio.DatagramTransport | None = None
        self.remote: tuple[str | int, ...] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        assert self.peer is not None
        self.remote = addr
        self.peer.received(data)

    def send(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.sendto(data, self.remote)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
async def test_openssl_exports_the_same_keys(tmp_path: Path) -> None:
    """Another implementation's client, over UDP on loopback, prints the keying material that it exports."""
    key = ec.generate_private_key(ec.SECP256R1())
    client_certificate = RTCCertificate(key, generate_certificate(key))
    pem = serialization.Encoding.PEM
    (tmp_path / "client.pem").write_bytes(
        client_certificate._cert.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    keys: list[SrtpKeys] = []
    transport, bridge = await asyncio.get_running_loop().create_datagram_endpoint(
        _Bridge, local_addr=("127.0.0.1", 0), family=socket.AF_INET
    )
    peer = bridge.peer = DtlsPeer(
        Certificate(), DtlsPlan((fingerprint_of(client_certificate),)), send=bridge.send, on_keys=keys.append
    )
    connected = asyncio.Event()
    life = asyncio.create_task(peer.run(connected.set))
    port = transport.get_extra_info("sockname")[1]
    client = await asyncio.create_subprocess_exec(
        *("openssl", "s_client", "-dtls1_2", "-connect", f"127.0.0.1:{port}"),
        *("-cert", str(tmp_path / "client.pem"), "-use_srtp", "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM"),
        *("-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", "56"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await asyncio.wait_for(connected.wait(), 10)
        await peer.close()
        await life
        output, _ = await asyncio.wait_for(client.communicate(), 10)
    finally:
        if client.returncode is None:
            client.kill()
            await client.wait()
        transport.close()
    assert b"SRTP Extension negotiated, profile=SRTP_AEAD_AES_128_GCM" in output
    material = keys[0].receive_key + keys[0].send_key + keys[0].receive_salt + keys[0].send_salt
    assert f"Keying material: {material.hex().upper()}".encode() in output
