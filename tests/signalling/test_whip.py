"""WHIP and WHEP over HTTP, with media that records: what is asked, what is answered, what is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.config import Address, Config, Limits
from bridge.ports import MediaLost
from bridge.values import EndpointId, LessonId, Role, SourceKind, SourceRef, TurnConfig
from signalling.tokens import Tokens
from signalling.whip import FRAGMENT, FRAGMENT_MAX, OFFER_MAX, POST_BURST, SDP, SESSIONS_PER_TOKEN
from tests.bridge.support import eventually
from tests.signalling.client import SITES, Bench, bench_of

PWD = "asd88fgpdd777uzjYhagZgx/"


def lines(*each: str) -> str:
    """An offer; each of ``each``: a kind and a direction. The mid counts up from 0."""
    text = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1"]
    for mid, line in enumerate(each):
        kind, direction = line.split()
        text += [f"m={kind} 9 UDP/TLS/RTP/SAVPF 96", f"a=mid:{mid}", f"a={direction}"]
        text += ["a=ice-ufrag:8hhY", f"a=ice-pwd:{PWD}"]
    return "\r\n".join(text) + "\r\n"


SENDS = lines("audio sendonly", "video sendonly")
RECEIVES = lines("video recvonly", "audio recvonly")
TRICKLE = (
    f"a=ice-ufrag:8hhY\r\na=ice-pwd:{PWD}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
    "a=candidate:1 1 UDP 2130706431 192.0.2.7 5000 typ host\r\na=end-of-candidates\r\n"
)
RESTART = f"a=ice-ufrag:neWu\r\na=ice-pwd:{PWD[::-1]}\r\n"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench_of(tmp_path) as made:
        yield made


class Session:
    """What a client keeps of its session."""

    def __init__(self, bench: Bench, token: str, answer: aiohttp.ClientResponse, sdp: str) -> None:
        self.url = bench.program.base_url + answer.headers["Location"]
        self.etag = answer.headers["ETag"]
        self.answer = sdp
        self.headers = answer.headers
        self._bench = bench
        self.token = token

    async def ask(
        self, method: str, body: str | None = None, *, token: str | None = None, **headers: str
    ) -> tuple[int, str, Any]:
        """Status, body and headers of the answer; ``if_match`` is the header If-Match."""
        sent = {"Authorization": f"Bearer {token or self.token}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent.setdefault("Content-Type", FRAGMENT)
        async with self._bench.session.request(method, self.url, data=body, headers=sent) as response:
            return response.status, await response.text(), response.headers


def url(bench: Bench, way: str) -> str:
    return f"{bench.program.base_url}/api/{way}/{bench.lesson.id}"


async def refusal(
    bench: Bench, way: str = "whip", body: str | bytes = SENDS, *, token: str | None, **headers: str
) -> tuple[int, str, Any]:
    """Status, code and headers of a POST that is refused."""
    sent = {"Content-Type": SDP} | {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    async with bench.session.post(url(bench, way), data=body, headers=sent) as response:
        error = (await response.json())["error"]
        assert set(error) == {"code", "text"}
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        return response.status, error["code"], response.headers


async def start(bench: Bench, way: str, role: Role, sdp: str, token: str | None = None) -> Session:
    token = token or bench.token(role)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": SDP}
    async with bench.session.post(url(bench, way), data=sdp, headers=headers) as response:
        text = await response.text()
        assert response.status == 201, text
        assert response.content_type == SDP
        return Session(bench, token, response, text)


async def test_a_post_joins_and_everyone_sees_it(bench: Bench) -> None:
    async with bench.joined(Role.KIOSK) as kiosk:
        session = await start(bench, "whip", Role.SCHOOL, SENDS)
        assert session.answer == f"answer to {SENDS}"
        assert session.url.startswith(url(bench, "whip") + "/")
        assert session.etag.startswith('"')
        member = (await kiosk.until("members"))["changed"][0]
        assert (member["role"], member["site"], member["headcount"]) == ("school", SITES[Role.SCHOOL], 1)
        assert member["sources"] == {"camera": True, "mic": True}

        status, body, _ = await session.ask("DELETE")
        assert (status, body) == (200, "")
        assert (await kiosk.until("members"))["gone"] == [member["endpoint"]]
        for method, content in (("DELETE", None), ("PATCH", TRICKLE)):
            status, _, _ = await session.ask(method, content, if_match=session.etag)
            assert status == 404
    assert EndpointId(member["endpoint"]) in bench.media.last.dismissed


async def test_a_screen_counts_as_on_without_a_word(bench: Bench) -> None:
    async with bench.joined(Role.KIOSK) as kiosk:
        offer = lines("video sendonly", "audio sendonly", "video sendonly", "audio sendonly")
        await start(bench, "whip", Role.SCHOOL, offer)
        sources: dict[str, bool] = {}
        while not sources.get("screen") or not sources.get("content"):
            sources = (await kiosk.until("members"))["changed"][0]["sources"]
        assert sources == {"camera": True, "screen": True, "mic": True, "content": True}


async def test_a_player_gets_the_teacher_and_else_the_first(bench: Bench) -> None:
    """One pair: the school is there first, and the teacher takes its place by rank."""
    async with bench.joined(Role.KIOSK) as kiosk:
        school = await start(bench, "whip", Role.SCHOOL, SENDS)
        first = (await kiosk.until("members"))["changed"][0]["endpoint"]
        await start(bench, "whep", Role.GUEST, RECEIVES)
        media = bench.media.last
        player = media.admitted[-1]
        teacher = media.admitted[0]

        def plays(endpoint: str) -> bool:
            pair = tuple(
                SourceRef(EndpointId(endpoint), kind) for kind in (SourceKind.CAMERA, SourceKind.MIC)
            )
            return media.playing(player) == {0: pair}

        await eventually(lambda: plays(teacher))
        assert (await kiosk.ask("leave"))["type"] == "done"
        await eventually(lambda: plays(first))
        await school.ask("DELETE")
        await eventually(lambda: media.playing(player) == {0: (None, None)})


async def test_a_player_of_sound_alone_hears_the_teacher(bench: Bench) -> None:
    async with bench.joined(Role.KIOSK):
        await start(bench, "whep", Role.GUEST, lines("audio recvonly"))
        media = bench.media.last
        voice = SourceRef(media.admitted[0], SourceKind.MIC)
        await eventually(lambda: media.playing(media.admitted[-1]) == {5: (None, voice)})


async def test_candidates_are_taken_and_a_restart_brings_a_new_etag(bench: Bench) -> None:
    async with bench.joined(Role.KIOSK):
        session = await start(bench, "whip", Role.SCHOOL, SENDS)
        for wanted in (session.etag, f'"other", {session.etag}', "*"):
            status, body, headers = await session.ask("PATCH", TRICKLE, if_match=wanted)
            assert (status, body, headers["ETag"]) == (204, "", session.etag)
        assert bench.media.last.restarted == []

        status, body, headers = await session.ask("PATCH", RESTART, if_match="*")
        assert (status, headers["Content-Type"].split(";")[0]) == (200, FRAGMENT)
        assert "a=ice-ufrag:neWu" in body, "the media that records repeats what it is offered"
        assert "sendonly" not in body
        renewed = headers["ETag"]
        assert renewed != session.etag
        assert len(bench.media.last.restarted) == 1

        assert (await session.ask("PATCH", TRICKLE, if_match=session.etag))[0] == 412
        trickle = TRICKLE.replace("8hhY", "neWu").replace(PWD, PWD[::-1])
        assert (await session.ask("PATCH", trickle, if_match=renewed))[0] == 204
        # The answer was lost on the way: asked again it is the same restart.
        status, again, headers = await session.ask("PATCH", RESTART, if_match="*")
        assert (status, again, headers["ETag"]) == (200, body, renewed)


@pytest.mark.parametrize(
    ("body", "headers", "expected", "code"),
    [
        (TRICKLE, {}, 428, "precondition-required"),
        (TRICKLE, {"if_match": '"never"'}, 412, "precondition-failed"),
        (RESTART, {"if_match": "own"}, 409, "ice-restart-conflict"),
        ("garbage", {"if_match": "*"}, 400, "fragment-invalid"),
        ("", {"if_match": "*"}, 400, "fragment-invalid"),
        (TRICKLE, {"if_match": "*", "Content_Type": SDP}, 415, "unsupported-media-type"),
        (TRICKLE, {"if_match": "*", "Content_Encoding": "gzip"}, 415, "unsupported-media-type"),
        ("a" * (FRAGMENT_MAX + 1), {"if_match": "*"}, 413, "content-too-large"),
    ],
)
async def test_a_patch_that_is_refused(
    bench: Bench, body: str, headers: dict[str, str], expected: int, code: str
) -> None:
    async with bench.joined(Role.KIOSK):
        session = await start(bench, "whip", Role.SCHOOL, SENDS)
        if headers.get("if_match") == "own":
            headers = {"if_match": session.etag}
        status, text, answered = await session.ask("PATCH", body, **headers)
        assert (status, f'"code": "{code}"' in text) == (expected, True), text
        if expected == 415:
            assert answered["Accept-Patch"] == FRAGMENT
        # It is there still.
        assert (await session.ask("PATCH", TRICKLE, if_match=session.etag))[0] == 204


async def test_a_restart_that_media_refuses_changes_nothing(bench: Bench) -> None:
    async with bench.joined(Role.KIOSK):
        session = await start(bench, "whip", Role.SCHOOL, SENDS)
        bench.media.last.admitted.pop()
        assert (await session.ask("PATCH", RESTART, if_match="*"))[0] == 400
        assert (await session.ask("PATCH", TRICKLE, if_match=session.etag))[0] == 204


async def test_a_session_is_its_own_endpoint_s_alone(bench: Bench) -> None:
    async with bench.joined(Role.KIOSK):
        token = bench.token(Role.SCHOOL, ttl_s=600)
        session = await start(bench, "whip", Role.SCHOOL, SENDS, token)
        foreign = bench.token(Role.GUEST)
        for method, body in (("PATCH", TRICKLE), ("DELETE", None)):
            for shown, expected in (
                (foreign, 403),
                ("x.y.z", 401),
                (
                    Tokens(bytes(32)).sign(bench.lesson.id, Role.SCHOOL, SITES[Role.SCHOOL], now=time.time()),
                    401,
                ),
            ):
                assert (await session.ask(method, body, token=shown, if_match="*"))[0] == expected
        # Another way or another lesson is another URL.
        own = session.url
        for elsewhere in (own.replace("/whip/", "/whep/"), own.replace(bench.lesson.id, "other")):
            session.url = elsewhere
            assert (await session.ask("DELETE"))[0] == 404
        session.url = own
        # A token of the same place that was renewed serves as well.
        assert (await session.ask("DELETE", token=bench.token(Role.SCHOOL)))[0] == 200


async def test_a_token_that_has_expired_since_still_ends_its_session(bench: Bench) -> None:
    async with bench.joined(Role.KIOSK):
        token = bench.token(Role.SCHOOL, ttl_s=1.0)
        session = await start(bench, "whip", Role.SCHOOL, SENDS, token)
        await asyncio.sleep(2.0)
        assert (await refusal(bench, token=token))[:2] == (401, "token-expired")
        assert (await session.ask("DELETE"))[0] == 200


@pytest.mark.parametrize(
    ("way", "body", "expected", "code"),
    [
        ("whip", "garbage", 400, "sdp-invalid"),
        ("whip", "", 400, "sdp-invalid"),
        ("whip", b"v=0\xff", 400, "content-invalid"),
        ("whip", RECEIVES, 422, "sdp-unsupported"),
        ("whep", SENDS, 422, "sdp-unsupported"),
        ("whep", lines("video recvonly"), 422, "sdp-unsupported"),
        ("whip", lines("video sendonly", "video sendonly"), 403, "not-granted"),
        ("whip", SENDS.replace("a=mid:1", "a=mid:0"), 400, "message-invalid"),
        ("whip", SENDS + "a=x\r\n" * (OFFER_MAX // 5), 413, "content-too-large"),
    ],
)
async def test_an_offer_that_is_refused_leaves_nothing_behind(
    bench: Bench, way: str, body: str | bytes, expected: int, code: str
) -> None:
    async with bench.joined(Role.KIOSK):
        status, said, _ = await refusal(bench, way, body, token=bench.token(Role.HOME))
        assert (status, said) == (expected, code)
        await eventually(lambda: len(bench.program.lessons.overview().lessons[0].endpoints) == 1)


async def test_who_may_not_post(bench: Bench) -> None:
    tokens, now = bench.program.tokens, time.time()
    assert (await refusal(bench, token=None))[:2] == (401, "token-missing")
    status, code, headers = await refusal(bench, token="x.y.z")
    assert (status, code) == (401, "token-invalid")
    assert headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    elsewhere = tokens.sign(LessonId("other"), Role.KIOSK, "Närpiö", now=now)
    assert (await refusal(bench, token=elsewhere))[:2] == (403, "not-granted")
    operator = tokens.sign_operator(now=now)
    assert (await refusal(bench, token=operator))[:2] == (401, "token-invalid")
    async with bench.session.post(
        f"{bench.program.base_url}/api/whip/other",
        data=SENDS,
        headers={"Authorization": f"Bearer {elsewhere}", "Content-Type": SDP},
    ) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (404, "lesson-unknown")


async def test_before_the_teacher_opens_it_is_to_come_again(bench: Bench) -> None:
    status, code, headers = await refusal(bench, token=bench.token(Role.SCHOOL))
    assert (status, code, headers["Retry-After"]) == (409, "lesson-not-open", "5")


async def test_what_is_sent_and_wanted_has_to_be_sdp(bench: Bench) -> None:
    token = bench.token(Role.KIOSK)
    status, code, headers = await refusal(bench, token=token, Content_Type="text/plain")
    assert (status, code, headers["Accept-Post"]) == (415, "unsupported-media-type", SDP)
    assert (await refusal(bench, token=token, Accept="application/json"))[:2] == (406, "not-acceptable")
    async with bench.joined(Role.KIOSK):
        for accepted in ("*/*", "application/*;q=0.5, text/html", "Application/SDP"):
            headers = {"Authorization": f"Bearer {token}", "Content-Type": SDP, "Accept": accepted}
            async with bench.session.post(url(bench, "whip"), data=SENDS, headers=headers) as response:
                assert response.status == 201


@pytest.mark.parametrize("way", ["whip", "whep"])
async def test_other_methods_are_refused(bench: Bench, way: str) -> None:
    for path, methods, allowed in (
        ("", ("GET", "HEAD", "PUT", "PATCH", "DELETE"), "OPTIONS,POST"),
        ("/session", ("GET", "HEAD", "PUT", "POST"), "DELETE,OPTIONS,PATCH"),
    ):
        for method in methods:
            async with bench.session.request(method, url(bench, way) + path) as response:
                assert (response.status, response.headers["Allow"]) == (405, allowed), method
                assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_the_lesson_s_end_is_the_session_s(bench: Bench) -> None:
    async with bench.joined(Role.KIOSK) as kiosk:
        session = await start(bench, "whip", Role.SCHOOL, SENDS)
        player = await start(bench, "whep", Role.GUEST, RECEIVES)
        await kiosk.ask("end")
        for each in (session, player):
            assert (await each.ask("PATCH", TRICKLE, if_match="*"))[0] == 404
    assert (await refusal(bench, token=bench.token(Role.SCHOOL)))[:2] == (404, "lesson-ended")


async def test_media_that_is_lost_ends_it(bench: Bench) -> None:
    async with bench.joined(Role.KIOSK) as kiosk:
        session = await start(bench, "whip", Role.SCHOOL, SENDS)
        member = (await kiosk.until("members"))["changed"][0]
        bench.media.last.sink(MediaLost(EndpointId(member["endpoint"]), "silent"))
        assert (await kiosk.until("members"))["gone"] == [member["endpoint"]]
        assert (await session.ask("DELETE"))[0] == 404


async def test_one_token_has_so_many_sessions(bench: Bench) -> None:
    async with bench.joined(Role.KIOSK):
        token = bench.token(Role.SCHOOL)
        sessions = [await start(bench, "whip", Role.SCHOOL, SENDS, token) for _ in range(SESSIONS_PER_TOKEN)]
        status, code, headers = await refusal(bench, token=token)
        assert (status, code, headers["Retry-After"]) == (429, "too-many-sessions", "5")
        assert (await sessions[0].ask("DELETE"))[0] == 200
        await start(bench, "whip", Role.SCHOOL, SENDS, token)


async def test_one_token_asks_so_often(bench: Bench) -> None:
    token = bench.token(Role.SCHOOL)
    found = [(await refusal(bench, token=token))[:2] for _ in range(POST_BURST + 3)]
    assert found[:POST_BURST] == [(409, "lesson-not-open")] * POST_BURST
    assert (429, "too-many-requests") in found
    # Another is not held back by it.
    assert (await refusal(bench, token=bench.token(Role.SCHOOL)))[0] == 409


async def test_a_full_lesson_says_when_to_come_again(tmp_path: Path) -> None:
    async with bench_of(tmp_path, Limits(endpoints_per_lesson=1)) as bench, bench.joined(Role.KIOSK):
        status, code, headers = await refusal(bench, token=bench.token(Role.SCHOOL))
        assert (status, code, headers["Retry-After"]) == (503, "lesson-full", "5")


async def test_a_body_that_does_not_come_is_waited_for_so_long(tmp_path: Path) -> None:
    async with bench_of(tmp_path, Limits(request_s=0.5)) as bench:
        parts = bench.program.http
        reader, writer = await asyncio.open_connection(parts.host, parts.port)
        head = (
            f"POST /api/whip/{bench.lesson.id} HTTP/1.1\r\nHost: x\r\nContent-Type: {SDP}\r\n"
            f"Authorization: Bearer {bench.token(Role.KIOSK)}\r\nContent-Length: 100\r\n\r\nv=0"
        )
        writer.write(head.encode())
        async with asyncio.timeout(10):
            answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 408 "), answer


async def test_options_serve_other_pages_and_name_the_ice_servers(tmp_path: Path) -> None:
    turn = TurnConfig(("stun:turn.example.fi:3478", "turns:turn.example.fi:443?transport=tcp"), "secret", 600)
    config = Config(http=Address("127.0.0.1", 0), data=tmp_path, turn=turn)
    async with bench_of(tmp_path, config=config) as bench, bench.joined(Role.KIOSK):
        async with bench.session.options(url(bench, "whip")) as response:
            assert (response.status, response.headers["Accept-Post"]) == (204, SDP)
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert "authorization" in response.headers["Access-Control-Allow-Headers"].lower()
            assert "Location" in response.headers["Access-Control-Expose-Headers"]
            assert "Link" not in response.headers, "a stranger gets no credentials"
        shown = {"Authorization": f"Bearer {bench.token(Role.GUEST)}"}
        async with bench.session.options(url(bench, "whep"), headers=shown) as response:
            assert_names_servers(response.headers.getall("Link"))
        async with bench.session.options(url(bench, "whep"), headers={"Authorization": "Bearer x"}) as wrong:
            assert wrong.status == 401
        session = await start(bench, "whip", Role.SCHOOL, SENDS)
        assert_names_servers(session.headers.getall("Link"))
        async with bench.session.options(session.url) as response:
            assert (response.status, response.headers["Accept-Patch"]) == (204, FRAGMENT)
            methods = response.headers["Access-Control-Allow-Methods"].split(", ")
            assert set(methods) == {"POST", "PATCH", "DELETE", "OPTIONS"}


def assert_names_servers(links: list[str]) -> None:
    assert links[0] == '<stun:turn.example.fi:3478>; rel="ice-server"'
    assert links[1].startswith('<turns:turn.example.fi:443?transport=tcp>; rel="ice-server"; username="')
    assert links[1].endswith('"; credential-type="password"')
    assert '; credential="' in links[1]
