"""Native clients as processes: started, waited for, stopped, and what a player of them saw and heard."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from tests.e2e.kit.media_files import HEIGHT, PITCHES_HZ, SOUND_RATE, WIDTH
from tests.e2e.kit.observation import Observation
from tests.e2e.kit.picture_code import read_code
from tests.e2e.kit.server import ROOT
from tests.e2e.kit.tone_bursts import find_bursts

COMMANDS = {
    "wrtc": (sys.executable, "-m", "tests.whip.wrtc_client"),
    # The Python that Debian's python3-gi belongs to.
    "gstreamer": ("/usr/bin/python3", str(ROOT / "tests/whip/gstreamer_client.py")),
}
START_S = 30.0
STOP_S = 15.0


class Client:
    """One that is connected."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def said(self, word: str) -> str:
        """What follows ``word`` on the next line that begins with it. Raises AssertionError at the end."""
        assert self._process.stdout is not None
        async with asyncio.timeout(START_S):
            async for line in self._process.stdout:
                first, _, rest = line.decode().strip().partition(" ")
                if first == word:
                    return rest
        raise AssertionError(f"the client ended before it was {word}")

    async def tell(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        await self._process.stdin.drain()


@asynccontextmanager
async def native_client(name: str, *arguments: str, log: Path) -> AsyncIterator[Client]:
    """Start it, wait until it is connected, and stop it at the end: its DELETE must be answered with 200."""
    with log.open("wb") as complaints:
        process = await asyncio.create_subprocess_exec(
            *COMMANDS[name], *arguments, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=complaints
        )
        client = Client(process)
        try:
            await client.said("ready")
            yield client
            await client.tell("end")
            assert await client.said("ended") == "200"
            async with asyncio.timeout(STOP_S):
                assert await process.wait() == 0
        except BaseException as error:
            error.add_note(await asyncio.to_thread(log.read_text))
            raise
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def kept(folder: Path, since: tuple[int, int] = (0, 0)) -> Observation:
    """What a player wrote after the first ``since`` octets of pictures and of sound; of 25 pictures at most,
    spread over all, the code is read."""
    seen = Observation()
    pictures = (folder / "frames.grey").read_bytes()[since[0] :]
    count = len(pictures) // (WIDTH * HEIGHT)
    frames = np.frombuffer(pictures, np.uint8, count * WIDTH * HEIGHT).reshape(count, HEIGHT, WIDTH)
    for at in range(0, count, max(1, count // 25)):
        code = read_code(frames[at])
        if code is not None:
            seen.frames[code.source].append(code.frame)
            seen.slots[code.source].add(0)
    sound = (folder / "sound.s16").read_bytes()[since[1] :]
    samples = np.frombuffer(sound[: len(sound) // 2 * 2], "<i2")
    found = find_bursts((samples / 32768).astype(np.float32), SOUND_RATE, PITCHES_HZ)
    seen.bursts = {source: len(found[pitch]) for source, pitch in enumerate(PITCHES_HZ)}
    return seen


def sizes(folder: Path) -> tuple[int, int]:
    """How much there is now, for ``kept``; whole pictures and samples."""
    picture = WIDTH * HEIGHT
    pictures, sound = ((folder / name).stat().st_size for name in ("frames.grey", "sound.s16"))
    return pictures // picture * picture, sound // 2 * 2
