"""The HTTP side: the pages, their assets, the WebSocket's door, the health check.

/  /kiosk  /school  /home    the web application (its own router reads the path)
/assets/...                  its files, named by their contents: cached for good
/ws                          PROTOCOL.md
/healthz                     for whoever watches the server; says nothing of lessons
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from bridge.errors import ErrorCode
from signalling.connection import Connection, Services
from signalling.socket import LessonSocket

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
PAGES = ("/", "/kiosk", "/school", "/home")

_HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "font-src 'self'",
            "img-src 'self' data: blob:",
            "media-src 'self' blob:",
            "connect-src 'self'",
            "manifest-src 'self'",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Permissions-Policy": (
        "camera=(self), microphone=(self), display-capture=(self), geolocation=(), payment=(), usb=()"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_FOR_GOOD = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_NOT_BUILT = "The web application is not built. Run: make build\n"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Door:
    """Lets WebSockets in and keeps account of them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._connections: set[Connection] = set()
        self._strangers: set[Connection] = set()
        self._stopping = False
        self._empty = asyncio.Event()
        self._empty.set()
        self.refused = 0
        """Connections turned away because a limit was reached."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The handler of /ws. A foreign page's script is refused (403) before there is a socket."""
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
            return web.Response(status=403, text="Not from this page.\n")
        transport = request.transport
        limits = self._services.limits
        # Those that are only told to go away are few, short and bounded as well.
        if transport is None or len(self._connections) >= limits.connections + limits.strangers:
            self.refused += 1
            return web.Response(status=503, text="The server is full.\n")
        full = len(self._connections) >= limits.connections or len(self._strangers) >= limits.strangers

        socket = LessonSocket(limits.closing_s)
        if not socket.can_prepare(request):
            return web.Response(status=426, headers={"Upgrade": "websocket"}, text="A WebSocket is needed.\n")
        await socket.prepare(request)
        connection = Connection(socket, transport.abort, self._services, lambda: self._known(connection))
        self._connections.add(connection)
        self._strangers.add(connection)
        self._empty.clear()
        if self._stopping:
            connection.refuse(ErrorCode.SERVER_STOPPING, "the server stops; come back in a moment")
        elif full:
            self.refused += 1
            connection.refuse(ErrorCode.SERVER_FULL, "the server's limit of connections is reached")
        try:
            await connection.serve()
        finally:
            self._known(connection)
            self._connections.discard(connection)
            if not self._connections:
                self._empty.set()
        return socket

    def _known(self, connection: Connection) -> None:
        self._strangers.discard(connection)

    async def stop(self) -> None:
        """Tell all that are left ``server-stopping``, and wait until they are gone (``closing_s``, about)."""
        self._stopping = True
        for connection in self._connections:
            connection.refuse(ErrorCode.SERVER_STOPPING, "the server stops; come back in a moment")
        await self._empty.wait()


def make_application(door: Door, static: Path = STATIC) -> web.Application:
    """The application; ``static`` is where the web application was built to."""
    app = web.Application(middlewares=[_plain_errors])
    app.on_response_prepare.append(_add_headers)

    async def page(_request: web.Request) -> web.StreamResponse:
        index = static / "index.html"
        if not await asyncio.to_thread(index.is_file):
            return web.Response(status=503, text=_NOT_BUILT, headers={"Cache-Control": "no-store"})
        return web.FileResponse(index, headers={"Cache-Control": _ASK_AGAIN})

    async def asset(request: web.Request) -> web.StreamResponse:
        return await _file(static / "assets" / request.match_info["name"], _FOR_GOOD)

    async def loose_file(request: web.Request) -> web.StreamResponse:
        return await _file(static / request.match_info["name"], _ASK_AGAIN)

    for path in PAGES:
        app.router.add_get(path, page)
    app.router.add_get("/ws", door.handle)
    app.router.add_get("/healthz", _healthz)
    # The patterns have no slash, and no dot to begin with: no way out of the folder.
    app.router.add_get(r"/assets/{name:[\w-][\w.-]*}", asset)
    app.router.add_get(r"/{name:[\w-]+\.[\w.]+}", loose_file)
    return app


async def _file(path: Path, caching: str) -> web.StreamResponse:
    if not await asyncio.to_thread(path.is_file):
        raise web.HTTPNotFound
    return web.FileResponse(path, headers={"Cache-Control": caching})


async def _healthz(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"}, headers={"Cache-Control": "no-store"})


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


@web.middleware
async def _plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors without a framework's page: JSON with a code under /api, a short text elsewhere."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _error(
            request, error.status, error.reason.lower().replace(" ", "-"), error.headers.get("Allow")
        )
    except Exception:
        # The path alone: a query may hold what belongs in no log.
        log.exception("%s %s failed", request.method, request.path)
        return _error(request, 500, "internal", None)


def _error(request: web.Request, status: int, code: str, allow: str | None) -> web.Response:
    headers = {"Cache-Control": "no-store"} | ({"Allow": allow} if allow else {})
    if request.path.startswith("/api/"):
        body = {"error": {"code": code, "text": f"{status} {code.replace('-', ' ')}"}}
        return web.json_response(body, status=status, headers=headers)
    return web.Response(status=status, text=f"{status} {code.replace('-', ' ')}\n", headers=headers)
