"""DTLS for one peer: aiortc's RTCDtlsTransport over the engine, as the server, for the sake of its SRTP keys.

This is the only file that touches aiortc's private names; ``tests/media/test_aiortc_contract.py`` guards them
for the pinned version.

    engine event --> received() --> [64 datagrams] --> aiortc, OpenSSL --> send() --> engine command
                                                             |
                                                             '--> on_keys(SrtpKeys), once, then on_connected

No RTP passes here: the engine demultiplexes (RFC 7983) and hands over only DTLS.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport, RTCIceTransport
from aiortc import rtcdtlstransport as aiortc_dtls
from OpenSSL import SSL

from media.plan import DtlsPlan, Fingerprint

CONNECT_TIMEOUT_S = 30.0
"""How long the first datagram of a client may take, ICE checks and a slow page included."""
HANDSHAKE_TIMEOUT_S = 15.0
"""From the first datagram on. OpenSSL repeats a lost flight after 1, 2, 4, 8 s."""
INBOUND_LIMIT = 64
"""Datagrams that wait for the handshake; the newest is dropped beyond. A flight has two or three."""
MTU = 1200
"""Bytes of a DTLS datagram. The least that any path of ours carries (RFC 8261 uses the same)."""

_RECORD_HEADER = 13  # RFC 6347 section 4.1: type, version, epoch, sequence number, length


@dataclass(frozen=True, slots=True)
class _Profile:
    """An SRTP protection profile: its DTLS-SRTP number (RFC 5764, 7714), and aiortc's description of it."""

    number: int
    described: aiortc_dtls.SRTPProtectionProfile


# In the order of preference; the server's order decides. The second is what every endpoint must have (RFC
# 8827 section 6.5); the first costs less where the processor has AES instructions.
_PROFILES = (
    _Profile(0x0007, aiortc_dtls.SRTP_AEAD_AES_128_GCM),
    _Profile(0x0001, aiortc_dtls.SRTP_AES128_CM_SHA1_80),
)


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """SRTP master keys and salts of both directions; ``profile`` is the DTLS-SRTP number."""

    profile: int
    receive_key: bytes
    receive_salt: bytes
    send_key: bytes
    send_salt: bytes

    def __repr__(self) -> str:
        """Without the keys: they would end in a log."""
        return f"SrtpKeys(profile={self.profile:#06x})"


class DtlsFailedError(Exception):
    """The handshake failed, took too long, or the peer's certificate isn't the one of its offer."""


class Certificate:
    """The server's self-signed certificate (ECDSA P-256). One for the process, made at its start."""

    def __init__(self) -> None:
        self._certificate = RTCCertificate.generateCertificate()

    @property
    def fingerprint(self) -> Fingerprint:
        """The SHA-256 fingerprint (RFC 8122) for the answer."""
        found = next(f for f in self._certificate.getFingerprints() if f.algorithm == "sha-256")
        return Fingerprint(found.algorithm, found.value)

    @property
    def for_aiortc(self) -> RTCCertificate:
        return self._certificate


class _EngineIce:
    """Stands where aiortc expects an ICE transport: ``role``, ``_send`` and ``_recv``, and nothing more."""

    role = "controlled"  # ICE-lite

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send_datagram = send
        self._waiting: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._closed_because: str | None = None
        self.dropped = 0

    def put(self, data: bytes) -> None:
        # An empty datagram would make aiortc index beyond its end and close the transport.
        if not data or self._closed_because is not None:
            return
        if len(self._waiting) >= INBOUND_LIMIT:
            self.dropped += 1
            return
        self._waiting.append(data)
        self._changed.set()

    def close(self, reason: str) -> None:
        """End what waits, now and later, by ConnectionError; the first reason stays."""
        if self._closed_because is None:
            self._closed_because = reason
        self._changed.set()

    @property
    def closed_because(self) -> str | None:
        return self._closed_because

    async def first(self) -> None:
        """Return when a datagram waits, without taking it. Raises ConnectionError once closed."""
        while not self._waiting:
            if self._closed_because is not None:
                raise ConnectionError(self._closed_because)
            self._changed.clear()
            await self._changed.wait()

    async def _recv(self) -> bytes:
        # aiortc cancels this at every DTLS timer. Nothing awaits between taking a datagram and returning it,
        # so a cancelled call has taken none.
        await self.first()
        return self._waiting.popleft()

    def send(self, data: bytes) -> None:
        if self._closed_because is not None:
            raise ConnectionError(self._closed_because)
        self._send_datagram(data)

    async def _send(self, data: bytes) -> None:
        self.send(data)


