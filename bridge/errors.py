"""What the border tells a client: one exception with a stable code, and the codes themselves.

The table of codes in signalling/PROTOCOL.md is the reference; a test compares it with :class:`ErrorCode`.
"""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """The stable codes of the wire protocol (signalling/PROTOCOL.md, section 6)."""

    MESSAGE_INVALID = "message-invalid"
    MESSAGE_TOO_LARGE = "message-too-large"
    TOO_MANY_MESSAGES = "too-many-messages"
    HELLO_EXPECTED = "hello-expected"
    VERSION_UNSUPPORTED = "version-unsupported"
    TOKEN_INVALID = "token-invalid"  # noqa: S105 - a code, not a secret
    TOKEN_EXPIRED = "token-expired"  # noqa: S105 - a code, not a secret
    LESSON_UNKNOWN = "lesson-unknown"
    LESSON_ENDED = "lesson-ended"
    RESUME_FAILED = "resume-failed"
    REPLACED = "replaced"
    LESSON_NOT_OPEN = "lesson-not-open"
    LESSON_FULL = "lesson-full"
    NOT_GRANTED = "not-granted"
    NOT_JOINED = "not-joined"
    ALREADY_JOINED = "already-joined"
    SDP_INVALID = "sdp-invalid"
    SDP_UNSUPPORTED = "sdp-unsupported"
    TOO_SLOW = "too-slow"
    MEDIA_FAILED = "media-failed"
    SERVER_FULL = "server-full"
    SERVER_STOPPING = "server-stopping"
    INTERNAL = "internal"

    @property
    def fatal(self) -> bool:
        """True when the server closes the connection after it."""
        return self not in _SURVIVABLE


_SURVIVABLE = frozenset(
    {
        ErrorCode.MESSAGE_INVALID,
        ErrorCode.RESUME_FAILED,
        ErrorCode.LESSON_NOT_OPEN,
        ErrorCode.NOT_GRANTED,
        ErrorCode.NOT_JOINED,
        ErrorCode.ALREADY_JOINED,
        ErrorCode.SDP_INVALID,
        ErrorCode.SDP_UNSUPPORTED,
    }
)


class RefusedError(Exception):
    """A request that is not granted or can't be met; ``text`` is English, for a log, and names no person."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class SetupError(Exception):
    """The program can't start or use what it stands on; ``code`` is stable, ``text`` fits on one line."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
