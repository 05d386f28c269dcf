"""Who may see what goes on in the server, and what they see: /healthz, /readyz, /metrics, /api/statistics."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge.config import Address, Config, Limits
from bridge.errors import SetupError
from bridge.program import running
from bridge.values import LessonId, Role
from signalling.tokens import Tokens
from signalling.totals import PeerTotals
from signalling.watch import FRESH_S, Readiness
from tests.bridge.support import RecordingMediaService
from tests.signalling.client import Bench, bench_of

WATCHED = ("/metrics", "/api/statistics")
MEDIA: dict[str, Any] = {
    "shards": [{"shard": 0, "peers": 2, "counters": {"datagrams": 812, "forwarded": 400}}],
    "io": {"sent": 530, "send_buffer_full": 1},
    "troubles": {"shards_failed": 0},
    "lessons": {},
}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench_of(tmp_path) as made:
        yield made


async def code_of(response: aiohttp.ClientResponse) -> str:
    error = (await response.json())["error"]
    assert set(error) == {"code", "text"}
    return str(error["code"])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def samples(bench: Bench) -> dict[str, dict[tuple[str, ...], float]]:
    """Every sample of /metrics: name -> label values by the labels' names -> value."""
    async with bench.session.get(f"{bench.program.base_url}/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert response.headers["Cache-Control"] == "no-store"
        text = await response.text()
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(value for _, value in sorted(sample.labels.items()))] = (
                sample.value
            )
    return found


@pytest.mark.parametrize("path", WATCHED)
async def test_this_machine_needs_no_token(bench: Bench, path: str) -> None:
    async with bench.session.get(bench.program.base_url + path) as response:
        assert response.status == 200


@pytest.mark.parametrize("path", WATCHED)
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "192.0.2.1"},
        {"Forwarded": "for=192.0.2.1"},
        {"X-Real-IP": "192.0.2.1"},
        {"Via": "1.1 proxy"},
        {"Host": "luokkasilta.example"},
        {"Host": "127.0.0.1.example:8080"},
    ],
)
async def test_who_comes_from_elsewhere_does(bench: Bench, path: str, headers: dict[str, str]) -> None:
    url = bench.program.base_url + path
    async with bench.session.get(url, headers=headers) as response:
        assert (response.status, await code_of(response)) == (401, "token-missing")
        assert response.headers["WWW-Authenticate"] == "Bearer"
    token = bench.program.tokens.sign_operator(now=time.time())
    async with bench.session.get(url, headers=headers | bearer(token)) as response:
        assert response.status == 200


@pytest.mark.parametrize("path", WATCHED)
async def test_a_token_that_is_shown_has_to_be_good(bench: Bench, path: str) -> None:
    tokens, now = bench.program.tokens, time.time()
    for shown, status, code in (
        (bearer("x.y.z"), 401, "token-invalid"),
        (bearer("a" * 4000), 401, "token-invalid"),
        (bearer(""), 401, "token-invalid"),
        ({"Authorization": "Basic eDp5"}, 401, "token-invalid"),
        (bearer(Tokens(bytes(32)).sign_operator(now=now)), 401, "token-invalid"),
        (bearer(tokens.sign_operator(now=now - 20, ttl_s=10)), 401, "token-expired"),
        (bearer(tokens.sign(LessonId("abc"), Role.KIOSK, "Närpiö", now=now)), 403, "not-granted"),
    ):
        async with bench.session.get(bench.program.base_url + path, headers=shown) as response:
            assert (response.status, await code_of(response)) == (status, code)
            assert ("WWW-Authenticate" in response.headers) is (status == 401)


async def test_behind_a_proxy_nobody_is_on_this_machine(tmp_path: Path) -> None:
    config = Config(http=Address("127.0.0.1", 0), data=tmp_path, behind_proxy=True)
    async with running(config, RecordingMediaService()) as program, aiohttp.ClientSession() as session:
        for path in WATCHED:
            async with session.get(program.base_url + path) as response:
                assert (response.status, await code_of(response)) == (401, "token-missing")
        async with session.get(f"{program.base_url}/readyz") as response:
            assert response.status == 200


