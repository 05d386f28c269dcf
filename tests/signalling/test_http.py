"""The pages, built or not, and nothing beside them; a made-up build stands for the real one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bridge.config import Limits
from bridge.registry import LiveLessons
from bridge.slots import LessonRules
from signalling.connection import Services
from signalling.http import PAGES, Door, make_application
from signalling.tokens import Tokens
from tests.bridge.support import MemoryStore, RecordingMediaService

Client = TestClient[web.Request, web.Application]


def services(limits: Limits) -> Services:
    lessons = LiveLessons(
        MemoryStore({}),
        RecordingMediaService().open,
        rules=LessonRules(),
        endpoints_per_lesson=10,
        now=lambda: datetime.now(UTC),
    )
    return Services(lessons, Tokens(bytes(32)), limits, time.time)


@pytest.fixture
def build(tmp_path: Path) -> Path:
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html><title>Luokkasilta</title>", encoding="utf-8")
    (static / "icon.svg").write_text("<svg/>", encoding="utf-8")
    (static / "assets" / "index-D3Qb_s-G.js").write_text("export {}", encoding="utf-8")
    (tmp_path / "secret.key").write_text("secret", encoding="utf-8")
    return static


@pytest.fixture
async def client(build: Path) -> AsyncIterator[Client]:
    async with TestClient(TestServer(make_application(Door(services(Limits())), static=build))) as made:
        yield made


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_is_the_application_and_asked_for_again(client: Client, path: str) -> None:
    async with client.get(path) as response:
        assert (response.status, response.content_type) == (200, "text/html")
        assert "Luokkasilta" in await response.text()
        assert response.headers["Cache-Control"] == "no-cache"


async def test_assets_are_kept_for_good_and_other_files_are_not(client: Client) -> None:
    async with client.get("/assets/index-D3Qb_s-G.js") as response:
        assert response.status == 200
        # Which of its two names it has is the machine's choice; browsers take both for a module.
        assert response.content_type in {"text/javascript", "application/javascript"}
        assert "immutable" in response.headers["Cache-Control"]
    async with client.get("/icon.svg") as response:
        assert (response.status, response.headers["Cache-Control"]) == (200, "no-cache")


async def test_without_a_build_the_pages_say_what_to_do(tmp_path: Path) -> None:
    app = make_application(Door(services(Limits())), static=tmp_path / "nothing")
    async with TestClient(TestServer(app)) as client:
        for path in PAGES:
            async with client.get(path) as response:
                assert response.status == 503
                assert "make build" in await response.text()
                assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/nothing", "/assets/nothing.js", "/secret.key", "/assets", "/assets/.hidden", "/teacher"]
)
async def test_an_unknown_path_is_a_short_text(client: Client, path: str) -> None:
    async with client.get(path) as response:
        assert (response.status, response.content_type) == (404, "text/plain")
        assert await response.text() == "404 not found\n"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.key",
        "/assets/../../secret.key",
        "/assets/..%2f..%2fsecret.key",
        "/%2e%2e/secret.key",
        "/assets//etc/passwd",
    ],
)
async def test_no_path_leads_out_of_the_build(client: Client, path: str) -> None:
    """Raw, because a well-behaved client would tidy the path up first."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {client.host}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.split(b" ", 2)[1] == b"404"
    assert b"secret\n" not in answer
    assert not answer.endswith(b"secret")


async def test_under_api_an_error_is_json_with_a_code(client: Client) -> None:
    async with client.get("/api/lessons") as response:
        assert response.status == 404
        assert await response.json() == {"error": {"code": "not-found", "text": "404 not found"}}


async def test_another_method_is_refused(client: Client) -> None:
    async with client.post("/kiosk") as response:
        assert (response.status, await response.text()) == (405, "405 method not allowed\n")
        assert response.headers["Allow"] == "GET,HEAD"


@pytest.mark.parametrize("path", ["/", "/assets/index-D3Qb_s-G.js", "/nothing", "/api/nothing", "/ws"])
async def test_every_answer_carries_the_security_headers(client: Client, path: str) -> None:
    async with client.get(path) as response:
        policy = dict(
            directive.strip().split(" ", 1)
            for directive in response.headers["Content-Security-Policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "camera=(self), microphone=(self)" in response.headers["Permissions-Policy"]


async def test_a_plain_get_of_the_socket_asks_for_an_upgrade(client: Client) -> None:
    async with client.get("/ws") as response:
        assert (response.status, response.headers["Upgrade"]) == (426, "websocket")


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "http://127.0.0.1:1", "null", "file://"])
async def test_a_foreign_page_is_refused(client: Client, origin: str) -> None:
    headers = {"Origin": origin, "Upgrade": "websocket", "Connection": "Upgrade"}
    async with client.get("/ws", headers=headers) as response:
        assert response.status == 403


async def test_strangers_are_few_and_beyond_all_limits_there_is_no_socket(build: Path) -> None:
    door = Door(services(Limits(connections=2, strangers=1)))
    async with TestClient(TestServer(make_application(door, static=build))) as client:
        first = await client.ws_connect("/ws")
        second = await client.ws_connect("/ws")
        error = await second.receive_json(timeout=2)
        assert (error["code"], error["fatal"]) == ("server-full", True)
        assert (await second.receive(timeout=2)).data == 4000
        assert door.refused == 1
        await first.close()
        third = await client.ws_connect("/ws")
        await third.send_json({"type": "hello", "version": 9, "token": ""})
        assert (await third.receive_json(timeout=2))["code"] == "version-unsupported", "there is room again"


async def test_a_fault_of_a_handler_is_logged_without_the_query(
    build: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_application(Door(services(Limits())), static=build)

    async def broken(_request: web.Request) -> web.Response:
        raise RuntimeError("broken")

    app.router.add_get("/api/broken", broken)
    async with TestClient(TestServer(app)) as client, client.get("/api/broken?t=a-token") as response:
        assert response.status == 500
        assert (await response.json())["error"]["code"] == "internal"
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == ["GET /api/broken failed"]
