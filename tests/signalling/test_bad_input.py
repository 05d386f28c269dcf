"""Bad input over a real WebSocket: it gets a documented code, and the lesson of the others goes on.

Joins and restarts are negotiated by the real functions of media; only the packet engine is not there.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.config import Limits
from bridge.errors import ErrorCode
from bridge.ports import Admission, MediaRefusedError
from bridge.values import EndpointId, Grant, Offer, Role
from media.negotiation import Agreement, negotiate
from media.restart import FreshIce, restart
from signalling import messages as m
from signalling.tokens import TOKEN_MAX, Tokens
from tests.bridge.support import RecordingMedia
from tests.media.support import LOCAL, recorded_named
from tests.signalling.client import PATIENCE_S, Bench, Client, bench_of, join_of

SDP = recorded_named("chromium-home").offer.sdp
PATIENT = Limits(messages_per_s=1e6, message_burst=10**6, resumable_s=0.2)
"""The rate limit has its own tests; here it would keep the rest from being reached."""


class NegotiatingMedia(RecordingMedia):
    """Negotiates and restarts as the real media does."""

    def admit(self, endpoint: EndpointId, offer: Offer, grant: Grant) -> Admission:
        negotiated = negotiate(offer, grant, LOCAL)
        self.admitted.append(endpoint)
        self.agreements()[endpoint] = negotiated.agreement
        return Admission(
            negotiated.answer,
            frozenset(source.kind for source in negotiated.plan.sources),
            tuple(slot.index for slot in negotiated.plan.slots),
        )

    def restart(self, endpoint: EndpointId, sdp: str) -> str:
        agreement = self.agreements().get(endpoint)
        if agreement is None:
            raise MediaRefusedError("not-joined", "there is nothing to restart")
        restarted = restart(agreement, sdp, FreshIce("freshUfr", "f" * 24, LOCAL.candidates))
        self.agreements()[endpoint] = restarted.agreement
        return restarted.answer

    def agreements(self) -> dict[EndpointId, Agreement]:
        kept: dict[EndpointId, Agreement] = self.__dict__.setdefault("_agreements", {})
        return kept


def real_join(role: Role, sdp: str | None = None) -> dict[str, Any]:
    """The fields of a join with a browser's offer."""
    offer = recorded_named(f"chromium-{role}").offer
    return {
        "offer": offer.sdp if sdp is None else sdp,
        "sources": [{"kind": source.kind, "mid": source.mid} for source in offer.sources],
        "slots": [{"index": s.index, "picture": s.picture, "voice": s.voice} for s in offer.slots],
    }


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench_of(tmp_path, PATIENT, NegotiatingMedia) as bench:
        yield bench


class Witnesses:
    """A teacher and a school whose lesson has to go on."""

    def __init__(self, teacher: Client, school: Client) -> None:
        self._teacher, self._school = teacher, school
        self._on = True

    @classmethod
    async def of(cls, bench: Bench, stack: AsyncExitStack) -> Witnesses:
        clients = []
        for role in (Role.KIOSK, Role.SCHOOL):
            client = await stack.enter_async_context(bench.known(role))
            if role is Role.KIOSK:
                await client.ask("open")
            assert (await client.ask("join", **real_join(role)))["type"] == "joined"
            clients.append(client)
        return cls(*clients)

    async def go_on(self) -> None:
        """What one does, the other still sees."""
        self._on = not self._on
        assert (await self._teacher.ask("source", kind="camera", on=self._on))["type"] == "done"
        async with asyncio.timeout(PATIENCE_S):
            while True:
                changed = (await self._school.until("members"))["changed"]
                if any(each["teaches"] and each["sources"]["camera"] is self._on for each in changed):
                    return


# Whatever it is


def messages_of(bench_token: str) -> dict[str, dict[str, Any]]:
    """One good message of each type, as a home sends it."""
    return {
        "hello": {"type": "hello", "version": 1, "token": bench_token},
        "resume": {"type": "hello", "version": 1, "token": bench_token, "resume": "a" * 43},
        "open": {"type": "open"},
        "join": {"type": "join", "label": "8B", "headcount": 2, **real_join(Role.HOME)},
        "restart": {"type": "restart", "offer": SDP},
        "source": {"type": "source", "kind": "camera", "on": False},
        "end": {"type": "end"},
        "leave": {"type": "leave"},
    }


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["camera", "a" * 64, "a" * 65, "x" * 3000, SDP[:500]]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def mutated_sdp(draw: st.DrawFn) -> str:
    """The offer with some lines lost, doubled, moved, cut or written over."""
    lines = SDP.splitlines()
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(lines) - 1))
        other = draw(st.integers(0, len(lines) - 1))
        change = draw(st.sampled_from(["lose", "double", "swap", "cut", "write", "number", "junk"]))
        if change == "lose" and len(lines) > 1:
            del lines[at]
        elif change == "double":
            lines.insert(other % len(lines), lines[at])
        elif change == "swap":
            lines[at], lines[other % len(lines)] = lines[other % len(lines)], lines[at]
        elif change == "cut":
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
        elif change == "number":
            digits = str(draw(st.sampled_from([-1, 0, 15, 127, 256, 65536, 2**32, 2**70])))
            lines[at] = "".join(digits if c.isdigit() else c for c in lines[at])
        elif change == "write":
            lines[at] = lines[at].replace(
                draw(st.sampled_from(["a=", ":", " ", "1", "/"])), draw(st.text(max_size=4))
            )
        else:
            lines[at] = draw(st.text(max_size=40))
    return draw(st.sampled_from(["\r\n", "\n", "\r"])).join(lines)


