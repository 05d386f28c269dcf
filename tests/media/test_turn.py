"""Media through Debian's coturn by each of its doors, with an aiortc client that has relayed addresses alone.

What browsers do over TLS is in tests/e2e/test_bad_lines.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCIceServer, RTCPeerConnection, VideoStreamTrack
from aiortc.rtcconfiguration import RTCIceTransportPolicy

from bridge.ports import MediaConnected, SourceLive
from bridge.values import EndpointId, LessonId, SourceKind, SourceRef, TurnConfig
from media.service import MediaService
from signalling.turn import TurnRest
from tests.e2e.kit.turn import RELAY_PORTS, TurnServer, running_turn, why_no_turn
from tests.media.clients import Client, Sink

HOME = EndpointId("home")

pytestmark = pytest.mark.skipif(why_no_turn() is not None, reason=f"no TURN server here: {why_no_turn()}")


class RelayedClient(Client):
    """An endpoint that reaches the server through a relay or not at all."""

    def __init__(self, url: str, username: str, credential: str) -> None:
        super().__init__()
        self.connection = RTCPeerConnection(
            RTCConfiguration(
                iceServers=[RTCIceServer(url, username, credential)],
                iceTransportPolicy=RTCIceTransportPolicy.RELAY,
                bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
            )
        )


@pytest.fixture
async def turn(tmp_path: Path) -> AsyncIterator[TurnServer]:
    async with running_turn(tmp_path) as server:
        yield server


@pytest.mark.parametrize("door", ["udp", "tcp", "tls"])
async def test_media_goes_through_the_relay(
    turn: TurnServer, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # For aiortc, which trusts what OpenSSL trusts.
    monkeypatch.setenv("SSL_CERT_FILE", str(turn.certificate))
    url: str = getattr(turn, door)
    (server,) = TurnRest(TurnConfig((url,), turn.secret, 3600)).for_endpoint(HOME, time.time())
    client = RelayedClient(url, server.username, server.credential)
    service, sink = MediaService(["127.0.0.1:0"]), Sink()
    await service.start()
    try:
        lesson = service.open(LessonId("lesson"), sink)
        client.publish(SourceKind.CAMERA, VideoStreamTrack())
        await client.join(lesson, HOME)
        await sink.wait_for(lambda event: event == MediaConnected(HOME))
        camera = SourceRef(HOME, SourceKind.CAMERA)
        await sink.wait_for(lambda event: event == SourceLive(camera, True))
        (shard,) = await service.stats()
        (peer,) = shard.counters["peers"]
        least, most = RELAY_PORTS
        assert least <= int(peer["remote"].rpartition(":")[2]) <= most, "the relay's own port"
        assert await asyncio.to_thread(turn.allocations) >= 1
    finally:
        await client.connection.close()
        await service.stop()


async def test_a_credential_of_another_secret_gets_nothing(turn: TurnServer) -> None:
    (server,) = TurnRest(TurnConfig((turn.udp,), "another secret", 3600)).for_endpoint(HOME, time.time())
    client = RelayedClient(turn.udp, server.username, server.credential)
    try:
        client.publish(SourceKind.CAMERA, VideoStreamTrack())
        offer = await client.offer()
        assert "typ relay" not in offer.sdp
        assert await asyncio.to_thread(turn.allocations) == 0
    finally:
        await client.connection.close()
