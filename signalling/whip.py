"""WHIP (RFC 9725) and WHEP over HTTP: one POST is a join, its URL the session. PROTOCOL.md, section 8.

    /api/whip/{lesson}    POST: publish       /api/whep/{lesson}    POST: play
    .../{session}         PATCH: trickle, ICE restart      DELETE: leave

The token that lets an endpoint in by WebSocket lets it in here, and its grant decides; the negotiation and
everything after it are those of every endpoint. Only what HTTP says of it is here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web

from bridge.errors import ErrorCode, RefusedError
from bridge.ports import IceServers
from bridge.values import EndpointId, IceServer, LessonId, Offer, Pass
from signalling import icefragment, plainoffer
from signalling.connection import Services
from signalling.operations import error_response
from signalling.ratelimit import TokenBucket
from signalling.resource import Resource

log = logging.getLogger(__name__)

OFFER_MAX = 64 * 1024
"""Octets. A browser's offer of three m-lines with every codec it has is about 20 KiB."""
FRAGMENT_MAX = 16 * 1024
SESSIONS_PER_TOKEN = 8
SESSIONS_PER_LESSON = 200
POSTS_PER_S = 1.0
"""Of one token, on average; a client that can't get in comes back when it is told to."""
POST_BURST = 10
RETRY_S = 5
_BUCKETS = 4096

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
_SCHEME = "bearer "

STATUS = {
    ErrorCode.TOKEN_INVALID: 401,
    ErrorCode.TOKEN_EXPIRED: 401,
    ErrorCode.NOT_GRANTED: 403,
    ErrorCode.LESSON_UNKNOWN: 404,
    ErrorCode.LESSON_ENDED: 404,
    ErrorCode.NOT_JOINED: 404,
    ErrorCode.MEDIA_FAILED: 404,
    ErrorCode.LESSON_NOT_OPEN: 409,
    ErrorCode.MESSAGE_INVALID: 400,
    ErrorCode.SDP_INVALID: 400,
    ErrorCode.SDP_UNSUPPORTED: 422,
    ErrorCode.LESSON_FULL: 503,
    ErrorCode.SERVER_FULL: 503,
    ErrorCode.SERVER_STOPPING: 503,
}
_LATER = frozenset({409, 429, 503})
"""With Retry-After."""

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Location, ETag, Link, Retry-After, Accept-Post, Accept-Patch",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_PREFLIGHT = {
    # Those of the sessions too: a client reads here whether it may trickle. OPTIONS itself has to be among
    # them for a page that asks for the ICE servers with its token.
    "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "86400",
}
_NOT_KEPT = {"Cache-Control": "no-store"}

K = TypeVar("K")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AnswerError(Exception):
    """What can't be done, as HTTP says it; ``code`` is one of PROTOCOL.md, section 8."""

    def __init__(self, status: int, code: str, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}: {text}")
        self.status = status
        self.code = code
        self.text = text
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class _Way:
    """What differs between the two."""

    name: str
    offer_of: Callable[[str, Pass], Offer]


_WAYS = (
    _Way("whip", lambda sdp, _: plainoffer.publishing(sdp)),
    _Way("whep", lambda sdp, admitted: plainoffer.playing(sdp, admitted.grant.slots)),
)


