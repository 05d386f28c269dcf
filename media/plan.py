"""What the engine is to do for one peer, as values: the outcome of a negotiation.

    PeerPlan ─┬─ IcePlan, DtlsPlan
              ├─ SourcePlan ── LayerPlan        what the endpoint publishes, one per m-line
              └─ SlotPlan ──── SlotHalfPlan     where it receives: a picture and a voice, or a voice alone

The plan is made by ``media.negotiation`` without any I/O and carried out by ``media.engine``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bridge.values import LayerLevel, SourceKind

Media = Literal["audio", "video"]
CodecName = Literal["opus", "vp8", "h264", "vp9", "av1"]


@dataclass(frozen=True, slots=True)
class CodecPlan:
    """A codec of an m-line, with the payload types that the offer gave it."""

    name: CodecName
    payload_type: int
    clock_rate: int
    """RTP timestamp ticks per second."""
    rtx_payload_type: int | None = None
    """Retransmissions (RFC 4588), where both sides have them."""
    nack: bool = False
    """The receiver of the stream asks again for what it misses (RFC 4585)."""

    @property
    def media(self) -> Media:
        return "audio" if self.name == "opus" else "video"


@dataclass(frozen=True, slots=True)
class ExtensionPlan:
    """The negotiated ids (1 to 14) of the header extensions that the engine reads or writes, or ``None``.

    ``mid``: RFC 9143. ``rid``, ``repaired_rid``: RFC 8852. ``level``: audio level, RFC 6464.
    ``send_time``: abs-send-time. ``dependency``: the dependency descriptor of AV1's RTP payload format.
    """

    mid: int | None = None
    rid: int | None = None
    repaired_rid: int | None = None
    level: int | None = None
    send_time: int | None = None
    dependency: int | None = None


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """One encoding of a source. ``rid`` and the SSRCs are ``None`` where the offer didn't say them."""

    level: LayerLevel
    rid: str | None
    ssrc: int | None
    rtx_ssrc: int | None = None


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """A source that the endpoint publishes. ``layers`` is never empty and goes from high to low."""

    kind: SourceKind
    mid: str
    codecs: tuple[CodecPlan, ...]
    """The one it is sent as, then those that its client can change to, by preference; never empty."""
    layers: tuple[LayerPlan, ...]
    extensions: ExtensionPlan
    red_payload_type: int | None = None
    """Redundant audio (RFC 2198) of its one codec, where the publisher would rather send that."""

    @property
    def codec(self) -> CodecPlan:
        """The one it is sent as."""
        return self.codecs[0]


@dataclass(frozen=True, slots=True)
class SlotHalfPlan:
    """The picture or the voice of a slot. The SSRCs are ours and unique in the peer."""

    mid: str
    codecs: tuple[CodecPlan, ...]
    """What it can carry, the preferred one first; never empty, all of one clock rate."""
    ssrc: int
    extensions: ExtensionPlan
    rtx_ssrc: int | None = None
    red_payload_type: int | None = None
    """Redundant audio (RFC 2198) of its one codec, where the receiver takes it."""

    @property
    def codec(self) -> CodecPlan:
        """The preferred one."""
        return self.codecs[0]


@dataclass(frozen=True, slots=True)
class SlotPlan:
    """A receive place; a voice slot has no ``picture``."""

    index: int
    picture: SlotHalfPlan | None
    voice: SlotHalfPlan

    @property
    def halves(self) -> tuple[SlotHalfPlan, ...]:
        return (self.voice,) if self.picture is None else (self.picture, self.voice)


@dataclass(frozen=True, slots=True)
class IcePlan:
    """Short-term credentials (RFC 8445). A lite agent sends no checks, so the remote password is not kept."""

    local_ufrag: str
    local_pwd: str
    remote_ufrag: str


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Hash of a DTLS certificate (RFC 8122): ``algorithm`` in lower case, ``value`` as "AB:CD:..."."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class DtlsPlan:
    """How the remote proves itself, and our role; the offerer is always the DTLS client."""

    remote_fingerprints: tuple[Fingerprint, ...]
    role: Literal["server"] = "server"


@dataclass(frozen=True, slots=True)
class PeerPlan:
    """Everything that the engine must know of one endpoint."""

    ice: IcePlan
    dtls: DtlsPlan
    sources: tuple[SourcePlan, ...]
    slots: tuple[SlotPlan, ...]
    receive_bitrate: int
    """bit/s that the endpoint may send in all, told to it by REMB."""