async def test_metrics_count_what_happens(bench: Bench) -> None:
    before = await samples(bench)
    assert before["luokkasilta_lessons_live"] == {(): 0}
    bench.media.counters = MEDIA
    async with bench.joined(Role.KIOSK), bench.joined(Role.SCHOOL), bench.known(Role.HOME) as home:
        async with bench.stranger() as stranger:
            await stranger.socket.send_str("garbage")
            await stranger.close_code()
        assert (await home.ask("open"))["code"] == "not-granted"
        now = await samples(bench)
        assert now["luokkasilta_lessons_live"] == {(): 1}
        of = now["luokkasilta_endpoints"]
        assert of == {("kiosk",): 1, ("school",): 1, ("home",): 1, ("workplace",): 0, ("guest",): 0}
        assert now["luokkasilta_connections"][("known",)] == 3
        assert now["luokkasilta_http_connections"][()] >= 3
        assert now["luokkasilta_refused_total"] == {("hello-expected",): 1, ("not-granted",): 1}
        assert now["luokkasilta_join_seconds_count"] == {(): 2}
        assert 0 < now["luokkasilta_join_seconds_sum"][()] < 60
        assert now["luokkasilta_engine_up"] == {(): 1}
        assert now["luokkasilta_engine_shard_total"] == {("datagrams", "0"): 812, ("forwarded", "0"): 400}
        assert now["luokkasilta_engine_io_total"] == {("sent",): 530, ("send_buffer_full",): 1}
        assert now["luokkasilta_engine_troubles_total"] == {("shards_failed",): 0}
        assert now["luokkasilta_engine_peers"] == {("0",): 2}
        assert now["process_resident_memory_bytes"][()] > 1e6
        assert now["process_cpu_seconds_total"][()] > 0
        for name in ("outbox_dropped", "outbox_overflows", "inbox_refused", "inbox_dropped", "http_unread"):
            assert now[f"luokkasilta_{name}_total"] == {(): 0}


async def test_metrics_go_on_without_the_engine(bench: Bench) -> None:
    bench.media.counters = RuntimeError("a shard gave no counters")
    now = await samples(bench)
    assert now["luokkasilta_engine_up"] == {(): 0}
    assert now["luokkasilta_lessons_live"] == {(): 0}
    async with bench.session.get(f"{bench.program.base_url}/api/statistics") as response:
        assert (response.status, await code_of(response)) == (503, "media-unavailable")


async def test_two_servers_of_one_process_count_apart(tmp_path: Path) -> None:
    async with bench_of(tmp_path / "a") as first, bench_of(tmp_path / "b") as second:
        async with first.stranger() as stranger:
            await stranger.socket.send_str("garbage")
            await stranger.close_code()
        assert ("hello-expected",) in (await samples(first))["luokkasilta_refused_total"]
        assert (await samples(second)).get("luokkasilta_refused_total", {}) == {}


def peer(resent: int, repaired: int) -> dict[str, Any]:
    return {
        "counters": {"resent": resent, "round_trip_ms": 40},
        "sources": {"camera": {"layers": [{"repaired": repaired}, {"repaired": 1}]}},
    }


def test_what_a_peer_counted_is_not_lost_with_it() -> None:
    totals = PeerTotals()
    assert totals.look({"lessons": {"abc": {"a": peer(5, 1), "b": peer(2, 0)}}})["resent"] == 7
    assert totals.look({"lessons": {"abc": {"a": peer(6, 3)}}})["resent"] == 8
    assert totals.look({"lessons": {}})["resent"] == 8
    found = totals.look({"lessons": {"abc": {"a": peer(2, 0)}}})
    assert (found["resent"], found["repaired"], found["nacked"]) == (10, 6, 0)
    assert "round_trip_ms" not in found