@st.composite
def frames(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """A dozen messages: good ones, mutated ones, and what was never one. (kind of frame, what is in it)"""
    made: list[tuple[str, Any]] = []
    for _ in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["good", "good", "field", "field", "sdp", "cut", "json", "text", "raw"]))
        name = draw(st.sampled_from(["hello", "resume", "open", "join", "restart", "source", "end", "leave"]))
        if kind == "good":
            made.append(("named", name))
        elif kind == "field":
            made.append(("changed", (name, draw(st.integers(0, 8)), draw(JUNK), draw(st.booleans()))))
        elif kind == "sdp":
            made.append(("sdp", (draw(st.sampled_from(["join", "restart"])), draw(mutated_sdp()))))
        elif kind == "cut":
            made.append(("cut", (name, draw(st.integers(0, 400)))))
        elif kind == "json":
            made.append(("json", draw(JUNK)))
        elif kind == "text":
            made.append(("text", draw(st.text(max_size=60))))
        else:
            made.append(("raw", draw(st.binary(max_size=60))))
    return made


def frame_of(kind: str, content: Any, token: str) -> str | bytes:
    good = messages_of(token)
    if kind == "named":
        return json.dumps({"id": 1, **good[content]})
    if kind == "changed":
        name, at, junk, drop = content
        message = {"id": 1, **good[name]}
        field = list(message)[at % len(message)]
        if drop:
            del message[field]
        else:
            message[field] = junk
        return json.dumps(message)
    if kind == "sdp":
        name, sdp = content
        return json.dumps({"id": 1, **good[name], "offer": sdp})
    if kind == "cut":
        name, at = content
        return json.dumps(good[name])[: -1 - at]
    if kind == "json":
        return json.dumps(content)
    assert isinstance(content, str | bytes)
    return content


async def attack(bench: Bench, sent: list[tuple[str, Any]], *, known: bool) -> set[str]:
    """Send it over one connection and give the codes that come back, until silence or the close."""
    token = bench.token(Role.HOME)
    codes: set[str] = set()
    async with bench.session.ws_connect(bench.program.websocket_url) as socket:
        if known:
            await socket.send_json({"type": "hello", "version": 1, "token": token})
        for kind, content in sent:
            frame = frame_of(kind, content, token)
            # The server may have closed by now; what comes too late is part of the game.
            if socket.closed:
                break
            try:
                if isinstance(frame, bytes):
                    await socket.send_bytes(frame)
                else:
                    # Half a surrogate pair has no UTF-8; a client that sends such octets is closed with 1007.
                    await socket.send_frame(frame.encode("utf-8", "surrogatepass"), aiohttp.WSMsgType.TEXT)
            except ConnectionError:
                break
        try:
            # Answered by the Classroom, and so after all that it was asked before.
            await socket.send_json({"type": "source", "kind": "screen", "on": True, "id": 7777})
        except ConnectionError:
            return codes
        async with asyncio.timeout(PATIENCE_S):
            async for message in socket:
                answer = message.json()
                if answer.get("re") == 7777:
                    break
                if answer["type"] == "error":
                    codes.add(answer["code"])
        # As a page that is closed, or as a line that breaks.
        await socket.close(code=1001 if len(sent) % 2 else 1000)
    return codes


