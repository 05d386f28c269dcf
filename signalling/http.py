"""The HTTP side: the pages, their assets, the WebSocket's door. PROTOCOL.md, section 7, is its page.

/  /kiosk  /school  /home    the web application (its own router reads the path)
/assets/...                  its files, named by their contents: cached for good
/ws                          PROTOCOL.md, sections 1 to 6
/api/whip/...  /api/whep/... PROTOCOL.md, section 8: whip.py
                             what watches over the server: operations.py
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.config import Limits
from bridge.errors import ErrorCode
from signalling.connection import Connection, Services
from signalling.listener import guard_of
from signalling.metrics import Metrics
from signalling.operations import Operations, error_response
from signalling.outbox import OutboxCounters
from signalling.socket import LessonSocket
from signalling.whip import Sessions

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
PAGES = ("/", "/kiosk", "/school", "/home")

LINE_MAX = 4096
"""Octets of a request line. The longest that a page asks for is far below."""
FIELD_MAX = 8190
"""Octets of one header field; a proxy may add some that are long."""
FIELDS_MAX = 64
_LINGERING_S = 2.0
"""For what is left of a body that nobody asked for; without it the client might not read the answer."""
_SHUTDOWN_S = 1.0

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
        self._closed = OutboxCounters()
        self.refused = 0
        """Connections turned away because a limit was reached."""

    @property
    def connections(self) -> int:
        return len(self._connections)

    @property
    def strangers(self) -> int:
        """Those of the connections that have not shown a token yet."""
        return len(self._strangers)

    @property
    def outboxes(self) -> OutboxCounters:
        """Of all connections since the program started."""
        return sum((each.counters for each in self._connections), self._closed)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The handler of /ws. A foreign page's script is refused (403) before there is a socket."""
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
            self._services.metrics.refused("foreign-page")
            return web.Response(status=403, text="Not from this page.\n")
        transport = request.transport
        limits = self._services.limits
        # Those that are only told to go away are few, short and bounded as well.
        if transport is None or len(self._connections) >= limits.connections + limits.strangers:
            self.refused += 1
            self._services.metrics.refused("connections")
            return web.Response(status=503, text="The server is full.\n")
        full = len(self._connections) >= limits.connections or len(self._strangers) >= limits.strangers

        socket = LessonSocket(limits.closing_s)
        if not socket.can_prepare(request):
            return web.Response(status=426, headers={"Upgrade": "websocket"}, text="A WebSocket is needed.\n")
        await socket.prepare(request)
        if (guard := guard_of(request)) is not None:
            guard.let_go()
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
            self._closed += connection.counters
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


def make_application(
    door: Door,
    operations: Operations | None = None,
    static: Path = STATIC,
    *,
    sessions: Sessions | None = None,
) -> web.Application:
    """The application; ``static`` is where the web application was built to."""
    app = web.Application(middlewares=[_plain_errors, _no_body])
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
    if operations is not None:
        operations.add_to(app)
    if sessions is not None:
        sessions.add_to(app)
    # The patterns have no slash, and no dot to begin with: no way out of the folder.
    app.router.add_get(r"/assets/{name:[\w-][\w.-]*}", asset)
    app.router.add_get(r"/{name:[\w-]+\.[\w.]+}", loose_file)
    return app


def make_runner(app: web.Application, limits: Limits, metrics: Metrics) -> web.AppRunner:
    """What serves the application, with the bounds of a request."""
    return web.AppRunner(
        app,
        access_log=None,
        logger=_RequestLog(metrics),
        shutdown_timeout=_SHUTDOWN_S,
        max_line_size=LINE_MAX,
        max_field_size=FIELD_MAX,
        max_headers=FIELDS_MAX,
        # It runs from the connection's beginning, too: also the first request has only so long to come whole.
        keepalive_timeout=limits.request_s,
        lingering_time=_LINGERING_S,
        handle_signals=False,
    )


class _RequestLog(logging.LoggerAdapter[logging.Logger]):
    """aiohttp's log, where a stranger's garbage is counted and not written: it would be a line for each."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(log, {})
        self._metrics = metrics

    def exception(self, msg: object, *args: object, exc_info: Any = True, **rest: Any) -> None:
        if not self._is_garbage(exc_info):
            super().exception(msg, *args, exc_info=exc_info, **rest)

    def debug(self, msg: object, *args: object, exc_info: Any = None, **rest: Any) -> None:
        if not self._is_garbage(exc_info):
            super().debug(msg, *args, exc_info=exc_info, **rest)

    def _is_garbage(self, error: object) -> bool:
        if not isinstance(error, HttpProcessingError):
            return False
        self._metrics.refused("bad-request")
        return True


async def _file(path: Path, caching: str) -> web.StreamResponse:
    if not await asyncio.to_thread(path.is_file):
        raise web.HTTPNotFound
    return web.FileResponse(path, headers={"Cache-Control": caching})


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


@web.middleware
async def _no_body(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Few routes take a body (whip.py); elsewhere none is read: the request is refused for it, if for nothing
    else."""
    if (guard := guard_of(request)) is not None:
        guard.expect_answer()
    if not request.body_exists or getattr(request.match_info.handler, "takes_body", False):
        return await handler(request)
    if request.match_info.http_exception is not None:
        response = _error(request, request.match_info.http_exception)
    else:
        response = _error(request, web.HTTPRequestEntityTooLarge(max_size=0, reason="Content Too Large"))
    response.force_close()
    return response


@web.middleware
async def _plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors without a framework's page: JSON with a code under /api, a short text elsewhere."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _error(request, error)
    except Exception:
        # The path alone: a query may hold what belongs in no log.
        log.exception("%s %s failed", request.method, request.path)
        return _error(request, web.HTTPInternalServerError(reason="Internal"))


def _error(request: web.Request, error: web.HTTPException) -> web.Response:
    code = error.reason.lower().replace(" ", "-")
    words = f"{error.status} {error.reason.lower()}"
    allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    if request.path.startswith("/api/"):
        return error_response(error.status, code, words, allow)
    return web.Response(
        status=error.status, text=f"{words}\n", headers={"Cache-Control": "no-store", **allow}
    )
