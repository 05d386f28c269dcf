"""Coming back over real WebSockets: cut, resumed, reloaded, duplicated, and closed for good."""

from __future__ import annotations

import asyncio
import base64
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.config import Address, Config, Limits
from bridge.lessons import new_lesson
from bridge.ports import MediaQuiet
from bridge.values import Contact, EndpointId, Role, TurnConfig
from tests.signalling.client import Bench, Client, bench_of, join_of


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench_of(tmp_path) as bench:
        yield bench


class Page:
    """A page that has joined: its connection and what it keeps."""

    def __init__(self, client: Client, welcome: dict[str, Any]) -> None:
        self.client = client
        self.endpoint = welcome["endpoint"]
        self.secret = welcome["resume"]

    def cut(self) -> None:
        """Its line breaks, without a close frame."""
        transport = self.client.socket._response.connection
        assert transport is not None
        assert transport.transport is not None
        transport.transport.abort()


@asynccontextmanager
async def page_of(bench: Bench, role: Role) -> AsyncIterator[Page]:
    async with bench.stranger() as client:
        page = Page(client, await client.ask("hello", version=1, token=bench.token(role)))
        if role is Role.KIOSK:
            await client.ask("open")
        assert (await client.ask("join", **join_of(role)))["type"] == "joined"
        yield page


async def hello(bench: Bench, client: Client, role: Role, **fields: str) -> dict[str, Any]:
    return await client.ask("hello", version=1, token=bench.token(role), **fields)


async def away(watcher: Client, endpoint: str) -> bool:
    """What it is told next of whether this one is away."""
    while True:
        for member in (await watcher.until("members"))["changed"]:
            if member["endpoint"] == endpoint:
                return bool(member["away"])


async def gone(watcher: Client) -> list[str]:
    while not (endpoints := (await watcher.until("members"))["gone"]):
        pass
    assert isinstance(endpoints, list)
    return endpoints


async def test_welcome_gives_what_is_needed_to_come_back(bench: Bench) -> None:
    async with bench.stranger() as client:
        welcome = await hello(bench, client, Role.HOME)
        assert len(welcome["resume"]) == 43
        assert welcome["resumable_s"] == Limits().resumable_s == 30.0
        assert (welcome["iceServers"], welcome["contact"]) == ([], None)


async def test_every_way_in_carries_the_relays_and_the_welcome_whom_to_call(tmp_path: Path) -> None:
    turn = TurnConfig(("turn:turn.example.fi:3478", "turns:turn.example.fi:443?transport=tcp"), "north", 3600)
    contact = Contact("Ring skolans kansli.", "+358 6 123 4567")
    config = Config(http=Address("127.0.0.1", 0), data=tmp_path, turn=turn, contact=contact)
    async with bench_of(tmp_path, config=config) as bench, bench.stranger() as kiosk:
        welcome = await hello(bench, kiosk, Role.KIOSK)
        assert welcome["contact"] == {"text": contact.text, "phone": contact.phone}
        await kiosk.ask("open")
        joined = await kiosk.ask("join", **join_of(Role.KIOSK))
        restarted = await kiosk.ask("restart", offer="again")
        async with bench.stranger() as back:
            resumed = await hello(bench, back, Role.KIOSK, resume=welcome["resume"])
        for message in (welcome, joined, restarted, resumed):
            (server,) = message["iceServers"]
            assert server["urls"] == list(turn.urls)
            expiry, endpoint = server["username"].split(":")
            assert endpoint == welcome["endpoint"]
            assert 3500 < int(expiry) - time.time() < 3700
            mac = hmac.new(b"north", server["username"].encode(), "sha1").digest()
            assert base64.b64decode(server["credential"]) == mac


async def test_a_cut_line_is_resumed_and_the_others_see_it(bench: Bench) -> None:
    async with page_of(bench, Role.KIOSK) as kiosk, page_of(bench, Role.HOME) as home:
        assert await away(kiosk.client, home.endpoint) is False
        home.cut()
        assert await away(kiosk.client, home.endpoint) is True
        async with bench.stranger() as client:
            await client.socket.send_json(
                {
                    "type": "hello",
                    "id": 3,
                    "version": 1,
                    "token": bench.token(Role.HOME),
                    "resume": home.secret,
                }
            )
            resumed = await client.next()
            assert (resumed["type"], resumed["re"], resumed["joined"]) == ("resumed", 3, True)
            assert (resumed["endpoint"], resumed["lesson"]["state"]) == (home.endpoint, "live")
            assert [member["away"] for member in resumed["snapshot"]["members"]] == [False, False]
            assert resumed["snapshot"]["slots"][0]["picture"]["endpoint"] == kiosk.endpoint
            assert resumed["resume"] != home.secret
            assert (resumed["resumable_s"], resumed["iceServers"]) == (30.0, [])
            assert await away(kiosk.client, home.endpoint) is False
            assert (await client.ask("source", kind="camera", on=False))["type"] == "done"
            assert (await client.ask("join", **join_of(Role.HOME)))["code"] == "already-joined"
            assert bench.media.last.dismissed == []


