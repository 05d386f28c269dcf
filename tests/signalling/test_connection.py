"""The wire protocol over a real WebSocket: the way in, and every error code of PROTOCOL.md."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path

import aiohttp
import pytest

from bridge.config import Limits
from bridge.ports import MediaLost
from bridge.values import EndpointId, LessonId, Role
from signalling import messages as m
from tests.signalling.client import Bench, Client, bench_of, join_of


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench_of(tmp_path) as bench:
        yield bench


async def fatal(client: Client, code: str) -> None:
    """The server says this and closes."""
    error = await client.until("error")
    assert (error["code"], error["fatal"]) == (code, True)
    assert await client.close_code() == (1009 if code == "message-too-large" else 4000)


async def test_hello_open_join_and_what_the_others_hear_of_it(bench: Bench) -> None:
    async with bench.known(Role.SCHOOL) as school, bench.stranger() as kiosk:
        welcome = await kiosk.ask("hello", version=1, token=bench.token(Role.KIOSK))
        assert welcome["slots"] == {"pairs": 12, "voices": 2}
        assert welcome["lesson"] == {
            "id": bench.lesson.id,
            "title": "Nyheter och medier",
            "course": "RUB14",
            "state": "waiting",
            "recording": "off",
        }
        assert welcome["you"]["may_open"]
        assert welcome["you"]["teaches"]
        await kiosk.ask("open")
        assert (await school.until("lesson"))["lesson"]["state"] == "live"
        joined = await kiosk.ask("join", **join_of(Role.KIOSK))
        assert joined["answer"] == "answer to offer"
        answer = await school.ask("join", label="8B", headcount=14, **join_of(Role.SCHOOL))
        play = answer["snapshot"]["slots"][0]
        assert play["picture"] == {"endpoint": welcome["endpoint"], "kind": "camera"}
        assert play["voice"] == {"endpoint": welcome["endpoint"], "kind": "mic"}
        member = (await kiosk.until("members"))["changed"][0]
        assert (member["site"], member["label"], member["headcount"]) == ("Iisalmi", "8B", 14)
        assert (await kiosk.until("slots"))["slots"][0]["picture"]["endpoint"] == member["endpoint"]
        assert (await school.ask("source", kind="camera", on=False))["type"] == "done"
        assert (await kiosk.until("slots"))["slots"][0]["picture"] is None, "an empty half is said"
        assert (await school.ask("leave"))["type"] == "done"
        assert await school.close_code() == 1000
        assert (await kiosk.until("members"))["gone"] == [member["endpoint"]]
        assert (await kiosk.ask("end"))["type"] == "done"
        assert await kiosk.close_code() == 1000


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "[]",
        "null",
        '{"type":"dance"}',
        '{"type":"join"}',
        '{"type":"source","kind":"camera","on":1}',
        '{"type":"source","kind":"thermometer","on":true}',
        '{"type":"open","id":-1}',
        '{"type":"join","offer":1,"sources":[],"slots":[]}',
        '{"type":"join","offer":"","headcount":0,"sources":[],"slots":[]}',
        '{"type":"join","offer":"","label":"' + "x" * 41 + '","sources":[],"slots":[]}',
        '{"a":' * 5_000,
    ],
)
async def test_message_invalid_leaves_the_connection_open(bench: Bench, frame: str) -> None:
    async with bench.known(Role.KIOSK) as kiosk:
        await kiosk.socket.send_str(frame)
        error = await kiosk.until("error")
        assert (error["code"], error["fatal"]) == ("message-invalid", False)
        assert (await kiosk.ask("open"))["type"] == "done"


async def test_an_invalid_request_is_answered_under_its_number(bench: Bench) -> None:
    async with bench.known(Role.KIOSK) as kiosk:
        assert (await kiosk.ask("source", kind="camera"))["code"] == "message-invalid"


async def test_a_binary_frame_closes(bench: Bench) -> None:
    async with bench.known(Role.KIOSK) as kiosk:
        await kiosk.socket.send_bytes(b"{}")
        await fatal(kiosk, "message-invalid")


async def test_message_too_large(bench: Bench) -> None:
    async with bench.known(Role.KIOSK) as kiosk:
        await kiosk.socket.send_str(" " * (m.MESSAGE_MAX + 1))
        await fatal(kiosk, "message-too-large")


async def test_too_many_messages(tmp_path: Path) -> None:
    # At the usual rate a busy machine would earn new messages between two.
    limits = Limits(messages_per_s=0.01)
    async with bench_of(tmp_path, limits) as bench, bench.known(Role.KIOSK) as kiosk:
        for _ in range(limits.message_burst):
            await kiosk.socket.send_json({"type": "open"})
        await fatal(kiosk, "too-many-messages")


@pytest.mark.parametrize("frame", ['{"type":"open"}', "garbage", '{"type":"hello"}'])
async def test_hello_expected_first(bench: Bench, frame: str) -> None:
    async with bench.stranger() as client:
        await client.socket.send_str(frame)
        await fatal(client, "hello-expected")


async def test_hello_expected_in_time(tmp_path: Path) -> None:
    async with bench_of(tmp_path, Limits(hello_timeout_s=0.05)) as bench, bench.stranger() as client:
        await fatal(client, "hello-expected")


async def test_version_unsupported(bench: Bench) -> None:
    async with bench.stranger() as client:
        await client.socket.send_json({"type": "hello", "version": 2, "token": bench.token(Role.HOME)})
        await fatal(client, "version-unsupported")


async def test_tokens_that_let_nobody_in(bench: Bench) -> None:
    unknown = bench.token(Role.HOME, lesson=LessonId("nowhere"))
    expired = bench.token(Role.HOME, ttl_s=10, age_s=20)
    for token, code in [("x.y.z", "token-invalid"), (expired, "token-expired"), (unknown, "lesson-unknown")]:
        async with bench.stranger() as client:
            await client.socket.send_json({"type": "hello", "version": 1, "token": token})
            await fatal(client, code)


async def test_lesson_ended(bench: Bench) -> None:
    async with bench.joined(Role.KIOSK) as kiosk:
        await kiosk.ask("end")
    async with bench.stranger() as client:
        await client.socket.send_json({"type": "hello", "version": 1, "token": bench.token(Role.HOME)})
        await fatal(client, "lesson-ended")


async def test_lesson_not_open_then_open(bench: Bench) -> None:
    async with bench.known(Role.HOME) as home, bench.known(Role.KIOSK) as kiosk:
        assert (await home.ask("join", **join_of(Role.HOME)))["code"] == "lesson-not-open"
        await kiosk.ask("open")
        assert (await home.ask("join", **join_of(Role.HOME)))["type"] == "joined"


async def test_lesson_full(tmp_path: Path) -> None:
    limits = Limits(endpoints_per_lesson=1)
    async with bench_of(tmp_path, limits) as bench, bench.known(Role.KIOSK), bench.stranger() as client:
        await client.socket.send_json({"type": "hello", "version": 1, "token": bench.token(Role.HOME)})
        await fatal(client, "lesson-full")


async def test_not_granted(bench: Bench) -> None:
    async with bench.joined(Role.KIOSK), bench.known(Role.HOME) as home:
        assert (await home.ask("open"))["code"] == "not-granted"
        assert (await home.ask("end"))["code"] == "not-granted"
        join = join_of(Role.HOME)
        shares = {**join, "sources": [*join["sources"], {"kind": "screen", "mid": "s"}]}
        assert (await home.ask("join", **shares))["code"] == "not-granted"
        assert (await home.ask("join", **join))["type"] == "joined"
        assert (await home.ask("source", kind="screen", on=True))["code"] == "not-granted"


async def test_not_joined_and_already_joined(bench: Bench) -> None:
    async with bench.known(Role.KIOSK) as kiosk:
        assert (await kiosk.ask("source", kind="mic", on=False))["code"] == "not-joined"
        await kiosk.ask("open")
        await kiosk.ask("join", **join_of(Role.KIOSK))
        assert (await kiosk.ask("join", **join_of(Role.KIOSK)))["code"] == "already-joined"
        hello = await kiosk.ask("hello", version=1, token=bench.token(Role.KIOSK))
        assert hello["code"] == "already-joined"


@pytest.mark.parametrize(("sdp", "code"), [("garbage", "sdp-invalid"), ("without opus", "sdp-unsupported")])
async def test_an_offer_that_media_refuses_may_be_tried_again(bench: Bench, sdp: str, code: str) -> None:
    async with bench.known(Role.KIOSK) as kiosk:
        await kiosk.ask("open")
        assert (await kiosk.ask("join", **join_of(Role.KIOSK, sdp)))["code"] == code
        assert (await kiosk.ask("join", **join_of(Role.KIOSK)))["type"] == "joined"


async def test_media_failed(bench: Bench) -> None:
    async with bench.joined(Role.KIOSK) as kiosk:
        media = bench.media.last
        media.sink(MediaLost(EndpointId(media.admitted[0]), "DTLS failed"))
        await fatal(kiosk, "media-failed")
        assert media.dismissed == media.admitted


async def test_internal_ends_one_connection_alone(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    async with bench.joined(Role.KIOSK) as kiosk, bench.known(Role.HOME) as home:
        bench.media.last.failing["admit"] = RuntimeError("out of peers")
        await home.socket.send_json({"type": "join", "label": "Aino", **join_of(Role.HOME)})
        await fatal(home, "internal")
        assert (await kiosk.ask("source", kind="mic", on=False))["type"] == "done"
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "Aino" not in caplog.text


async def test_server_full(tmp_path: Path) -> None:
    limits = Limits(connections=1)
    async with bench_of(tmp_path, limits) as bench, bench.known(Role.KIOSK), bench.stranger() as client:
        await fatal(client, "server-full")


async def test_server_stopping(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        async with bench_of(tmp_path) as bench:
            known = Client(await session.ws_connect(bench.program.websocket_url))
            await known.ask("hello", version=1, token=bench.token(Role.KIOSK))
            stranger = Client(await session.ws_connect(bench.program.websocket_url))

            async def told(client: Client) -> int | None:
                assert (await client.until("error"))["code"] == "server-stopping"
                return await client.close_code()

            waiting = [asyncio.create_task(told(client)) for client in (known, stranger)]
        assert await asyncio.gather(*waiting) == [1001, 1001]


@pytest.mark.parametrize("answers", [True, False])
async def test_a_client_that_answers_no_ping_is_let_go(tmp_path: Path, answers: bool) -> None:
    async with bench_of(tmp_path, Limits(heartbeat_s=0.3)) as bench:
        url = bench.program.websocket_url
        async with bench.session.ws_connect(url, autoping=answers) as socket:
            await socket.send_json({"type": "hello", "version": 1, "token": bench.token(Role.HOME)})
            with pytest.raises(TimeoutError) if answers else nullcontext():
                async with asyncio.timeout(1.0 if answers else 5.0):
                    while not socket.closed:
                        await socket.receive()
            assert socket.closed is not answers


async def test_unknown_fields_are_ignored(bench: Bench) -> None:
    async with bench.known(Role.KIOSK) as kiosk:
        assert (await kiosk.ask("open", colour="red"))["type"] == "done"


async def test_a_foreign_page_gets_no_socket(bench: Bench) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await bench.session.ws_connect(bench.program.websocket_url, origin="https://elsewhere.example")
    assert caught.value.status == 403
    async with bench.session.ws_connect(bench.program.websocket_url, origin=bench.program.base_url):
        pass


@pytest.mark.parametrize("path", ["/api/nothing", "/nothing", "/assets/../secret.key", "/ws"])
async def test_other_paths_are_refused_in_plain_words(bench: Bench, path: str) -> None:
    async with bench.session.get(bench.program.base_url + path) as response:
        assert response.status in (404, 426)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert len(await response.text()) < 200


async def test_the_pages_carry_their_policy(bench: Bench) -> None:
    for path in ("/", "/kiosk", "/school", "/home"):
        async with bench.session.get(bench.program.base_url + path) as response:
            assert response.status == 200
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
            assert response.headers["Referrer-Policy"] == "no-referrer"
    async with bench.session.get(bench.program.base_url + "/healthz") as response:
        assert await response.json() == {"status": "ok"}
