"""Session descriptions of the load's endpoints: what they offer, and what an answer or another's offer says.

Written for the benchmark alone and sharing nothing with ``media.sdp``: the product's reader must not judge
itself.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Any, Literal

VP8, RTX, OPUS = 96, 97, 111
MID, LEVEL, TRANSPORT, SEND_TIME = 1, 2, 3, 4
_URIS = {
    MID: "urn:ietf:params:rtp-hdrext:sdes:mid",
    LEVEL: "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    TRANSPORT: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    SEND_TIME: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
}
VIDEO_SSRC, RTX_SSRC, AUDIO_SSRC = 1001, 1002, 1003

Direction = Literal["sendonly", "recvonly"]


@dataclass(frozen=True, slots=True)
class Local:
    """Our half of a description; ``address`` and ``port`` are the one candidate."""

    fingerprint: str
    port: int
    address: str = "127.0.0.1"
    ufrag: str = field(default_factory=lambda: secrets.token_hex(4))
    pwd: str = field(default_factory=lambda: secrets.token_hex(12))

    def session(self, mids: list[str]) -> list[str]:
        """The session level."""
        return [
            "v=0",
            f"o=- {secrets.randbelow(1 << 40)} 1 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            f"a=group:BUNDLE {' '.join(mids)}",
            "a=msid-semantic: WMS *",
        ]

    def transport(self, setup: str) -> list[str]:
        """The lines of an m-line about how it is carried."""
        candidate = f"candidate:1 1 udp 2130706431 {self.address} {self.port} typ host"
        return [
            "c=IN IP4 0.0.0.0",
            f"a=ice-ufrag:{self.ufrag}",
            f"a=ice-pwd:{self.pwd}",
            f"a=fingerprint:sha-256 {self.fingerprint}",
            f"a=setup:{setup}",
            "a=rtcp-mux",
            f"a={candidate}",
            "a=end-of-candidates",
        ]


def offer(local: Local, direction: Direction, setup: str = "actpass") -> str:
    """A picture on the mid "0" and a voice on the mid "1", with all that a browser offers for them.

    The load is always the DTLS client; ``setup`` says so with "active" to a server that would be it itself.
    """
    lines = local.session(["0", "1"])
    lines += [f"m=video 9 UDP/TLS/RTP/SAVPF {VP8} {RTX}", *local.transport(setup), "a=mid:0"]
    lines += [f"a=extmap:{number} {_URIS[number]}" for number in (MID, TRANSPORT, SEND_TIME)]
    lines += [
        f"a={direction}",
        f"a=rtpmap:{VP8} VP8/90000",
        f"a=rtpmap:{RTX} rtx/90000",
        f"a=fmtp:{RTX} apt={VP8}",
    ]
    feedback = ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc")
    lines += [f"a=rtcp-fb:{VP8} {each}" for each in feedback]
    if direction == "sendonly":
        lines += ["a=msid:s v", f"a=ssrc-group:FID {VIDEO_SSRC} {RTX_SSRC}"]
        lines += [f"a=ssrc:{ssrc} cname:load" for ssrc in (VIDEO_SSRC, RTX_SSRC)]
    lines += [f"m=audio 9 UDP/TLS/RTP/SAVPF {OPUS}", *local.transport(setup), "a=mid:1"]
    lines += [f"a=extmap:{number} {_URIS[number]}" for number in (MID, LEVEL, TRANSPORT, SEND_TIME)]
    lines += [f"a={direction}", f"a=rtpmap:{OPUS} opus/48000/2", f"a=fmtp:{OPUS} minptime=10;useinbandfec=1"]
    lines += [f"a=rtcp-fb:{OPUS} transport-cc", f"a=rtcp-fb:{OPUS} nack"]
    if direction == "sendonly":
        lines += ["a=msid:s a", f"a=ssrc:{AUDIO_SSRC} cname:load"]
    return "\r\n".join(lines) + "\r\n"


def answer(local: Local, offered: str) -> str:
    """Take all that ``offered`` has, receiving."""
    lines: list[str] = []
    mids = [line[6:] for line in offered.splitlines() if line.startswith("a=mid:")]
    lines += local.session(mids)
    for section in re.split(r"(?m)^(?=m=)", offered)[1:]:
        lines += [section.splitlines()[0], *local.transport("active"), "a=recvonly"]
        kept = ("a=mid:", "a=rtpmap:", "a=fmtp:", "a=rtcp-fb:", "a=extmap:")
        lines += [line for line in section.splitlines() if line.startswith(kept)]
    return "\r\n".join(lines) + "\r\n"


def plan(local: Local, remote: str, *, publishes: bool) -> dict[str, Any]:
    """What ``load`` has to know of an endpoint whose other side described itself as ``remote``."""
    candidate = next(
        (
            f"{match[1]}:{match[2]}"
            for match in re.finditer(r"a=candidate:\S+ 1 udp \d+ ([0-9.]+) (\d+) ", remote, re.IGNORECASE)
        ),
        None,
    )
    if candidate is None:
        raise ValueError(f"no candidate over IPv4 and UDP in\n{remote}")
    role = {"publisher": _publisher(remote)} if publishes else {"receiver": _receiver(remote)}
    return {
        "remote": candidate,
        "local_ufrag": local.ufrag,
        "local_pwd": local.pwd,
        "remote_ufrag": _first(r"a=ice-ufrag:(\S+)", remote),
        "remote_pwd": _first(r"a=ice-pwd:(\S+)", remote),
        "fingerprint": _first(r"(?i)a=fingerprint:sha-256 (\S+)", remote),
        "role": role,
    }


def _first(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise ValueError(f"no {pattern} in\n{text}")
    return match[1]


def _extension(uri: str, text: str) -> int | None:
    match = re.search(rf"a=extmap:(\d+)\S* {re.escape(uri)}", text)
    return None if match is None else int(match[1])


def _receiver(remote: str) -> dict[str, Any]:
    repairs = [int(number) for number in re.findall(r"a=rtpmap:(\d+) rtx/", remote)]
    return {"transport": _extension(_URIS[TRANSPORT], remote), "repairs": repairs}


def _publisher(remote: str) -> dict[str, Any]:
    video, audio = re.split(r"(?m)^(?=m=)", remote)[1:]

    def stream(section: str, ssrc: int, payload_type: int, mid: str) -> dict[str, Any]:
        repaired = re.search(rf"a=rtpmap:{RTX} rtx/", section)
        identifier = _extension(_URIS[MID], section)
        return {
            "ssrc": ssrc,
            "payload_type": payload_type,
            "repair": [RTX, RTX_SSRC] if repaired and ssrc == VIDEO_SSRC else None,
            "mid": None if identifier is None else [identifier, mid],
            "level": _extension(_URIS[LEVEL], section),
            "transport": _extension(_URIS[TRANSPORT], section),
        }

    return {"video": stream(video, VIDEO_SSRC, VP8, "0"), "audio": stream(audio, AUDIO_SSRC, OPUS, "1")}
