"""libwebrtc (PyPI's wrtc) as a WHIP encoder or a WHEP player: a process of its own, driven by its lines.

    publish ENDPOINT TOKEN VIDEO.y4m SOUND.wav
    play ENDPOINT TOKEN FOLDER              writes frames.grey (640x360) and sound.s16 (48 kHz, mono)

It prints ``ready`` when it is connected. A line ``restart`` on its standard input is an ICE restart (prints
``restarted STATUS``), any other line, or the end of it, ends the session (prints ``ended STATUS``).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
import webrtc

from tests.whip.exchange import Session

WIDTH, HEIGHT, FRAMES_PER_SECOND = 640, 360, 10
RATE = 48_000


async def publish_picture(generator: Any, path: Path) -> None:
    writer = generator.writable.get_writer()
    with path.open("rb") as file:
        file.readline()
        start = time.monotonic()
        for number in range(1 << 16):
            if not file.readline():
                return
            picture = file.read(WIDTH * HEIGHT * 3 // 2)
            init = webrtc.VideoFrameBufferInit(
                format="I420",
                coded_width=WIDTH,
                coded_height=HEIGHT,
                timestamp=number * 1_000_000 // FRAMES_PER_SECOND,
            )
            await writer.write(webrtc.VideoFrame(picture, init))
            await asyncio.sleep(max(0.0, start + (number + 1) / FRAMES_PER_SECOND - time.monotonic()))


async def publish_sound(generator: Any, path: Path) -> None:
    writer = generator.writable.get_writer()
    with wave.open(str(path)) as file:
        start = time.monotonic()
        for number in range(1 << 20):
            samples = file.readframes(RATE // 100)
            if len(samples) < RATE // 100 * 2:
                return
            init = webrtc.AudioDataInit(
                format="s16",
                sample_rate=RATE,
                number_of_frames=RATE // 100,
                number_of_channels=1,
                timestamp=number * 10_000,
                data=samples,
            )
            await writer.write(webrtc.AudioData(init))
            await asyncio.sleep(max(0.0, start + (number + 1) / 100 - time.monotonic()))


def _everything_of(track: Any) -> Any:
    return webrtc.MediaStreamTrackProcessor(webrtc.MediaStreamTrackProcessorInit(track=track)).readable


async def keep_pictures(track: Any, path: Path) -> None:
    reader = _everything_of(track).get_reader()
    with path.open("wb") as file:
        while True:
            result = await reader.read()
            if result.done:
                return
            with result.value as frame:
                size = (frame.coded_width, frame.coded_height)
                if size == (WIDTH, HEIGHT):
                    pixels = bytearray(frame.allocation_size())
                    layout = (await frame.copy_to(pixels))[0]
                    grey = np.frombuffer(pixels, np.uint8)[layout.offset :]
                    rows = grey[: layout.stride * HEIGHT].reshape(HEIGHT, layout.stride)[:, :WIDTH]
                    file.write(rows.tobytes())
                    file.flush()


async def keep_sound(track: Any, path: Path) -> None:
    reader = _everything_of(track).get_reader()
    with path.open("wb") as file:
        while True:
            result = await reader.read()
            if result.done:
                return
            with result.value as data:
                count, channels = data.number_of_frames, data.number_of_channels
                samples = bytearray(count * channels * 2)
                data.copy_to(samples, webrtc.AudioDataCopyToOptions(plane_index=0, format="s16"))
                assert data.sample_rate == RATE, data.sample_rate
                file.write(np.frombuffer(samples, "<i2").reshape(count, channels)[:, 0].tobytes())


async def restart(connection: Any, session: Session) -> int:
    """As RFC 9725 section 4.4.1 has it: the new credentials go there, the server's come back."""
    connection.restart_ice()
    await connection.set_local_description(await connection.create_offer())
    offer = connection.local_description.sdp
    lines = [line for line in offer.splitlines() if line.startswith(("a=ice-ufrag:", "a=ice-pwd:"))][:2]
    status, fragment = await asyncio.to_thread(session.patch, "\r\n".join(lines) + "\r\n", "*")
    answer = session.answer
    for name in ("ice-ufrag", "ice-pwd"):
        found = re.search(rf"^a={name}:(\S+)", fragment, re.MULTILINE)
        assert found is not None, fragment
        # Letters, digits, + and / (RFC 8839): nothing that re.sub would read.
        answer = re.sub(rf"a={name}:\S+", found[0], answer)
    await connection.set_remote_description(webrtc.RTCSessionDescriptionInit(type="answer", sdp=answer))
    return status


async def until_connected(connection: Any) -> None:
    async with asyncio.timeout(20):
        while connection.connection_state != "connected":  # noqa: ASYNC110 - no change is missed
            await asyncio.sleep(0.05)


async def main(what: str, endpoint: str, token: str, *paths: str) -> None:
    connection: Any = webrtc.RTCPeerConnection()
    tasks = []
    first, second = Path(paths[0]), Path(paths[-1])
    if what == "publish":
        picture, sound = webrtc.VideoTrackGenerator(), webrtc.MediaStreamTrackGenerator("audio")
        for track in (picture.track, sound):
            connection.add_transceiver(track, webrtc.RTCRtpTransceiverInit(direction="sendonly"))
        tasks = [
            asyncio.create_task(publish_picture(picture, first)),
            asyncio.create_task(publish_sound(sound, second)),
        ]
    else:
        receiving = webrtc.RTCRtpTransceiverInit(direction="recvonly")
        pictures = connection.add_transceiver("video", receiving).receiver.track
        voices = connection.add_transceiver("audio", receiving).receiver.track
        tasks = [
            asyncio.create_task(keep_pictures(pictures, first / "frames.grey")),
            asyncio.create_task(keep_sound(voices, first / "sound.s16")),
        ]
    await connection.set_local_description(await connection.create_offer())
    session = await asyncio.to_thread(Session, endpoint, token, connection.local_description.sdp)
    await connection.set_remote_description(
        webrtc.RTCSessionDescriptionInit(type="answer", sdp=session.answer)
    )
    await until_connected(connection)
    print("ready", flush=True)
    while (await asyncio.to_thread(sys.stdin.readline)).strip() == "restart":
        status = await restart(connection, session)
        # The new path is taken a moment after the old one was good.
        await asyncio.sleep(1)
        await until_connected(connection)
        print(f"restarted {status}", flush=True)
    status = await asyncio.to_thread(session.delete)
    for task in tasks:
        # Its end is not its fault; a fault is.
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    connection.close()
    print(f"ended {status}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