def test_random_and_mutated_messages(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def begin() -> tuple[Bench, Witnesses]:
            bench = await stack.enter_async_context(bench_of(tmp_path, PATIENT, NegotiatingMedia))
            return bench, await Witnesses.of(bench, stack)

        bench, witnesses = runner.run(begin())
        seen: set[str] = set()

        @settings(max_examples=200, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
        @given(frames(), st.booleans())
        def one_connection(sent: list[tuple[str, Any]], known: bool) -> None:
            async def send() -> None:
                seen.update(await attack(bench, sent, known=known))
                await witnesses.go_on()

            runner.run(send())

        try:
            one_connection()
        finally:
            runner.run(stack.aclose())
    assert seen <= {code.value for code in ErrorCode}
    assert "internal" not in seen
    # It reached deep enough to meet each of these.
    assert seen >= {
        "message-invalid",
        "hello-expected",
        "resume-failed",
        "not-granted",
        "not-joined",
        "already-joined",
        "sdp-invalid",
    }
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


# Too much of it


async def test_a_flood_ends_its_own_connection_and_nobody_waits_for_it(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        bench = await stack.enter_async_context(bench_of(tmp_path, Limits(), NegotiatingMedia))
        witnesses = await Witnesses.of(bench, stack)
        floods = [await stack.enter_async_context(bench.known(Role.HOME)) for _ in range(5)]

        async def flood(client: Client) -> None:
            join = json.dumps({"type": "join", **real_join(Role.HOME)})
            with suppress(ConnectionError):
                while True:
                    await client.socket.send_str(join)
            while (error := await client.until("error"))["code"] != "too-many-messages":
                assert error["code"] == "already-joined"

        flooding = [asyncio.create_task(flood(client)) for client in floods]
        for _ in range(5):
            await witnesses.go_on()
        await asyncio.gather(*flooding)
        await witnesses.go_on()


@pytest.mark.parametrize(
    ("sdp", "code"),
    [
        ("", "sdp-invalid"),
        ("v=0", "sdp-invalid"),
        ("\0" * 1000, "sdp-invalid"),
        ("a=" * 100_000, "sdp-invalid"),
        ("v=0\r\n" * 28_000, "sdp-invalid"),
        ("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 5_000, "sdp-invalid"),
        (SDP + "a=rid:h send\r\n" * 10_000, None),
        (SDP + "a=ssrc:1 cname:x\r\n" * 8_000, None),
        ("x" * (m.OFFER_MAX + 1), "message-invalid"),
    ],
)
async def test_large_and_malformed_offers(bench: Bench, sdp: str, code: str | None) -> None:
    async with AsyncExitStack() as stack:
        witnesses = await Witnesses.of(bench, stack)
        home = await stack.enter_async_context(bench.known(Role.HOME))
        answer = await home.ask("join", **real_join(Role.HOME, sdp))
        assert answer.get("code") in ({code} if code else {None, "sdp-invalid", "sdp-unsupported"})
        assert answer.get("fatal") is not True
        await witnesses.go_on()
        if code is not None:
            assert (await home.ask("join", **real_join(Role.HOME)))["type"] == "joined"


async def test_large_and_malformed_restarts(bench: Bench) -> None:
    async with AsyncExitStack() as stack:
        witnesses = await Witnesses.of(bench, stack)
        home = await stack.enter_async_context(bench.known(Role.HOME))
        assert (await home.ask("restart", offer=SDP))["code"] == "not-joined"
        assert (await home.ask("join", **real_join(Role.HOME)))["type"] == "joined"
        for sdp in ("", "a=" * 100_000, SDP, SDP.replace("m=audio", "m=video", 1)):
            assert (await home.ask("restart", offer=sdp))["code"] == "sdp-invalid"
        assert (await home.ask("restart", offer="x" * (m.OFFER_MAX + 1)))["code"] == "message-invalid"
        await witnesses.go_on()


@pytest.mark.parametrize(
    ("frame", "code", "closes"),
    [
        (
            '{"type":"join","offer":"","sources":[' + '{"kind":"mic","mid":"1"},' * 16 + "0]}",
            "message-invalid",
            None,
        ),
        ('{"type":"open","id":2147483648}', "message-invalid", None),
        ("[" * 100_000, "message-invalid", None),
        ('{"type":"open",' + '"x":1,' * 20_000 + '"y":1}', "not-granted", None),
        (" " * (m.MESSAGE_MAX + 1), "message-too-large", 1009),
        (b"\0" * 100, "message-invalid", 4000),
    ],
)
async def test_frames_at_the_limits(bench: Bench, frame: str | bytes, code: str, closes: int | None) -> None:
    async with AsyncExitStack() as stack:
        witnesses = await Witnesses.of(bench, stack)
        home = await stack.enter_async_context(bench.known(Role.HOME))
        if isinstance(frame, bytes):
            await home.socket.send_bytes(frame)
        else:
            await home.socket.send_str(frame)
        assert (await home.until("error"))["code"] == code
        if closes is None:
            assert (await home.ask("join", **real_join(Role.HOME)))["type"] == "joined"
        else:
            assert await home.close_code() == closes
        await witnesses.go_on()


async def test_tokens_of_others_and_of_nobody(bench: Bench) -> None:
    good = bench.token(Role.HOME)
    header, claims, signature = good.split(".")
    other_claims = bench.token(Role.KIOSK).split(".")[1]
    foreign = Tokens(bytes(32)).sign(bench.lesson.id, Role.HOME, "Vieremä", now=2e9)
    none = "eyJhbGciOiJub25lIn0"
    for token in (
        "",
        foreign,
        f"{none}.{claims}.",
        f"{none}.{claims}.{signature}",
        f"{header}.{other_claims}.{signature}",
        good[:-2],
        good + "A" * (TOKEN_MAX - len(good) + 1),
        "\N{SNOWMAN}",
    ):
        async with bench.stranger() as client:
            error = await client.ask("hello", version=1, token=token)
            assert (error["code"], error["fatal"]) == ("token-invalid", True), token
            assert await client.close_code() == 4000


async def test_a_join_of_the_kit_is_refused_by_real_media(bench: Bench) -> None:
    """Proves that the negotiation of this file is not the one that takes every offer."""
    async with bench.known(Role.KIOSK) as kiosk:
        await kiosk.ask("open")
        assert (await kiosk.ask("join", **join_of(Role.KIOSK)))["code"] == "sdp-invalid"