class _ExportingTransport(RTCDtlsTransport):
    """RTCDtlsTransport that gives its SRTP keys away instead of making SRTP sessions of them."""

    def __init__(
        self, ice: _EngineIce, certificate: RTCCertificate, on_keys: Callable[[SrtpKeys], None]
    ) -> None:
        super().__init__(cast(RTCIceTransport, ice), [certificate])
        self._ice = ice
        self._srtp_profiles = [profile.described for profile in _PROFILES]
        self._on_keys = on_keys
        self._set_role("server")

    @property
    def pump(self) -> asyncio.Future[None] | None:
        """aiortc's reading task, from connected on; it ends when the transport closes."""
        return self._task

    def connection(self) -> SSL.Connection:
        if self._ssl is None:
            raise DtlsFailedError("not started")
        return self._ssl

    def _setup_srtp(self) -> None:
        chosen = self.connection().get_selected_srtp_profile()
        for profile in _PROFILES:
            described = profile.described
            if described.openssl_profile == chosen:
                break
        else:
            self._set_state(aiortc_dtls.State.FAILED)
            return
        # RFC 5764 section 4.2: client key, server key, client salt, server salt.
        key, salt = described.key_length, described.salt_length
        material = self.connection().export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (key + salt))
        self._on_keys(
            SrtpKeys(
                profile=profile.number,
                receive_key=material[:key],
                send_key=material[key : 2 * key],
                receive_salt=material[2 * key : 2 * key + salt],
                send_salt=material[2 * key + salt :],
            )
        )

    async def _write_ssl(self) -> None:
        # aiortc reads once and 1500 bytes at most; what a long flight leaves behind would wait for the next
        # datagram and go out cut in the middle of a record. OpenSSL, which finds no socket beneath it, makes
        # records of 256 bytes; several fit in a datagram.
        pending = bytearray()
        while True:
            try:
                pending += self.connection().bio_read(4096)
            except SSL.Error:
                break
        for datagram in datagrams(bytes(pending)):
            self._ice.send(datagram)


def datagrams(flight: bytes) -> Iterator[bytes]:
    """Cut a run of DTLS records into datagrams of at most MTU bytes; a longer record goes alone."""
    begin = end = 0
    while end < len(flight):
        length = int.from_bytes(flight[end + _RECORD_HEADER - 2 : end + _RECORD_HEADER])
        following = end + _RECORD_HEADER + length
        if following - begin > MTU and end > begin:
            yield flight[begin:end]
            begin = end
        end = following
    if begin < len(flight):
        yield flight[begin:]


class DtlsPeer:
    """The DTLS association of one peer.

    ``run`` is its life and must be awaited by one task; ``received`` feeds it. ``send`` and ``on_keys`` are
    called on the event loop and don't block. Who closes: the owner, by ``close``, which says close_notify to
    the remote if it got that far; after the remote's own close_notify ``run`` returns by itself.
    """

    def __init__(
        self,
        certificate: Certificate,
        plan: DtlsPlan,
        *,
        send: Callable[[bytes], None],
        on_keys: Callable[[SrtpKeys], None],
    ) -> None:
        self._plan = plan
        self._ice = _EngineIce(send)
        self._transport = _ExportingTransport(self._ice, certificate.for_aiortc, on_keys)

    @property
    def dropped(self) -> int:
        """Datagrams that came while 64 were waiting."""
        return self._ice.dropped

    @property
    def connected(self) -> bool:
        return bool(self._transport.state == "connected")

    def received(self, data: bytes) -> None:
        """One DTLS datagram from the remote; its bytes are kept, never changed."""
        self._ice.put(data)

    async def run(self, on_connected: Callable[[], None]) -> None:
        """Shake hands, call ``on_connected``, and return when the remote or ``close`` ends it.

        Raises DtlsFailedError when it comes to no connection.
        """
        try:
            with self._deadline(CONNECT_TIMEOUT_S, "no DTLS datagram"):
                await self._ice.first()
            with self._deadline(HANDSHAKE_TIMEOUT_S, "no end of the DTLS handshake"):
                await self._transport.start(self._remote_parameters())
        except (ConnectionError, SSL.Error) as exc:
            raise DtlsFailedError(str(exc)) from exc
        pump = self._transport.pump
        if pump is None:
            raise DtlsFailedError(self._why_not())
        on_connected()
        await self._finish(pump)

    async def close(self) -> None:
        """Send close_notify if there is something to close, and stop. Idempotent; ``run`` ends soon after."""
        pump = self._transport.pump
        await self._transport.stop()
        self._ice.close("closed")
        if pump is not None:
            await self._finish(pump)

    @contextmanager
    def _deadline(self, seconds: float, what: str) -> Iterator[None]:
        # Not asyncio.timeout: the cancellation it uses can get lost in the wait_for of aiortc (Python 3.11).
        timer = asyncio.get_running_loop().call_later(
            seconds, self._ice.close, f"{what} within {seconds:g} s"
        )
        try:
            yield
        finally:
            timer.cancel()

    def _why_not(self) -> str:
        if self._ice.closed_because is not None:
            return self._ice.closed_because
        if not self._transport.encrypted:
            return "the DTLS handshake failed"
        return "another certificate than the offer's, or no SRTP profile in common"

    @staticmethod
    async def _finish(pump: asyncio.Future[None]) -> None:
        """Wait for the reading task, which ``close`` cancels and a close_notify ends."""
        await asyncio.wait([pump])
        if not pump.cancelled() and (error := pump.exception()) is not None:
            raise DtlsFailedError("the DTLS association broke") from error

    def _remote_parameters(self) -> RTCDtlsParameters:
        return RTCDtlsParameters(
            fingerprints=[RTCDtlsFingerprint(f.algorithm, f.value) for f in self._plan.remote_fingerprints],
            role="client",
        )
