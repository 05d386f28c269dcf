"""10,000 hostile datagrams at the media port while a lesson runs: nothing is lost, none is logged."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiortc import MediaStreamTrack
from aiortc.mediastreams import AudioStreamTrack
from av import AudioFrame, VideoFrame

from bridge.ports import MediaConnected, MediaEvent, MediaLost, SourceLive
from bridge.values import EndpointId, LessonId, SourceKind, SourceRef
from media.service import MediaService
from tests.e2e.kit.media_files import FRAMES_PER_SECOND, PITCHES_HZ, SOUND_RATE, luma
from tests.e2e.kit.picture_code import read_code
from tests.e2e.kit.tone_bursts import find_bursts, make_bursts
from tests.media import hostile
from tests.media.clients import Client, Sink

TEACHER, PUPIL, HOSTILE = (EndpointId(name) for name in ("teacher", "pupil", "hostile"))
CAMERA, MIC = SourceRef(TEACHER, SourceKind.CAMERA), SourceRef(TEACHER, SourceKind.MIC)

HALF = 5_000
A_TURN, TURN_S = 20, 0.02
"""1,000 datagrams a second: the kernel's buffer holds many times a turn, so the socket is not what fails."""
SOURCE = 0
WAIT_S = 30.0

REJECTED = ("unknown", "unmatched", "malformed", "early", "unauthenticated", "replayed", "checks_refused")
"""The engine's counters for a datagram that went no further."""


class CodedCamera(MediaStreamTrack):
    """Pictures with frame numbers in them."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._frame = 0
        self._start = time.monotonic()

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(max(0.0, self._start + self._frame / FRAMES_PER_SECOND - time.monotonic()))
        grey = luma(SOURCE, self._frame)
        planes = np.vstack([grey, np.full((grey.shape[0] // 2, grey.shape[1]), 128, np.uint8)])
        frame = VideoFrame.from_ndarray(planes, "yuv420p")
        frame.pts, frame.time_base = self._frame * 90_000 // FRAMES_PER_SECOND, Fraction(1, 90_000)
        self._frame += 1
        return frame


class BurstMicrophone(MediaStreamTrack):
    """A tone burst each second."""

    kind = "audio"
    _SAMPLES = SOUND_RATE // 50

    def __init__(self) -> None:
        super().__init__()
        self._second = (make_bursts(1.0, SOUND_RATE, PITCHES_HZ[SOURCE], 0.1) * 32767).astype(np.int16)
        self._at = 0
        self._start = time.monotonic()

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(max(0.0, self._start + self._at / SOUND_RATE - time.monotonic()))
        start = self._at % SOUND_RATE
        samples = self._second[start : start + self._SAMPLES].reshape(1, -1)
        frame = AudioFrame.from_ndarray(samples, "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, self._at, Fraction(1, SOUND_RATE)
        self._at += self._SAMPLES
        return frame


class Viewing:
    """What a pupil sees and hears, until it is stopped."""

    def __init__(self, picture: MediaStreamTrack, voice: MediaStreamTrack) -> None:
        self.frames: list[int] = []
        self._sound: list[np.ndarray[Any, np.dtype[np.int16]]] = []
        self._tasks = [asyncio.create_task(self._look(picture)), asyncio.create_task(self._listen(voice))]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _look(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            assert isinstance(frame, VideoFrame)
            code = read_code(frame.to_ndarray(format="gray").astype(np.uint8))
            if code is not None:
                self.frames.append(code.frame)

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            assert isinstance(frame, AudioFrame)
            samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0]
            self._sound.append(samples.astype(np.int16))

    def bursts(self) -> tuple[int, float]:
        """How many were heard, in how many seconds of sound."""
        sound = np.concatenate(self._sound).astype(np.float32) / np.float32(32768)
        found = find_bursts(sound, SOUND_RATE, PITCHES_HZ)[PITCHES_HZ[SOURCE]]
        return len(found), len(sound) / SOUND_RATE


class Attacker(Client):
    """An endpoint that was let in, with good keys and bad manners; and a stranger with its own socket."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._stranger.connect(("127.0.0.1", port))
        self._stranger.setblocking(False)

    def close(self) -> None:
        self._stranger.close()

    @property
    def session(self) -> Any:
        """Its outbound SRTP session."""
        return self._transport._tx_srtp

    async def send(self, datagrams: Iterator[bytes], count: int, through: Client | None = None) -> None:
        """From the address of ``through``, a client that is connected; from the stranger's without one."""
        for start in range(0, count, A_TURN):
            until = time.monotonic() + TURN_S
            for datagram in islice(datagrams, min(A_TURN, count - start)):
                if through is None:
                    self._stranger.send(datagram)
                else:
                    await _transport_of(through).transport._send(datagram)
            await asyncio.sleep(max(0.0, until - time.monotonic()))

    @property
    def _transport(self) -> Any:
        return _transport_of(self)


def _transport_of(client: Client) -> Any:
    return client.connection.getTransceivers()[0].sender.transport


async def counters_of(service: MediaService) -> Counter[str]:
    """Of the shard and all its peers, summed by name, with those of the threads."""
    summed: Counter[str] = Counter()
    for shard in await service.stats():
        summed.update(shard.counters["counters"])
        for peer in shard.counters["peers"]:
            summed.update({name: peer[name] for name in (*REJECTED, "unexpected") if name in peer})
    summed.update(dict(service._engine.io_counters))
    return summed