async def test_a_place_that_nobody_came_back_to_is_given_up(tmp_path: Path) -> None:
    async with (
        bench_of(tmp_path, Limits(resumable_s=0.2)) as bench,
        page_of(bench, Role.KIOSK) as kiosk,
        page_of(bench, Role.HOME) as home,
    ):
        home.cut()
        assert await gone(kiosk.client) == [home.endpoint]
        async with bench.stranger() as client:
            error = await hello(bench, client, Role.HOME, resume=home.secret)
            assert (error["code"], error["fatal"]) == ("resume-failed", False)
            welcome = await hello(bench, client, Role.HOME)
            assert welcome["type"] == "welcome", "the same connection joins anew"
            assert welcome["endpoint"] != home.endpoint
            assert (await client.ask("join", **join_of(Role.HOME)))["type"] == "joined"


async def test_a_second_tab_of_a_living_page_takes_over(bench: Bench) -> None:
    async with (
        page_of(bench, Role.KIOSK) as kiosk,
        page_of(bench, Role.HOME) as home,
        bench.stranger() as client,
    ):
        assert (await hello(bench, client, Role.HOME, replaces=home.secret))["type"] == "welcome"
        error = await home.client.until("error")
        assert (error["code"], error["fatal"]) == ("replaced", True)
        assert await home.client.close_code() == 4000
        assert await gone(kiosk.client) == [home.endpoint]
        assert bench.media.last.dismissed == [home.endpoint]
        assert (await client.ask("join", **join_of(Role.HOME)))["type"] == "joined"


async def test_a_hanging_connection_ends_when_its_endpoint_resumes(bench: Bench) -> None:
    async with page_of(bench, Role.KIOSK), page_of(bench, Role.HOME) as home, bench.stranger() as client:
        assert (await hello(bench, client, Role.HOME, resume=home.secret))["endpoint"] == home.endpoint
        assert (await home.client.until("error"))["code"] == "replaced"
        assert await home.client.close_code() == 4000
        assert (await client.ask("source", kind="mic", on=False))["type"] == "done"


async def test_a_page_that_is_closed_leaves_at_once(bench: Bench) -> None:
    async with page_of(bench, Role.KIOSK) as kiosk, page_of(bench, Role.HOME) as home:
        await home.client.socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)
        assert await gone(kiosk.client) == [home.endpoint]


@pytest.mark.parametrize("code", [aiohttp.WSCloseCode.OK, 4000])
async def test_any_other_close_is_a_cut(bench: Bench, code: int) -> None:
    async with page_of(bench, Role.KIOSK) as kiosk, page_of(bench, Role.HOME) as home:
        assert await away(kiosk.client, home.endpoint) is False
        await home.client.socket.close(code=code)
        assert await away(kiosk.client, home.endpoint) is True


async def test_a_connection_that_the_server_ends_keeps_its_place(tmp_path: Path) -> None:
    async with (
        bench_of(tmp_path, Limits(message_burst=10, messages_per_s=0.01)) as bench,
        page_of(bench, Role.KIOSK) as kiosk,
        page_of(bench, Role.HOME) as home,
    ):
        for _ in range(10):
            await home.client.socket.ping()
        assert await away(kiosk.client, home.endpoint) is False
        assert await away(kiosk.client, home.endpoint) is True
        async with bench.stranger() as client:
            assert (await hello(bench, client, Role.HOME, resume=home.secret))["type"] == "resumed"


async def test_secrets_that_are_of_no_use(bench: Bench) -> None:
    other = new_lesson("Filosofi", "FI2", datetime.now(UTC), live=True)
    await bench.program.store.add(other)
    async with page_of(bench, Role.KIOSK) as kiosk, page_of(bench, Role.HOME) as home:
        foreign = bench.token(Role.HOME, lesson=other.id)
        attempts = [
            (bench.token(Role.SCHOOL), home.secret),
            (bench.token(Role.HOME), kiosk.secret),
            (bench.token(Role.HOME), home.secret[:-1]),
            (bench.token(Role.HOME), ""),
            (bench.token(Role.HOME), "\N{SNOWMAN}" * 64),
            (foreign, home.secret),
        ]
        for token, secret in attempts:
            async with bench.stranger() as client:
                error = await client.ask("hello", version=1, token=token, resume=secret)
                assert (error["code"], error["fatal"]) == ("resume-failed", False)
            async with bench.stranger() as client:
                welcome = await client.ask("hello", version=1, token=token, replaces=secret)
                assert welcome["type"] == "welcome", "a secret that is not known does no harm"
        assert (await home.client.ask("source", kind="mic", on=False))["type"] == "done"
        assert bench.media.opened[0][1].dismissed == []


