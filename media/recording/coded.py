"""A coded frame, and why there is none: what all depacketisers give."""

from __future__ import annotations

from dataclasses import dataclass


class MalformedError(Exception):
    """The payloads make no frame."""


@dataclass(frozen=True, slots=True)
class Coded:
    """One frame as a decoder takes it."""

    data: bytes
    is_key: bool
    """Nothing before it is needed to decode it."""
    size: tuple[int, int] | None = None
    """(width, height) in pixels, where the codec says it in the open: in a key frame of VP8 and VP9."""
