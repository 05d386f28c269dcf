"""``python -m media.synthetic --url ws://HOST:PORT/ws`` with the token in --token or LUOKKASILTA_TOKEN.

Exit code 0 when the lesson is over or on SIGINT or SIGTERM, 1 when the server will not have it or is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from datetime import datetime

import cv2

from media.synthetic.endpoint import Endpoint, GivenUpError, RefusedError
from media.synthetic.tracks import read_speech

log = logging.getLogger("luokkasilta.synthetic")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m media.synthetic", description=__doc__)
    parser.add_argument("--url", required=True, help="the server's WebSocket, ws://HOST:PORT/ws")
    parser.add_argument(
        "--token",
        default=os.environ.get("LUOKKASILTA_TOKEN"),
        help="a kiosk's token; better in the environment, where a process list doesn't show it",
    )
    options = parser.parse_args(arguments)
    if not options.token:
        parser.error("a token is needed, in --token or LUOKKASILTA_TOKEN")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiortc").setLevel(logging.WARNING)
    logging.getLogger("aioice").setLevel(logging.WARNING)
    # The pictures are small and there are few: OpenCV's own threads would only wake each other.
    cv2.setNumThreads(1)
    return asyncio.run(_run(options.url, options.token))


async def _run(url: str, token: str) -> int:
    speech = await asyncio.to_thread(read_speech)
    endpoint = Endpoint(url, token, speech, lambda: datetime.now().astimezone())
    running = asyncio.ensure_future(endpoint.run())
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        log.info("stopped")
    except RefusedError as error:
        log.error("the server will not have this endpoint: %s", error)  # noqa: TRY400 - the code says it all
        return 1
    except GivenUpError as error:
        log.error("gave up: %s", error)  # noqa: TRY400 - the text says it all
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
