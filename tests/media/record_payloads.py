"""Records how the real Chromium packetises a camera with temporal levels, for the tests of the packet engine.

    .venv/bin/python -m tests.media.record_payloads [VP8 | VP9 | H264 | AV1]...

Writes one file for each codec into media/rust/engine/tests/recorded: a line for each RTP packet of the
first pictures, in hexadecimal, decrypted, its payload cut after 32 octets. aiortc is the other end: it is
made to take codecs that it can't decode, since nothing is decoded here. Run it again after a new browser
release and read the difference.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiortc.codecs
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtcpFeedback, RTCRtpCodecParameters, RTCRtpHeaderExtensionParameters
from playwright.async_api import Page

from tests.media.record_offers import chromium_page

RECORDED = Path(__file__).parents[2] / "media/rust/engine/tests/recorded"
DEPENDENCY_URI = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
PACKETS = 48
KEPT = 32
CODECS = ("VP8", "VP9", "H264", "AV1")
# Chromium leaves numbers and levels out of the VP8 payload where it sends them as a dependency descriptor; a
# lesson has descriptors for AV1 alone.
DESCRIBED = ("VP9", "AV1")

_OFFER = """
async (codec) => {
  const stream = await navigator.mediaDevices.getUserMedia({video: {width: 320, height: 180, frameRate: 15}});
  const pc = window.pc = new RTCPeerConnection();
  const transceiver = pc.addTransceiver(stream.getVideoTracks()[0], {
    direction: "sendonly", sendEncodings: [{scalabilityMode: "L1T3", maxBitrate: 150000}],
  });
  const all = RTCRtpReceiver.getCapabilities("video").codecs;
  const fits = ({mimeType, sdpFmtpLine}) => mimeType === `video/${codec}`
    && (codec !== "H264" || /packetization-mode=1.*42e01f/.test(sdpFmtpLine));
  transceiver.setCodecPreferences(all.filter(fits).slice(0, 1));
  await pc.setLocalDescription();
  await new Promise((done) => {
    if (pc.iceGatheringState === "complete") done();
    pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && done();
  });
  return pc.localDescription.sdp;
}
"""


def _teach_aiortc() -> None:
    feedback = [RTCRtcpFeedback("nack", "pli"), RTCRtcpFeedback("goog-remb")]
    aiortc.codecs.CODECS["video"] = [
        RTCRtpCodecParameters(f"video/{codec}", 90_000, payloadType=None, rtcpFeedback=list(feedback))
        for codec in CODECS
    ]
    for payload_type, codec in enumerate(aiortc.codecs.CODECS["video"], 100):
        codec.payloadType = payload_type
        if codec.name == "H264":
            codec.parameters = {"packetization-mode": "1", "profile-level-id": "42e01f"}
    aiortc.codecs.HEADER_EXTENSIONS["video"].append(
        RTCRtpHeaderExtensionParameters(id=13, uri=DEPENDENCY_URI)
    )


async def _record(page: Page, codec: str) -> list[bytes]:
    packets: list[bytes] = []
    enough = asyncio.Event()

    async def keep(transport: Any, data: bytes, arrival_time_ms: int) -> None:
        packets.append(data)
        if len(packets) >= PACKETS:
            enough.set()

    original = RTCDtlsTransport._handle_rtp_data
    RTCDtlsTransport._handle_rtp_data = keep  # type: ignore[method-assign, assignment]
    remote = RTCPeerConnection()
    try:
        offer: str = await page.evaluate(_OFFER, codec)
        await remote.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await remote.setLocalDescription(await remote.createAnswer())
        answer = remote.localDescription.sdp
        if codec not in DESCRIBED:
            answer = "".join(line for line in answer.splitlines(True) if DEPENDENCY_URI not in line)
        if "extmap-allow-mixed" not in answer:
            answer = answer.replace("t=0 0\r\n", "t=0 0\r\na=extmap-allow-mixed\r\n", 1)
        await page.evaluate(
            "(answer) => pc.setRemoteDescription(JSON.parse(answer))",
            json.dumps({"type": "answer", "sdp": answer}),
        )
        async with asyncio.timeout(30):
            await enough.wait()
    finally:
        RTCDtlsTransport._handle_rtp_data = original  # type: ignore[method-assign]
        await page.evaluate("() => pc.close()")
        await remote.close()
    return packets[:PACKETS]


def _cut(packet: bytes) -> bytes:
    end = 12
    if packet[0] & 0x10:
        end += 4 + 4 * int.from_bytes(packet[14:16])
    return packet[: end + KEPT]


async def record_all(program: str, codecs: Sequence[str]) -> None:
    _teach_aiortc()
    RECORDED.mkdir(exist_ok=True)
    async with chromium_page(program) as page:
        for codec in codecs:
            packets = await _record(page, codec)
            path = RECORDED / f"{codec.lower()}-l1t3.txt"
            text = "".join(_cut(packet).hex() + "\n" for packet in packets)
            await asyncio.to_thread(path.write_text, text, "ascii")
            print(path.name, len(packets), "packets", len(text), "characters")


def main() -> int:
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium must be installed", file=sys.stderr)
        return 1
    asyncio.run(record_all(chromium, sys.argv[1:] or CODECS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
