"""``luokkasilta serve`` with the own-room rule off, so that a test can show that it would be noticed."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from bridge.config import Config, parse_address
from bridge.program import running
from bridge.slots import LessonRules


async def serve(config: Config) -> None:
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    async with running(config) as program:
        print(f"Luokkasilta listens on {program.base_url}", flush=True)
        await stop.wait()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--http", type=parse_address, required=True)
    parser.add_argument("--media", type=parse_address, required=True)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    rules = LessonRules(exclude_own_room=False)
    asyncio.run(serve(Config(http=options.http, media=(options.media,), data=options.data, rules=rules)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