async def test_secrets_can_t_be_tried_one_after_the_other(bench: Bench) -> None:
    async with page_of(bench, Role.KIOSK), page_of(bench, Role.HOME) as home, bench.stranger() as client:
        assert (await hello(bench, client, Role.HOME, resume="a" * 43))["fatal"] is False
        error = await hello(bench, client, Role.HOME, resume="b" * 43)
        assert (error["code"], error["fatal"]) == ("resume-failed", True)
        assert await client.close_code() == 4000
        async with bench.stranger() as again:
            assert (await hello(bench, again, Role.HOME, resume=home.secret))["type"] == "resumed"


async def test_who_could_not_resume_says_hello_in_time(tmp_path: Path) -> None:
    async with bench_of(tmp_path, Limits(hello_timeout_s=2.0)) as bench, bench.stranger() as client:
        assert (await hello(bench, client, Role.HOME, resume="a" * 43))["code"] == "resume-failed"
        error = await client.until("error")
        assert (error["code"], error["fatal"]) == ("hello-expected", True)


@pytest.mark.parametrize(
    "fields", [{"resume": "a" * 65}, {"replaces": "a" * 65}, {"resume": "a", "replaces": "a"}, {"resume": 1}]
)
async def test_a_hello_that_can_t_be_meant(bench: Bench, fields: dict[str, Any]) -> None:
    async with bench.stranger() as client:
        error = await hello(bench, client, Role.HOME, **fields)
        assert (error["code"], error["fatal"]) == ("hello-expected", True)


async def test_the_secret_alone_is_not_enough(bench: Bench) -> None:
    async with page_of(bench, Role.KIOSK), page_of(bench, Role.HOME) as home:
        for token, code in [
            ("x.y.z", "token-invalid"),
            (bench.token(Role.HOME, ttl_s=10, age_s=20), "token-expired"),
        ]:
            async with bench.stranger() as client:
                error = await client.ask("hello", version=1, token=token, resume=home.secret)
                assert (error["code"], error["fatal"]) == (code, True)
        assert (await home.client.ask("source", kind="mic", on=False))["type"] == "done"


async def test_one_that_asked_before_its_join_goes_on_where_it_was(bench: Bench) -> None:
    async with bench.stranger() as client:
        welcome = await hello(bench, client, Role.HOME)
        Page(client, welcome).cut()
        async with page_of(bench, Role.KIOSK), bench.stranger() as back:
            resumed = await hello(bench, back, Role.HOME, resume=welcome["resume"])
            assert (resumed["joined"], resumed["snapshot"]["members"]) == (False, [])
            assert (await back.ask("join", **join_of(Role.HOME)))["type"] == "joined"


async def test_quiet_media_is_told_as_away(bench: Bench) -> None:
    async with page_of(bench, Role.KIOSK) as kiosk, page_of(bench, Role.HOME) as home:
        assert await away(kiosk.client, home.endpoint) is False
        for quiet in (True, False):
            bench.media.last.sink(MediaQuiet(EndpointId(home.endpoint), quiet=quiet))
            assert await away(kiosk.client, home.endpoint) is quiet


async def test_an_ice_restart(bench: Bench) -> None:
    async with page_of(bench, Role.KIOSK) as kiosk, bench.known(Role.HOME) as home:
        restarted = await kiosk.client.ask("restart", offer="again")
        assert (restarted["type"], restarted["answer"], restarted["iceServers"]) == (
            "restarted",
            "answer to again",
            [],
        )
        assert (await kiosk.client.ask("restart", offer="garbage"))["code"] == "sdp-invalid"
        assert (await kiosk.client.ask("restart"))["code"] == "message-invalid"
        assert (await home.ask("restart", offer="again"))["code"] == "not-joined"
        assert bench.media.last.restarted == [kiosk.endpoint]


async def test_a_server_that_stops_keeps_no_place_waiting(tmp_path: Path) -> None:
    async with bench_of(tmp_path, Limits(resumable_s=3600.0)) as bench:
        async with page_of(bench, Role.KIOSK) as kiosk:
            kiosk.cut()
        loop = asyncio.get_running_loop()
        began = loop.time()
    assert loop.time() - began < 10.0
    assert bench.media.last.closed == 1