async def test_statistics_show_the_lesson_without_what_people_call_themselves(bench: Bench) -> None:
    async with bench.joined(Role.KIOSK), bench.known(Role.SCHOOL) as school:
        join = {"label": "4B, Maija", "headcount": 21, "offer": "offer", "sources": [], "slots": []}
        assert (await school.ask("join", **join))["type"] == "joined"
        url = f"{bench.program.base_url}/api/statistics"
        async with bench.known(Role.HOME), bench.session.get(url) as response:
            assert response.content_type == "application/json"
            text = await response.text()
            found = await response.json()
    assert "Maija" not in text
    assert set(found) == {"shards", "io", "troubles", "lessons", "classrooms"}
    classroom = found["classrooms"][bench.lesson.id]
    assert (classroom["state"], classroom["recording"]) == ("live", "off")
    seen = [
        (each["role"], each["site"], each["joined"], each["headcount"]) for each in classroom["endpoints"]
    ]
    assert seen == [
        ("kiosk", "Närpiö", True, 1),
        ("school", "Iisalmi", True, 21),
        ("home", "Vieremä", False, 0),
    ]
    assert not any(each["away"] for each in classroom["endpoints"])


async def readiness(bench: Bench) -> tuple[int, dict[str, str]]:
    async with bench.session.get(f"{bench.program.base_url}/readyz") as response:
        body = await response.json()
        assert body["status"] == ("ready" if response.status == 200 else "not-ready")
        return response.status, body["parts"]


async def test_readyz_names_what_is_not_ready(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await readiness(bench) == (200, {"storage": "ok", "media": "ok", "program": "ok"})

    async def get(_lesson: LessonId) -> None:
        raise SetupError("storage-unreachable", "the disk is gone")

    monkeypatch.setattr(bench.program.store, "get", get)
    bench.media.counters = RuntimeError("a shard gave no counters")
    await asyncio.sleep(FRESH_S)
    assert await readiness(bench) == (
        503,
        {"storage": "storage-unreachable", "media": "no-answer", "program": "ok"},
    )
    async with bench.session.get(f"{bench.program.base_url}/healthz") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})


async def test_readiness_asks_once_for_all_and_logs_a_change_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    asked = 0
    now = 0.0
    word = "ok"

    async def part() -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return word

    told = Readiness({"part": part}, lambda: now)
    assert await asyncio.gather(*(told.ask() for _ in range(50))) == [{"part": "ok"}] * 50
    assert asked == 1
    word = "stopping"
    for _ in range(2):
        now += FRESH_S
        assert await told.ask() == {"part": "stopping"}
    assert asked == 3
    assert [record.getMessage() for record in caplog.records if "readiness" in record.getMessage()] == [
        "readiness: part ok",
        "readiness: part stopping",
    ]


UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n"
)
RawConnection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def ask_raw(connection: RawConnection, path: str, headers: str = "") -> tuple[bytes, bytes]:
    """Head and body of an answer, over a connection that stays open."""
    reader, writer = connection
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode())
    async with asyncio.timeout(30):
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        return head, await reader.readexactly(int(length[1]) if length else 0)


async def test_a_program_that_stops_is_not_ready(tmp_path: Path) -> None:
    config = Config(http=Address("127.0.0.1", 0), data=tmp_path, limits=Limits(closing_s=30.0))
    program_of = running(config, RecordingMediaService())
    program = await program_of.__aenter__()
    asking = await asyncio.open_connection(program.http.host, program.http.port)
    # It does not answer the server's close, so that the server waits for it while it stops.
    silent = await asyncio.open_connection(program.http.host, program.http.port)
    try:
        head, _ = await ask_raw(silent, "/ws", UPGRADE.format(base64.b64encode(bytes(16)).decode()))
        assert b" 101 " in head
        head, body = await ask_raw(asking, "/readyz")
        assert (b" 200 " in head, json.loads(body)["parts"]["program"]) == (True, "ok")
        await asyncio.sleep(FRESH_S)
        stopping = asyncio.create_task(program_of.__aexit__(None, None, None))
        await asyncio.sleep(0)
        head, body = await ask_raw(asking, "/readyz")
        assert (b" 503 " in head, json.loads(body)["parts"]["program"]) == (True, "stopping")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(program.http.host, program.http.port)
    finally:
        for _, writer in (silent, asking):
            writer.close()
    async with asyncio.timeout(30):
        await stopping
