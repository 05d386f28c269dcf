"""Statistics: the engine's numbers under the ids of endpoints and the kinds of sources."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from bridge.values import EndpointId, LessonId, SourceKind, SourceRef
from media.engine import ShardStats
from media.service import MediaService
from media.statistics import PeerNames, arrange
from tests.media.support import recorded_named

TEACHER, PUPIL = EndpointId("e-teacher"), EndpointId("e-pupil")
CAMERA = SourceRef(TEACHER, SourceKind.CAMERA)


@pytest.fixture
async def service() -> AsyncIterator[MediaService]:
    media = MediaService(["127.0.0.1:0"], shards=2)
    await media.start()
    yield media
    await media.stop()


async def test_everything_in_one_call(service: MediaService) -> None:
    lesson, other = (service.open(LessonId(name), lambda event: None) for name in ("l-one", "l-two"))
    kiosk, home = recorded_named("chromium-kiosk"), recorded_named("chromium-home")
    lesson.admit(TEACHER, kiosk.offer, kiosk.grant)
    lesson.admit(PUPIL, home.offer, home.grant)
    other.admit(EndpointId("e-alone"), home.offer, home.grant)
    lesson.route(PUPIL, 0, CAMERA, None)

    told = await service.statistics()
    assert json.loads(json.dumps(told)) == told
    assert [shard["shard"] for shard in told["shards"]] == [0, 1]
    assert sum(shard["peers"] for shard in told["shards"]) == 3
    assert all(shard["counters"]["datagrams"] == 0 for shard in told["shards"])
    assert told["io"]["sent"] == 0
    assert told["troubles"]["commands_failed"] == 0
    assert {name: set(endpoints) for name, endpoints in told["lessons"].items()} == {
        "l-one": {TEACHER, PUPIL},
        "l-two": {"e-alone"},
    }
    teacher, pupil = told["lessons"]["l-one"][TEACHER], told["lessons"]["l-one"][PUPIL]
    assert (teacher["state"], teacher["local"], teacher["remote"]) == ("joining", None, None)
    assert teacher["silent_ms"] >= 0
    assert teacher["counters"]["unauthenticated"] == 0
    assert list(teacher["sources"]) == ["camera", "document", "screen", "mic", "content"]
    (layer,) = teacher["sources"]["camera"]["layers"]
    assert (layer["level"], layer["live"], layer["packets"], layer["subscribers"]) == ("high", False, 0, 1)
    assert teacher["sources"]["mic"]["codec"] == "opus"
    assert [slot["index"] for slot in pupil["slots"]] == list(range(7))
    assert pupil["slots"][0]["picture"]["wanted"] == {"endpoint": TEACHER, "kind": "camera"}
    assert pupil["slots"][0]["picture"]["playing"] is None
    assert pupil["slots"][0]["voice"]["wanted"] is None
    assert pupil["slots"][5]["picture"] is None
    assert pupil["slots"][5]["voice"]["packets"] == 0

    lesson.close()
    assert set((await service.statistics())["lessons"]) == {"l-two"}


def test_what_the_engine_adds_is_passed_on_and_what_it_lacks_is_null() -> None:
    peers = [
        {"peer": 7, "remote": "192.0.2.7:1", "silent_ms": 3, "nacks": 4, "sources": [], "slots": [_half()]},
        {"peer": 8, "remote": None, "silent_ms": 3, "sources": [], "slots": []},
    ]
    shard = ShardStats(0, {"counters": {"later": 1}, "peers": peers})
    names = [
        PeerNames(number, LessonId("l"), EndpointId(f"e{number}"), "lost", None, {}) for number in (7, 9)
    ]
    told = arrange([shard], {}, {}, names)
    assert told["shards"] == [{"shard": 0, "peers": 2, "counters": {"later": 1}}]
    one, other = told["lessons"]["l"]["e7"], told["lessons"]["l"]["e9"]
    assert one["counters"] == {"nacks": 4}
    assert one["slots"] == [
        {"index": 2, "picture": None, "voice": {"ssrc": 1, "wanted": None, "playing": None, "resent": 5}}
    ]
    assert (other["state"], other["remote"], other["silent_ms"]) == ("lost", None, None)
    assert (other["counters"], other["sources"], other["slots"]) == ({}, {}, [])


def _half() -> dict[str, object]:
    # Source 99 is nobody's any more.
    return {"slot": 2, "media": "audio", "ssrc": 1, "wanted": 99, "playing": None, "resent": 5}
