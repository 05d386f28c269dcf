"""The page with Eyevinn's two clients (tests/whip/page), on an origin of its own, as others have it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

BUILT = Path(__file__).parent / "page" / "dist"


@asynccontextmanager
async def page_of_clients() -> AsyncIterator[str]:
    """Its address. Raises FileNotFoundError when it is not built."""
    if not (BUILT / "index.html").is_file():
        raise FileNotFoundError("the page of WHIP clients is not built; run: make whip-page")
    app = web.Application()
    app.router.add_static("/", BUILT)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0]
        yield f"http://{host}:{port}/index.html"
    finally:
        await runner.cleanup()