class Sessions:
    """The sessions that there are, and the routes to them."""

    def __init__(
        self,
        services: Services,
        ice_servers: IceServers,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = services
        self._ice_servers = ice_servers
        self._monotonic = monotonic
        self._resources: dict[tuple[str, str], Resource] = {}
        self._of_token: Counter[str] = Counter()
        self._of_lesson: Counter[LessonId] = Counter()
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._resources)

    def add_to(self, app: web.Application) -> None:
        for way in _WAYS:
            endpoint, session = f"/api/{way.name}/{{lesson}}", f"/api/{way.name}/{{lesson}}/{{session}}"
            app.router.add_post(endpoint, self._route(self._post, way))
            app.router.add_route("OPTIONS", endpoint, self._route(self._options, way))
            app.router.add_patch(session, self._route(self._patch, way))
            app.router.add_delete(session, self._route(self._delete, way))
            app.router.add_route("OPTIONS", session, self._route(self._session_options, way))
        app.on_response_prepare.append(_allow_other_pages)

    def _route(self, handler: Callable[[web.Request, _Way], Awaitable[web.Response]], way: _Way) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request, way)
            except RefusedError as refused:
                error = _as_answer(refused)
            except AnswerError as answer:
                error = answer
            self._services.metrics.refused(error.code)
            response = error_response(error.status, error.code, error.text, error.headers)
            if request.body_exists and not request.content.at_eof():
                response.force_close()
            return response

        handle.takes_body = True  # type: ignore[attr-defined]
        return handle

    # Requests

    async def _post(self, request: web.Request, way: _Way) -> web.Response:
        came_at = self._monotonic()
        token = _token(request)
        admitted = self._admitted(request, token)
        self._pace(admitted)
        _check_accept(request)
        text = await self._body(request, SDP, OFFER_MAX, "Accept-Post")
        offer = way.offer_of(text, admitted)
        if (
            self._of_token[admitted.token_id] >= SESSIONS_PER_TOKEN
            or self._of_lesson[admitted.lesson] >= SESSIONS_PER_LESSON
        ):
            raise AnswerError(429, "too-many-sessions", "of this token or this lesson", _retry())

        resource = self._add(way, admitted, token)
        answer = await resource.enter(self._services.lessons, offer)
        self._services.metrics.joined(self._monotonic() - came_at)
        response = web.Response(status=201, text=answer, content_type=SDP, headers=_NOT_KEPT)
        response.headers["Location"] = f"{request.rel_url.raw_path.rstrip('/')}/{resource.id}"
        response.headers["ETag"] = resource.etag
        _link(response, resource.ice_servers)
        return response

    async def _options(self, request: web.Request, _way: _Way) -> web.Response:
        """Of a browser that asks whether it may, without a token; and of a client that wants ICE servers."""
        headers = {"Allow": "OPTIONS, POST", "Accept-Post": SDP}
        response = web.Response(status=204, headers={**_PREFLIGHT, **_NOT_KEPT, **headers})
        if "Authorization" in request.headers:
            admitted = self._admitted(request, _token(request))
            name = EndpointId(admitted.token_id)
            _link(response, self._ice_servers.for_endpoint(name, self._services.clock()))
        return response

    async def _session_options(self, _request: web.Request, _way: _Way) -> web.Response:
        headers = {"Allow": "DELETE, OPTIONS, PATCH", "Accept-Patch": FRAGMENT}
        return web.Response(status=204, headers={**_PREFLIGHT, **_NOT_KEPT, **headers})

    async def _patch(self, request: web.Request, way: _Way) -> web.Response:
        resource = self._own(request, way)
        if not resource.bucket.take(self._monotonic()):
            raise AnswerError(429, "too-many-requests", "faster than the limit", _retry(1))
        text = await self._body(request, FRAGMENT, FRAGMENT_MAX, "Accept-Patch")
        wanted = request.headers.get("If-Match")
        if wanted is None:
            raise AnswerError(428, "precondition-required", "If-Match is needed")
        try:
            fragment = icefragment.parse(text)
        except icefragment.FragmentInvalidError as error:
            raise AnswerError(400, "fragment-invalid", str(error)) from None
        any_state = wanted.strip() == "*"
        if not any_state and resource.etag not in {each.strip() for each in wanted.split(",")}:
            raise AnswerError(412, "precondition-failed", "the session has another ETag by now")

        repeated = resource.answered_restart(fragment.credentials) and not fragment.candidates
        if fragment.credentials is not None and any_state:
            if repeated or not resource.knows(fragment.credentials):
                return await self._restart(resource, fragment.credentials)
        elif not resource.knows(fragment.credentials):
            raise AnswerError(409, "ice-restart-conflict", 'an ICE restart comes with If-Match: "*"')
        # ICE-lite: whom a client is reached at, its checks say.
        return web.Response(status=204, headers={**_NOT_KEPT, "ETag": resource.etag})

    async def _restart(self, resource: Resource, credentials: icefragment.Credentials) -> web.Response:
        answer = await resource.restart(credentials)
        response = web.Response(text=answer, content_type=FRAGMENT, headers=_NOT_KEPT)
        response.headers["ETag"] = resource.etag
        _link(response, resource.ice_servers)
        return response

    async def _delete(self, request: web.Request, way: _Way) -> web.Response:
        self._own(request, way).end()
        return web.Response(headers=_NOT_KEPT)

    # Who may

    def _admitted(self, request: web.Request, token: str) -> Pass:
        admitted = self._services.tokens.check(token, self._services.clock())
        if admitted.lesson != request.match_info["lesson"]:
            raise RefusedError(ErrorCode.NOT_GRANTED, "a token for another lesson")
        return admitted

    def _own(self, request: web.Request, way: _Way) -> Resource:
        """The session of a request, for who may. Raises RefusedError, AnswerError."""
        token = _token(request)
        resource = self._resources.get((way.name, request.match_info["session"]))
        if resource is not None and resource.lesson != request.match_info["lesson"]:
            resource = None
        if resource is not None and resource.shows_own_token(token):
            return resource
        admitted = self._services.tokens.check(token, self._services.clock())
        if resource is None:
            raise AnswerError(404, "not-found", "no such session, or it has ended")
        if not resource.belongs_to(admitted):
            raise RefusedError(ErrorCode.NOT_GRANTED, "another endpoint's session")
        return resource

    def _pace(self, admitted: Pass) -> None:
        now = self._monotonic()
        bucket = self._buckets.pop(admitted.token_id, None) or TokenBucket(POSTS_PER_S, POST_BURST, now)
        self._buckets[admitted.token_id] = bucket
        if len(self._buckets) > _BUCKETS:
            # The one that was unused for longest has filled up again, or there are 4,096 tokens in use.
            self._buckets.popitem(last=False)
        if not bucket.take(now):
            raise AnswerError(429, "too-many-requests", "faster than the limit", _retry())

    def _add(self, way: _Way, admitted: Pass, token: str) -> Resource:
        def forget(resource: Resource) -> None:
            del self._resources[way.name, resource.id]
            _take_off(self._of_token, admitted.token_id)
            _take_off(self._of_lesson, admitted.lesson)

        resource = Resource(admitted, token, now=self._monotonic(), on_ended=forget)
        self._resources[way.name, resource.id] = resource
        self._of_token[admitted.token_id] += 1
        self._of_lesson[admitted.lesson] += 1
        return resource

    async def _body(self, request: web.Request, kind: str, limit: int, accepts: str) -> str:
        if request.content_type != kind or "Content-Encoding" in request.headers:
            raise AnswerError(415, "unsupported-media-type", f"{kind} is wanted", {accepts: kind})
        if (request.content_length or 0) > limit:
            raise AnswerError(413, "content-too-large", f"more than {limit} octets")
        body = b""
        try:
            async with asyncio.timeout(self._services.limits.request_s):
                while piece := await request.content.readany():
                    body += piece
                    if len(body) > limit:
                        raise AnswerError(413, "content-too-large", f"more than {limit} octets")
        except TimeoutError:
            raise AnswerError(408, "request-timeout", "the body did not come in time") from None
        try:
            return body.decode()
        except UnicodeDecodeError:
            raise AnswerError(400, "content-invalid", "no UTF-8") from None


