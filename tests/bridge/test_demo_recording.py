"""The demo records: a file to watch while it goes on, and one that it names when it has stopped."""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import av

from tests.bridge.test_serving import luokkasilta

PATIENCE_S = 90.0


def watched(file: Path) -> tuple[set[str], float]:
    """Codecs of a file, and the seconds of sound in it."""
    with av.open(str(file)) as container:
        codecs = {stream.codec_context.name for stream in container.streams}
        stream = container.streams.audio[0]
        ends = [
            float((packet.pts + (packet.duration or 0)) * stream.time_base)
            for packet in container.demux(stream)
            if packet.pts is not None and stream.time_base is not None
        ]
    return codecs, max(ends)


def raw_octets(data: Path) -> int:
    return sum(path.stat().st_size for path in data.glob("recordings/*/*.part"))


async def test_the_demo_is_recorded(tmp_path: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "log"
    command = ("demo", "--http", "127.0.0.1:0", "--media", "127.0.0.1:0", "--data", str(data))
    with log.open("wb") as complaints:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bridge.cli", *command, stdout=PIPE, stderr=complaints
        )
    try:
        async with asyncio.timeout(PATIENCE_S):
            # A few seconds of a moving picture.
            while raw_octets(data) < 300_000:  # noqa: ASYNC110 - another process writes
                await asyncio.sleep(0.2)
            lesson = (await luokkasilta("lesson", "list", "--data", data)).split("\t")[0]
            during = Path(await luokkasilta("recording", "--data", data, "--id", lesson))
            codecs, seconds = watched(during)
            process.send_signal(signal.SIGINT)
            said = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode == 0, log.read_text()
    assert len(codecs) == 2
    assert "opus" in codecs
    assert seconds > 1
    assert "The lesson is recorded" in said
    assert f"The recording is {during}\n" in said
    assert watched(during)[1] > seconds
    assert (await luokkasilta("lesson", "list", "--data", data)).split("\t")[1] == "ended"
    assert not list(data.glob("recordings/*/*.part")), "the raw files are cleared away"
    assert await luokkasilta("recording", "--data", data, "--id", lesson) == str(during)
