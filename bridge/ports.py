"""What the live Classroom needs from the outside, as protocols. ``media`` and ``signalling`` implement them.

``Classroom`` (bridge.classroom) is one task with an inbox. It calls the ports below directly: none of
their methods blocks, none awaits. What the outside has to say comes back through the sinks as messages
for the inbox.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bridge.notices import Notice
from bridge.values import EndpointId, Grant, IceServer, LessonId, Offer, SourceKind, SourceRef


class MediaRefusedError(Exception):
    """A join that media can't take. ``code`` is one of the stable error codes of PROTOCOL.md."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class Admission:
    """What came of a join: the SDP answer, and which offered sources and slot indices were accepted."""

    answer: str
    sources: frozenset[SourceKind]
    slots: tuple[int, ...]
    codecs: Mapping[SourceKind, str] = field(default_factory=dict)
    """As which codec the sources that can change begin; names of SDP in lower case, e.g. "vp9"."""


@dataclass(frozen=True, slots=True)
class CodecChanged:
    """From now on this source is taken as ``codec`` alone, because of who came or went: its publisher is to
    send it so. Only for a source that was offered as one that changes."""

    source: SourceRef
    codec: str


@dataclass(frozen=True, slots=True)
class MediaConnected:
    """The endpoint's ICE and DTLS are up; media can flow."""

    endpoint: EndpointId


@dataclass(frozen=True, slots=True)
class MediaLost:
    """The endpoint's transport is gone for good: DTLS failed or closed, or it fell silent."""

    endpoint: EndpointId
    reason: str


@dataclass(frozen=True, slots=True)
class MediaQuiet:
    """Nothing has come from the endpoint for some seconds (``quiet``), or something comes again.

    Its place is kept: silence of the whole consent time (RFC 7675) is MediaLost.
    """

    endpoint: EndpointId
    quiet: bool


@dataclass(frozen=True, slots=True)
class RecordingFailed:
    """What is recorded of this source has a hole from now on, or has ended: the disk is full or too slow."""

    source: SourceRef
    reason: str


@dataclass(frozen=True, slots=True)
class SourceLive:
    """The first packet of a source arrived (``live``), or none came for a while."""

    source: SourceRef
    live: bool


@dataclass(frozen=True, slots=True)
class SourceLevel:
    """How loud a source is: twice a second while it is heard, and once when no longer.

    ``level``: dB below overload (RFC 6464), smoothed; 127 for silence.
    """

    source: SourceRef
    level: int


MediaEvent = (
    CodecChanged | MediaConnected | MediaLost | MediaQuiet | RecordingFailed | SourceLevel | SourceLive
)


class MediaPort(Protocol):
    """The media of one lesson. Every call returns at once; the work goes on in the engine."""

    def admit(self, endpoint: EndpointId, offer: Offer, grant: Grant) -> Admission:
        """Negotiate and create the endpoint's peer. Raises MediaRefusedError."""

    def restart(self, endpoint: EndpointId, sdp: str) -> str:
        """Answer the offer of an ICE restart (RFC 8829 section 4.1.8): new credentials, the same m-lines.

        Media goes on over the old path until the new one is there. Raises MediaRefusedError, also for an
        endpoint that was not admitted.
        """

    def route(
        self, endpoint: EndpointId, slot: int, picture: SourceRef | None, voice: SourceRef | None
    ) -> None:
        """Play these sources in a slot; ``None`` empties that half. A no-op for what plays already."""

    def dismiss(self, endpoint: EndpointId) -> None:
        """Remove the endpoint's peer, its sources and its slots. A no-op for one unknown."""

    def close(self) -> None:
        """Dismiss all. The port can't be used afterwards."""


class OpenMedia(Protocol):
    """Makes the media port of one lesson; ``sink`` is called on the event loop with what happens there."""

    def __call__(
        self, lesson: LessonId, sink: Callable[[MediaEvent], None], *, record: bool = False
    ) -> MediaPort:
        """``record``: what endpoints with the grant ``teaches`` publish is kept (D7)."""


class RecordingPort(Protocol):
    """What becomes of the files of recorded lessons."""

    def finish(self, lesson: LessonId) -> None:
        """The lesson is over and its media closed: make its recording playable, in the background.

        A no-op for a lesson of which nothing was recorded.
        """


class IceServers(Protocol):
    """The ICE servers that an endpoint may use besides the server's own candidates."""

    def for_endpoint(self, endpoint: EndpointId, now: float) -> tuple[IceServer, ...]:
        """Those, with credentials that are good from ``now`` (POSIX seconds) for some hours; may be none."""


class NoIceServers:
    """A server without TURN."""

    def for_endpoint(self, endpoint: EndpointId, now: float) -> tuple[IceServer, ...]:
        """None."""
        return ()


class Outbox(Protocol):
    """The way to one endpoint. Implementations are bounded and drop by a rule of their own."""

    def post(self, notice: Notice) -> None:
        """Never blocks and never raises. What comes after a final notice is ignored."""
