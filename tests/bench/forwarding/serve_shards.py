"""``luokkasilta serve`` with several shards, one thread each."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from bridge.config import Config, parse_address
from bridge.program import running
from media.service import MediaService
from tests.bench.forwarding.ours import SHARDS


async def serve(config: Config) -> None:
    """Until it is interrupted."""
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    addresses = [str(address) for address in config.media]
    recordings = config.data / "recordings"
    media = MediaService(addresses, config.announce, recordings=recordings, shards=SHARDS)
    await media.start()
    async with running(config, media) as program:
        print(f"Luokkasilta listens on {program.base_url}", flush=True)
        await stop.wait()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=parse_address, required=True)
    parser.add_argument("--media", type=parse_address, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--announce", required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    config = Config(
        http=options.http, media=(options.media,), data=options.data, announce=(options.announce,)
    )
    asyncio.run(serve(config))
    return 0


if __name__ == "__main__":
    sys.exit(main())
