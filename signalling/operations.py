"""For whoever watches over the server: does it live, can it work, what goes on in it.

/healthz           the process answers; open to all
/readyz            storage and media answer and nothing stops; names what does not, 503; open to all
/metrics           Prometheus' text format; operators alone
/api/statistics    every lesson, peer, source and slot, JSON; operators alone

An operator is who asks from this machine, by a name of this machine, and not through a proxy; and who shows
an operator's token. Behind a proxy everyone's address is the proxy's, so that the token alone counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Protocol

import msgspec
from aiohttp import web

from bridge.errors import ErrorCode, RefusedError, SetupError
from signalling.metrics import CONTENT_TYPE
from signalling.tokens import Tokens

_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
_SCHEME = "bearer "
_NOT_KEPT = {"Cache-Control": "no-store"}


class Parts(Protocol):
    async def ask(self) -> Mapping[str, str]:
        """Part -> "ok" or what is wrong with it."""


class Told(Protocol):
    """Who knows what is told here (watch.Watch)."""

    @property
    def readiness(self) -> Parts: ...

    async def statistics(self) -> dict[str, Any]:
        """JSON-able for msgspec. Raises SetupError."""

    async def metrics(self) -> bytes:
        """Prometheus' text format."""


@dataclass(frozen=True, slots=True)
class Operations:
    """What the routes stand on."""

    tokens: Tokens
    clock: Callable[[], float]
    """POSIX seconds."""
    behind_proxy: bool
    told: Told

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/api/statistics", self._statistics)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"}, headers=_NOT_KEPT)

    async def _readyz(self, _request: web.Request) -> web.Response:
        parts = await self.told.readiness.ask()
        ready = set(parts.values()) <= {"ok"}
        body = {"status": "ready" if ready else "not-ready", "parts": parts}
        return web.json_response(body, status=200 if ready else 503, headers=_NOT_KEPT)

    async def _metrics(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        return web.Response(
            body=await self.told.metrics(), headers={**_NOT_KEPT, "Content-Type": CONTENT_TYPE}
        )

    async def _statistics(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        try:
            found = await self.told.statistics()
        except SetupError as error:
            return error_response(503, error.code, error.text)
        return web.Response(
            body=msgspec.json.encode(found), content_type="application/json", headers=_NOT_KEPT
        )

    def _refusal(self, request: web.Request) -> web.Response | None:
        """None for an operator."""
        shown = request.headers.get("Authorization")
        if shown is None:
            if self._on_this_machine(request):
                return None
            return error_response(401, "token-missing", "an operator's token is needed", _challenge())
        if not shown.lower().startswith(_SCHEME):
            return error_response(401, ErrorCode.TOKEN_INVALID, "not a bearer token", _challenge())
        try:
            self.tokens.check_operator(shown[len(_SCHEME) :].strip(), self.clock())
        except RefusedError as refused:
            if refused.code is ErrorCode.NOT_GRANTED:
                return error_response(403, refused.code, refused.text)
            return error_response(401, refused.code, refused.text, _challenge("invalid_token"))
        return None

    def _on_this_machine(self, request: web.Request) -> bool:
        if self.behind_proxy or any(name in request.headers for name in _FORWARDED):
            return False
        # By its own name, or a page elsewhere could have its name lead here and read along (DNS rebinding).
        return _is_loopback(request.remote or "") and _is_loopback(_host_of(request.host))


def error_response(
    status: int, code: str, text: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """As every error under /api is told; ``text`` is English, for a log."""
    body = {"error": {"code": str(code), "text": text}}
    return web.json_response(body, status=status, headers={**_NOT_KEPT, **(headers or {})})


def _challenge(error: str | None = None) -> dict[str, str]:
    """RFC 6750, section 3."""
    return {"WWW-Authenticate": "Bearer" if error is None else f'Bearer error="{error}"'}


def _host_of(host: str) -> str:
    """Without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