def kernel_drops(port: int) -> int:
    """Datagrams that the kernel dropped at the sockets of ``port``."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return sum(int(line.split()[12]) for line in lines if line.split()[1].endswith(f":{port:04X}"))


def templates_for(answer: str, attacker: Attacker, teacher: Client) -> list[Callable[[], bytes]]:
    """Makers of sound RTP and RTCP: of the attacker's source, about its slots, in the teacher's name."""
    own = attacker.connection.getSenders()[0]._ssrc
    slots = [int(ssrc) for ssrc in re.findall(r"a=ssrc:(\d+) cname", answer)]
    others = [sender._ssrc for sender in teacher.connection.getSenders()]
    assert slots
    sequence = iter(range(20_000, 10_000_000))

    def rtp(payload_type: int, ssrc: int) -> bytes:
        payload = b"\x10\x80\x01\x90" + bytes(range(200))
        return hostile.rtp_packet(payload_type, ssrc, next(sequence), payload)

    found = [
        partial(rtp, payload_type, ssrc) for payload_type in (96, 97, 111) for ssrc in (own, own, *others)
    ]
    rtcp = [packet for ssrc in (*slots, *others) for packet in hostile.rtcp_packets(own, ssrc)]
    return [*found, *(partial(bytes, packet) for packet in rtcp)]


async def test_hostile_datagrams_cost_the_lesson_nothing(caplog: pytest.LogCaptureFixture) -> None:
    service = MediaService(["127.0.0.1:0"])
    await service.start()
    ((_, port),) = service.candidates
    sink = Sink()
    lesson = service.open(LessonId("lesson"), sink)
    teacher, pupil, attacker = Client(), Client(), Attacker(port)
    clients = (teacher, pupil, attacker)
    rng = random.Random(20_261_124)
    viewing = None
    try:
        teacher.publish(SourceKind.CAMERA, CodedCamera())
        teacher.publish(SourceKind.MIC, BurstMicrophone())
        attacker.publish(SourceKind.MIC, AudioStreamTrack())
        pair = pupil.receive_pair()
        attacker.receive_pair()
        joined = [
            await client.join(lesson, name)
            for client, name in zip(clients, (TEACHER, PUPIL, HOSTILE), strict=True)
        ]
        for endpoint in (TEACHER, PUPIL, HOSTILE):
            await _told(sink, MediaConnected(endpoint))
        await _told(sink, SourceLive(CAMERA, True))
        await asyncio.gather(*(client.state("connected") for client in clients))
        for viewer in (PUPIL, HOSTILE):
            lesson.route(viewer, 0, CAMERA, MIC)
        viewing = Viewing(*(half.receiver.track for half in pair))
        await asyncio.sleep(1.5)
        seen_before = len(viewing.frames)
        assert seen_before > 0

        caplog.set_level(logging.DEBUG)
        caplog.clear()
        dropped, start = kernel_drops(port), await counters_of(service)
        templates = templates_for(joined[2].answer, attacker, teacher)
        ufrag = re.findall(r"a=ice-ufrag:(\S+)", joined[0].answer)[0]
        session = attacker.session

        # Not good: every one of them must be turned away and counted, but for DTLS, which OpenSSL judges.
        dtls = HALF // 10
        await attacker.send(hostile.dtls_records(rng), dtls // 2, pupil)
        await attacker.send(hostile.dtls_records(rng), dtls // 2, attacker)
        rest = HALF - dtls
        spoiled = hostile.after_encryption(session, templates, rng)
        await attacker.send(spoiled, rest // 4, attacker)
        await attacker.send(spoiled, rest // 4, pupil)
        await attacker.send(hostile.checks(ufrag, rng), rest // 4)
        await attacker.send(hostile.noise(rng), rest // 4)
        await asyncio.sleep(0.2)
        middle = await counters_of(service)
        turned_away = sum(middle[name] - start[name] for name in REJECTED)
        assert turned_away == rest
        assert middle["datagrams"] - start["datagrams"] >= HALF
        assert middle["checks_refused"] - start["checks_refused"] > rest / 16

        # Good keys: what is wrong is inside.
        await attacker.send(hostile.with_good_keys(session, templates, rng), HALF, attacker)
        await asyncio.sleep(0.2)
        end = await counters_of(service)
        assert end["datagrams"] - middle["datagrams"] >= HALF
        inside = end["unexpected"] - middle["unexpected"]
        assert inside > HALF / 20, "they were decrypted, and found out"

        records = [record for record in caplog.records if not record.name.startswith(("aio", "asyncio"))]
        assert len(records) <= 10, f"{len(records)} lines, the first: {records[0].getMessage()}"
        assert kernel_drops(port) == dropped, "the socket is not what failed"
        for name in ("handovers_dropped", "send_buffer_full", "receive_errors", "refused"):
            assert end[name] == start[name], name
        assert service._engine.counters.events_dropped == 0
        assert not [event for event in sink.events if isinstance(event, MediaLost)]

        await asyncio.sleep(1.0)
        for half in pair:
            reports = (await half.receiver.getStats()).values()
            assert [each.packetsLost for each in reports if each.type == "inbound-rtp"] == [0]
        frames = viewing.frames
        assert frames == sorted(set(frames))
        # aiortc's encoder may leave out a picture (libvpx, dropframe_threshold).
        assert len(frames) >= 0.95 * (frames[-1] - frames[0])
        assert len(frames) - seen_before >= 10 * FRAMES_PER_SECOND * 0.7
        heard, seconds = viewing.bursts()
        assert heard >= int(seconds) - 1
    finally:
        if viewing is not None:
            await viewing.stop()
        for client in clients:
            await client.connection.close()
        attacker.close()
        await service.stop()


async def _told(sink: Sink, wanted: MediaEvent) -> None:
    await sink.wait_for(lambda event: event == wanted)


def test_what_is_mutated_is_never_what_it_was() -> None:
    rng = random.Random(1)
    for packet in hostile.rtcp_packets(1, 2):
        for _ in range(300):
            harmed = hostile.mutated(packet, rng)
            assert harmed != packet
            assert harmed
