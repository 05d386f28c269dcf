"""PROTOCOL.md and the code say the same: its tables are read and compared."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from bridge.config import Limits
from bridge.errors import ErrorCode
from bridge.registry import LiveLessons
from bridge.slots import LessonRules
from signalling import icefragment, plainoffer, resource, whip
from signalling import messages as m
from signalling.connection import Services
from signalling.http import FIELD_MAX, FIELDS_MAX, LINE_MAX, Door, make_application
from signalling.listener import HANDSHAKE_S
from signalling.operations import Operations
from signalling.tokens import Tokens
from signalling.turn import TurnRest
from signalling.whip import Sessions
from tests.bridge.support import MemoryStore, RecordingMediaService

PAGE = (Path(m.__file__).parent / "PROTOCOL.md").read_text(encoding="utf-8")


def rows(section: str) -> dict[str, list[str]]:
    """The rows of a section's table, by what stands in back-ticks in the first cell."""
    body = PAGE.split(f"\n## {section}")[1].split("\n## ")[0]
    found = {}
    for line in body.splitlines():
        if line.startswith("| `"):
            name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            found[name.strip("` ")] = cells
    return found


def structs(base: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct]]:
    return {str(struct.__struct_config__.tag): struct for struct in base.__subclasses__()}


def fields_said(cell: str) -> set[str]:
    """The names in back-ticks outside of parentheses and braces: the fields themselves."""
    flat = cell
    while (shorter := re.sub(r"\([^()]*\)|\{[^{}]*\}", "", flat)) != flat:
        flat = shorter
    return set(re.findall(r"`(\w+)`", flat.split(":")[0]))


@pytest.mark.parametrize(("section", "base"), [("3.", m.ClientMessage), ("4.", m.ServerMessage)])
def test_every_message_is_in_the_table_with_its_fields(section: str, base: type[msgspec.Struct]) -> None:
    said, known = rows(section), structs(base)
    assert said.keys() == known.keys()
    common = {field.name for field in msgspec.structs.fields(base)}
    for name, struct in known.items():
        own = {field.encode_name for field in msgspec.structs.fields(struct)} - common
        if name == "done":
            assert own == set()
            continue
        assert fields_said(said[name][0]) == own, name


def test_every_error_code_is_in_the_table_and_fatal_as_it_says() -> None:
    said = rows("6.")
    assert said.keys() == {code.value for code in ErrorCode}
    for code in ErrorCode:
        assert said[code.value][0].startswith("yes") is code.fatal, code


def http_application() -> web.Application:
    now, readiness = time.time, Told()
    lessons = LiveLessons(
        MemoryStore({}),
        RecordingMediaService().open,
        rules=LessonRules(),
        endpoints_per_lesson=1,
        now=lambda: datetime.now(UTC),
    )
    tokens = Tokens(bytes(32))
    services = Services(lessons, tokens, Limits(), now)
    door = Door(services)
    operations = Operations(tokens, now, behind_proxy=False, told=readiness)
    return make_application(door, operations, sessions=Sessions(services, TurnRest(None)))


class Told:
    """Nothing is asked of it."""

    readiness: Any = None

    async def statistics(self) -> dict[str, Any]:
        raise NotImplementedError

    async def metrics(self) -> bytes:
        raise NotImplementedError


async def test_every_route_is_in_the_table_of_http() -> None:
    section = PAGE.split("\n## 7.")[1].split("| code |")[0]
    said = {
        path
        for line in section.splitlines()
        if line.startswith("| `/")
        for path in re.findall(r"`(/[^`]*)`", line.split("|")[1])
    }
    known = {resource.canonical for resource in http_application().router.resources()}
    assert said == {
        path.replace("/assets/{name}", "/assets/NAME").replace("/{name}", "/NAME.EXT") for path in known
    }


def test_the_limits_of_http_said_are_those_kept() -> None:
    section = " ".join(PAGE.split("\n## 7.")[1].split())
    limits = Limits()
    assert (
        f"line has at most {LINE_MAX:,} octets, a header field {FIELD_MAX:,}, a request {FIELDS_MAX} fields"
        in section
    )
    assert f"within {limits.request_s:g} s of the connection" in section
    assert f"within {limits.response_s:g} s. A TLS handshake has {HANDSHAKE_S:g} s" in section
    assert f"{limits.http_connections:,} TCP connections at once" in section
    assert f"{limits.http_connections_per_address:,} from one address" in section


def test_the_codes_and_limits_of_whip_said_are_those_kept() -> None:
    section = PAGE.split("\n## 8.")[1]
    said = {
        (code, int(line.split("|")[2]))
        for line in section.splitlines()
        if line.startswith("| `")
        for code in re.findall(r"`([a-z-]+)`", line.split("|")[1])
    }
    source = (Path(m.__file__).parent / "whip.py").read_text(encoding="utf-8")
    own = re.findall(r'AnswerError\(\s*(\d+), "([a-z-]+)"', source)
    assert len(own) > 10
    of_others = {("method-not-allowed", 405), ("internal", 500)}
    kept = {(code.value, status) for code, status in whip.STATUS.items()}
    assert said == kept | {(code, int(status)) for status, code in own} | of_others
    words = " ".join(section.split())
    assert f"at most {whip.OFFER_MAX:,} octets in {plainoffer.LINES_MAX:,} lines" in words
    fragment = (
        f"at most {whip.FRAGMENT_MAX:,} octets in {icefragment.LINES_MAX} lines of {icefragment.LINE_MAX:,}"
    )
    assert fragment in words
    assert f"at most {whip.SESSIONS_PER_TOKEN} sessions at once, a lesson {whip.SESSIONS_PER_LESSON}" in words
    assert f"in bursts of {whip.POST_BURST}; one session take {resource.PATCHES_PER_S:g} `PATCH`" in words
    assert f"in bursts of {resource.PATCH_BURST}. The body has {Limits().request_s:g} s to come" in words


def test_the_limits_said_are_the_limits_kept() -> None:
    assert f"at most {m.MESSAGE_MAX // 1024} KiB" in PAGE
    assert f"at most {m.LABEL_MAX} characters" in PAGE
    assert f"1 to {m.HEADCOUNT_MAX}" in PAGE
    assert f"at most {m.OFFER_MAX:,} characters" in PAGE
    assert f"protocol, version {m.VERSION}" in PAGE