def _take_off(counter: Counter[K], key: K) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


def _token(request: web.Request) -> str:
    shown = request.headers.get("Authorization")
    if shown is None:
        challenge = {"WWW-Authenticate": "Bearer"}
        raise AnswerError(401, "token-missing", "a lesson's token is needed", challenge)
    if not shown.lower().startswith(_SCHEME):
        raise RefusedError(ErrorCode.TOKEN_INVALID, "not a bearer token")
    return shown[len(_SCHEME) :].strip()


def _check_accept(request: web.Request) -> None:
    """Weights are not looked at: what answers is one type."""
    fields = request.headers.getall("Accept", [])
    kinds = {each.partition(";")[0].strip().lower() for field in fields for each in field.split(",")}
    if kinds and not kinds & {"*/*", "application/*", SDP}:
        raise AnswerError(406, "not-acceptable", f"the answer is {SDP}")


def _as_answer(refused: RefusedError) -> AnswerError:
    status = STATUS.get(refused.code, 500)
    headers = _retry() if status in _LATER else {}
    if status == 401:
        # RFC 6750, section 3.
        headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    return AnswerError(status, refused.code.value, refused.text, headers)


def _retry(seconds: int = RETRY_S) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


def _link(response: web.Response, servers: tuple[IceServer, ...]) -> None:
    """One Link header for each URL of an ICE server (RFC 9725 section 4.6)."""
    for server in servers:
        for url in server.urls:
            value = f'<{url}>; rel="ice-server"'
            if url.startswith("turn"):
                value += (
                    f'; username="{server.username}"; credential="{server.credential}"'
                    '; credential-type="password"'
                )
            response.headers.add("Link", value)


async def _allow_other_pages(request: web.Request, response: web.StreamResponse) -> None:
    """CORS: nothing here goes by a cookie, so that a page of any origin may use a token that it has."""
    if request.path.startswith(tuple(f"/api/{way.name}/" for way in _WAYS)):
        response.headers.update(_CORS)
