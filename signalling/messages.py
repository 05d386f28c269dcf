"""The messages of PROTOCOL.md, sections 3 and 4, as they look on the wire.

A test reads the tables there and compares them with these structs, field by field.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bridge.errors import ErrorCode, RefusedError
from bridge.values import LessonState, RecordingState, Role, SourceKind

VERSION = 1
MESSAGE_MAX = 256 * 1024
"""Bytes of one frame."""
LABEL_MAX = 40
HEADCOUNT_MAX = 500
OFFER_MAX = 200_000
SECRET_MAX = 64

RequestId = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Mid = Annotated[str, Meta(min_length=1, max_length=32)]
Sdp = Annotated[str, Meta(max_length=OFFER_MAX)]
Secret = Annotated[str, Meta(max_length=SECRET_MAX)]


class ClientMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """A request; ``id`` comes back as ``re`` in its answer."""

    id: RequestId | None = None


class Hello(ClientMessage, frozen=True, kw_only=True):
    version: int
    token: str
    resume: Secret | None = None
    replaces: Secret | None = None


class Open(ClientMessage, frozen=True):
    pass


class WireSource(msgspec.Struct, frozen=True):
    kind: SourceKind
    mid: Mid
    changes_codec: bool = False


class WireSlot(msgspec.Struct, frozen=True):
    index: Annotated[int, Meta(ge=0)]
    picture: Mid | None
    voice: Mid


class Join(ClientMessage, frozen=True, kw_only=True):
    label: Annotated[str, Meta(max_length=LABEL_MAX)] | None = None
    headcount: Annotated[int, Meta(ge=1, le=HEADCOUNT_MAX)] = 1
    offer: Sdp
    sources: Annotated[tuple[WireSource, ...], Meta(max_length=16)]
    slots: Annotated[tuple[WireSlot, ...], Meta(max_length=64)]


class Restart(ClientMessage, frozen=True):
    offer: Sdp


class Source(ClientMessage, frozen=True):
    kind: SourceKind
    on: bool


class End(ClientMessage, frozen=True):
    pass


class Leave(ClientMessage, frozen=True):
    pass


AnyClientMessage = Hello | Open | Join | Restart | Source | End | Leave


class WireLesson(msgspec.Struct, frozen=True):
    id: str
    title: str
    course: str
    state: LessonState
    recording: RecordingState


class WireYou(msgspec.Struct, frozen=True):
    role: Role
    site: str
    room: str | None
    publish: tuple[SourceKind, ...]
    teaches: bool
    may_open: bool
    may_end: bool


class WireCounts(msgspec.Struct, frozen=True):
    pairs: int
    voices: int


class WireMember(msgspec.Struct, frozen=True):
    endpoint: str
    role: Role
    site: str
    room: str | None
    label: str | None
    headcount: int
    teaches: bool
    away: bool
    sources: dict[str, bool]


class WireIceServer(msgspec.Struct, frozen=True):
    """An RTCIceServer, named and spelled as the browser takes it."""

    urls: tuple[str, ...]
    username: str
    credential: str


class WireContact(msgspec.Struct, frozen=True):
    text: str
    phone: str


class WireRef(msgspec.Struct, frozen=True):
    endpoint: str
    kind: SourceKind


class WirePlay(msgspec.Struct, frozen=True):
    index: int
    picture: WireRef | None
    voice: WireRef | None


class ServerMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower):
    """``re`` is there only in the answer to a request that carried an ``id``."""

    re: int | UnsetType = UNSET


class Welcome(ServerMessage, frozen=True, kw_only=True):
    version: int
    endpoint: str
    lesson: WireLesson
    you: WireYou
    slots: WireCounts
    resume: str
    resumable_s: float
    ice_servers: tuple[WireIceServer, ...] = msgspec.field(name="iceServers")
    contact: WireContact | None


class WireSnapshot(msgspec.Struct, frozen=True):
    lesson: WireLesson
    members: tuple[WireMember, ...]
    slots: tuple[WirePlay, ...]
    codecs: dict[str, str]
    revision: int


class Resumed(ServerMessage, frozen=True, kw_only=True):
    endpoint: str
    lesson: WireLesson
    joined: bool
    snapshot: WireSnapshot
    resume: str
    resumable_s: float
    ice_servers: tuple[WireIceServer, ...] = msgspec.field(name="iceServers")


class Joined(ServerMessage, frozen=True, kw_only=True):
    answer: str
    sources: tuple[SourceKind, ...]
    snapshot: WireSnapshot
    ice_servers: tuple[WireIceServer, ...] = msgspec.field(name="iceServers")


class Restarted(ServerMessage, frozen=True, kw_only=True):
    answer: str
    ice_servers: tuple[WireIceServer, ...] = msgspec.field(name="iceServers")


class Snapshot(ServerMessage, frozen=True):
    lesson: WireLesson
    members: tuple[WireMember, ...]
    slots: tuple[WirePlay, ...]
    codecs: dict[str, str]
    revision: int


class Lesson(ServerMessage, frozen=True):
    lesson: WireLesson


class Members(ServerMessage, frozen=True):
    changed: tuple[WireMember, ...]
    gone: tuple[str, ...]
    revision: int


class Slots(ServerMessage, frozen=True):
    slots: tuple[WirePlay, ...]
    revision: int


class Codecs(ServerMessage, frozen=True):
    codecs: dict[str, str]


class Done(ServerMessage, frozen=True):
    pass


class Error(ServerMessage, frozen=True):
    code: ErrorCode
    text: str
    fatal: bool


class _JustId(msgspec.Struct):
    id: RequestId | None = None


_decoder: msgspec.json.Decoder[AnyClientMessage] = msgspec.json.Decoder(AnyClientMessage)
_id_decoder = msgspec.json.Decoder(_JustId)
_encoder = msgspec.json.Encoder()


def decode(frame: str) -> AnyClientMessage:
    """Read one text frame. Raises RefusedError ``message-invalid``; ``request_id_of`` may find its id."""
    try:
        return _decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        # msgspec names the field and what was expected there, and never quotes the value.
        raise RefusedError(ErrorCode.MESSAGE_INVALID, str(error)) from None


def request_id_of(frame: str) -> int | None:
    """The ``id`` of a frame that ``decode`` refused, where it can be read."""
    try:
        return _id_decoder.decode(frame).id
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None


def encode(message: ServerMessage) -> str:
    """One text frame."""
    return _encoder.encode(message).decode()
