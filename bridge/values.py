"""Values that the whole program shares: plain, frozen, without behaviour that needs a socket or a clock.

Both ``media`` and ``signalling`` import this module; it imports nothing of ours. The words are those of
the glossary in ARCHITECTURE.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

LessonId = NewType("LessonId", str)
EndpointId = NewType("EndpointId", str)
"""Names one endpoint of one lesson; never reused, carries no personal data."""
ConnectionId = NewType("ConnectionId", str)
"""Names one WebSocket of a lesson. An endpoint is called after its first, and may come back on others."""


class Role(StrEnum):
    """What kind of endpoint a token lets in."""

    KIOSK = "kiosk"
    SCHOOL = "school"
    HOME = "home"
    WORKPLACE = "workplace"
    GUEST = "guest"


class SourceKind(StrEnum):
    """One thing an endpoint publishes, each on its own m-line."""

    CAMERA = "camera"
    DOCUMENT = "document"
    SCREEN = "screen"
    MIC = "mic"
    CONTENT = "content"

    @property
    def is_picture(self) -> bool:
        """True for the kinds that travel as video, false for those that travel as audio."""
        return self in PICTURES


PICTURES = frozenset({SourceKind.CAMERA, SourceKind.DOCUMENT, SourceKind.SCREEN})
VOICES = frozenset({SourceKind.MIC, SourceKind.CONTENT})


class LayerLevel(StrEnum):
    """One encoding of a source, by size; a source without simulcast has only ``HIGH``."""

    HIGH = "high"
    MID = "mid"
    LOW = "low"


class LessonState(StrEnum):
    """A lesson waits for its teacher, is live, and ends; it never goes back."""

    WAITING = "waiting"
    LIVE = "live"
    ENDED = "ended"


class RecordingState(StrEnum):
    """What everyone in a lesson is told of its recording."""

    OFF = "off"
    ON = "on"
    """It is recorded; said before the lesson opens too, so that nobody joins unknowing."""
    FAILED = "failed"
    """It was to be recorded, and what is kept has a hole or has ended."""


@dataclass(frozen=True, slots=True)
class SlotCounts:
    """How many slots an endpoint has: ``pairs`` of picture and voice, then ``voices`` without a picture."""

    pairs: int
    voices: int


@dataclass(frozen=True, slots=True)
class Grant:
    """What an endpoint may do. Derived from its token's role, checked on every request."""

    publish: frozenset[SourceKind]
    slots: SlotCounts
    teaches: bool = False
    """Its sources are the teacher's: shown large, heard always."""
    may_open: bool = False
    may_end: bool = False


_VOICE_SLOTS = 2
_EVERY_SOURCE = frozenset(SourceKind)
_CAMERA_AND_MIC = frozenset({SourceKind.CAMERA, SourceKind.MIC})

GRANTS: dict[Role, Grant] = {
    Role.KIOSK: Grant(_EVERY_SOURCE, SlotCounts(12, _VOICE_SLOTS), teaches=True, may_open=True, may_end=True),
    Role.SCHOOL: Grant(_EVERY_SOURCE, SlotCounts(6, _VOICE_SLOTS)),
    Role.HOME: Grant(_CAMERA_AND_MIC, SlotCounts(5, _VOICE_SLOTS)),
    Role.WORKPLACE: Grant(_EVERY_SOURCE, SlotCounts(6, _VOICE_SLOTS)),
    Role.GUEST: Grant(_CAMERA_AND_MIC, SlotCounts(5, _VOICE_SLOTS)),
}


@dataclass(frozen=True, slots=True)
class Pass:
    """A token that was checked: who may come into which lesson, from where."""

    token_id: str
    lesson: LessonId
    role: Role
    site: str
    """The site's public name, e.g. "Iisalmi"; never a pupil's name."""
    room: str | None
    """The physical room on the site. Endpoints of one site and room hear each other through the air."""
    expires_at: float
    """POSIX time, seconds."""

    @property
    def grant(self) -> Grant:
        return GRANTS[self.role]


@dataclass(frozen=True, slots=True)
class IceServer:
    """One RTCIceServer (W3C WebRTC, section 4.2.2) with its timed credentials."""

    urls: tuple[str, ...]
    username: str
    credential: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OfferedSource:
    """The client's word that its m-line ``mid`` publishes ``kind``."""

    kind: SourceKind
    mid: str
    changes_codec: bool = False
    """The client sends it as another codec when it is told to."""


@dataclass(frozen=True, slots=True)
class OfferedSlot:
    """The client's word that slot ``index`` plays on these m-lines; a voice slot has no picture."""

    index: int
    picture: str | None
    voice: str


@dataclass(frozen=True, slots=True)
class Offer:
    """An SDP offer and what its m-lines are for."""

    sdp: str
    sources: tuple[OfferedSource, ...]
    slots: tuple[OfferedSlot, ...]


@dataclass(frozen=True, slots=True)
class SourceRef:
    """Names one source in a lesson."""

    endpoint: EndpointId
    kind: SourceKind


@dataclass(frozen=True, slots=True)
class SlotPlay:
    """What one slot of one endpoint plays; ``None`` is silence or an empty picture."""

    index: int
    picture: SourceRef | None = None
    voice: SourceRef | None = None


@dataclass(frozen=True, slots=True)
class SlotPlan:
    """What every slot of one endpoint plays, by index."""

    plays: tuple[SlotPlay, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class TurnConfig:
    """A TURN server that gives timed credentials from a shared secret (coturn: ``use-auth-secret``)."""

    urls: tuple[str, ...]
    """As an RTCIceServer takes them, e.g. "turns:turn.example.fi:443?transport=tcp"."""
    secret: str = field(repr=False)
    ttl_s: int
    """How long a credential is good, seconds."""


@dataclass(frozen=True, slots=True)
class Contact:
    """What to do when nothing works: a client keeps it for when there is no line."""

    text: str
    phone: str
