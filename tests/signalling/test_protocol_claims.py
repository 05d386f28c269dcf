"""Sentences of PROTOCOL.md outside of its tables, each against a running server or the structures."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp.http_websocket import WSMsgType
from aiohttp.test_utils import TestServer

from bridge.config import Limits
from bridge.registry import LiveLessons
from bridge.slots import LessonRules
from bridge.values import Role
from signalling import messages as m
from signalling.connection import Services
from signalling.http import Door, make_application
from signalling.outbox import OUTBOX_LIMIT
from signalling.tokens import NAME_MAX, TOKEN_MAX, Tokens
from tests.bridge.support import LESSON, MemoryStore, RecordingMediaService
from tests.signalling.client import Bench, Client, bench_of, join_of

PAGE = (Path(m.__file__).parent / "PROTOCOL.md").read_text(encoding="utf-8")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench_of(tmp_path) as bench:
        yield bench


# What is said of shapes and numbers


def nested(name: str, text: str) -> set[str]:
    """The names in the braces after ``name``, those of inner braces and parentheses left out."""
    start = text.index(name) + len(name)
    begin = text.index("{", start)
    depth, end = 0, begin
    for end in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            break
    inner = text[begin + 1 : end]
    return set(re.findall(r"`(\w+)`", re.sub(r"\{[^{}]*\}|\([^()]*\)", "", inner)))


@pytest.mark.parametrize(
    ("said", "struct"),
    [
        ("`you`", m.WireYou),
        ("`teaches`, `may_open`, `may_end`}, `slots`", m.WireCounts),
        ("A *lesson* is", m.WireLesson),
        ("`iceServers` [server], `contact`", m.WireContact),
        ("A *server* is", m.WireIceServer),
        ("A *member* is", m.WireMember),
        ("A *play* is", m.WirePlay),
        ("A *play* is {`index`, `picture`:", m.WireRef),
        ("`sources` [", m.WireSource),
        ("`slots` [", m.WireSlot),
    ],
)
def test_inner_objects_have_the_fields_said(said: str, struct: type[msgspec.Struct]) -> None:
    assert nested(said, PAGE) == {field.encode_name for field in msgspec.structs.fields(struct)}


def test_what_may_be_left_out_is_marked() -> None:
    optional = {field.name for field in msgspec.structs.fields(m.Join) if not field.required} - {"id"}
    assert optional == {"label", "headcount"}
    assert all(f"`{name}`?" in PAGE for name in optional)


def test_the_numbers_said_are_the_numbers_kept() -> None:
    limits = Limits()
    for sentence in (
        f"within {limits.hello_timeout_s:g} seconds",
        f"pings (RFC 6455) every {limits.heartbeat_s:g} seconds",
        f"the {limits.heartbeat_s:g} seconds after a ping",
        f"At most {limits.messages_per_s:g} frames a second on average, in bursts of {limits.message_burst}",
        f"At most {OUTBOX_LIMIT} messages wait",
        f"At most {TOKEN_MAX} characters",
        f"(public name, 1 to {NAME_MAX} characters)",
        f"last message within {limits.closing_s:g} s is cut",
        f"(a secret, at most {m.SECRET_MAX} characters)",
        "`id` (integer, 0 to 2^31-1",
        "A `mid` has 1 to 32 characters",
    ):
        assert sentence in PAGE


# What is said of conduct


@pytest.mark.parametrize(("frame", "opcode", "code"), [(b"\xff\xfe", WSMsgType.TEXT, 1007), (b"", 0x3, 1002)])
async def test_frames_against_the_rfc_close(bench: Bench, frame: bytes, opcode: int, code: int) -> None:
    async with bench.known(Role.KIOSK) as kiosk:
        writer = kiosk.socket._writer
        await writer.send_frame(frame, opcode)
        assert await kiosk.close_code() == code


async def test_pings_of_the_client_count_and_are_answered(tmp_path: Path) -> None:
    # At the usual rate a busy machine would earn new frames between two.
    async with bench_of(tmp_path, Limits(message_burst=5, messages_per_s=0.01)) as bench:
        async with bench.session.ws_connect(bench.program.websocket_url, autoping=False) as socket:
            await socket.ping(b"are you there")
            frames = [await socket.receive(5), await socket.receive(5)]
            pong = next(frame for frame in frames if frame.type is WSMsgType.PONG)
            assert bytes(pong.data) == b"are you there"
        async with bench.known(Role.KIOSK) as kiosk:
            for _ in range(5):
                await kiosk.socket.ping()
            assert (await kiosk.until("error"))["code"] == "too-many-messages"
            assert await kiosk.close_code() == 4000


async def test_an_answer_has_its_request_s_number_and_only_then(bench: Bench) -> None:
    async with bench.known(Role.KIOSK) as kiosk:
        await kiosk.socket.send_json({"type": "open"})
        assert "re" not in await kiosk.until("done")
        await kiosk.socket.send_json({"type": "open", "id": 2**31 - 1})
        assert (await kiosk.until("done"))["re"] == 2**31 - 1
        await kiosk.socket.send_json({"type": "open", "id": 2**31})
        error = await kiosk.until("error")
        assert (error["code"], "re" in error) == ("message-invalid", False)


async def test_what_a_join_brought_about_follows_joined(bench: Bench) -> None:
    async with bench.joined(Role.KIOSK), bench.known(Role.HOME) as home:
        await home.socket.send_json({"type": "join", "id": 9, **join_of(Role.HOME)})
        joined = await home.next()
        assert (joined["type"], joined["re"]) == ("joined", 9)
        async with bench.joined(Role.SCHOOL):
            news = await home.next()
            assert (news["type"], news["revision"]) == ("members", joined["snapshot"]["revision"] + 1)
            slots = await home.next()
            assert (slots["type"], slots["revision"]) == ("slots", news["revision"])


async def test_sources_are_on_or_off_from_the_join_as_said(bench: Bench) -> None:
    async with bench.known(Role.KIOSK) as kiosk:
        await kiosk.ask("open")
        joined = await kiosk.ask("join", **join_of(Role.KIOSK))
        assert joined["snapshot"]["members"][0]["sources"] == {
            "camera": True,
            "document": False,
            "screen": False,
            "mic": True,
            "content": False,
        }
        assert [play["index"] for play in joined["snapshot"]["slots"]] == list(range(14))


async def test_before_its_join_an_endpoint_gets_lesson_only(bench: Bench) -> None:
    async with bench.known(Role.HOME) as home, bench.joined(Role.KIOSK) as kiosk:
        await kiosk.ask("source", kind="camera", on=False)
        await kiosk.ask("end")
        assert [(await home.next())["type"] for _ in range(2)] == ["lesson", "lesson"]
        assert await home.close_code() == 1000


async def test_a_lesson_that_was_never_live_can_be_ended(bench: Bench) -> None:
    async with bench.known(Role.KIOSK) as kiosk:
        assert (await kiosk.ask("end"))["type"] == "done"
        assert (await kiosk.socket.receive(5)).type is WSMsgType.CLOSE
        assert kiosk.socket.close_code == 1000


async def test_leaving_needs_no_join(bench: Bench) -> None:
    async with bench.known(Role.HOME) as home:
        assert (await home.ask("leave"))["type"] == "done"
        assert await home.close_code() == 1000


async def test_beyond_all_limits_there_is_no_socket(tmp_path: Path) -> None:
    async with bench_of(tmp_path, Limits(connections=0, strangers=0)) as bench:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await bench.session.ws_connect(bench.program.websocket_url)
        assert caught.value.status == 503


async def test_a_connection_outlives_its_token() -> None:
    clock = [1_800_000_000.0]
    lessons = LiveLessons(
        MemoryStore({LESSON.id: LESSON}),
        RecordingMediaService().open,
        rules=LessonRules(),
        endpoints_per_lesson=10,
        now=lambda: datetime.now(UTC),
    )
    tokens = Tokens(bytes(32))
    door = Door(Services(lessons, tokens, Limits(), lambda: clock[0]))
    token = tokens.sign(LESSON.id, Role.KIOSK, "Närpiö", now=clock[0], ttl_s=60)
    async with TestServer(make_application(door)) as server, aiohttp.ClientSession() as session:
        async with session.ws_connect(server.make_url("/ws")) as socket:
            kiosk = Client(socket)
            assert (await kiosk.ask("hello", version=1, token=token))["type"] == "welcome"
            clock[0] += 3600
            assert (await kiosk.ask("open"))["type"] == "done"
        async with session.ws_connect(server.make_url("/ws")) as socket:
            await socket.send_json({"type": "hello", "version": 1, "token": token})
            assert (await Client(socket).until("error"))["code"] == "token-expired"
        await lessons.stop()
        async with asyncio.timeout(5):
            await door.stop()
