"""GStreamer's webrtcbin as a WHIP encoder or a WHEP player; lines and arguments are those of wrtc_client.py.

Run by the Python that has Debian's python3-gi, so it uses nothing but that and the standard library. It knows
no ICE restart: webrtcbin 1.22 makes no offer for one.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

# The system's, which this environment's type checker does not see.
import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
# After the versions were named.
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # type: ignore[import-not-found]  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.whip.exchange import Session  # noqa: E402 - after the path to it

VIDEO = "application/x-rtp,media=video,encoding-name=VP8,payload=96,clock-rate=90000"
AUDIO = (
    "application/x-rtp,media=audio,encoding-name=OPUS,payload=97,clock-rate=48000,encoding-params=(string)2"
)
PUBLISH = f"""
    webrtcbin name=webrtc bundle-policy=max-bundle
    filesrc location={{0}} ! y4mdec ! identity sync=true ! queue ! videoconvert
        ! vp8enc deadline=1 cpu-used=8 target-bitrate=1000000 keyframe-max-dist=60 error-resilient=default
        ! rtpvp8pay picture-id-mode=15-bit ! {VIDEO} ! queue ! webrtc.
    filesrc location={{1}} ! wavparse ! identity sync=true ! queue ! audioconvert ! audioresample
        ! opusenc ! rtpopuspay ! {AUDIO} ! queue ! webrtc.
"""
KEEP_PICTURES = """
    rtpvp8depay ! vp8dec ! videoconvert ! videoscale ! video/x-raw,format=GRAY8,width=640,height=360
        ! filesink sync=false buffer-mode=unbuffered location={}
"""
KEEP_SOUND = """
    rtpopusdepay ! opusdec plc=true ! audioconvert ! audioresample
        ! audio/x-raw,format=S16LE,rate=48000,channels=1 ! filesink sync=false location={}
"""


class Client:
    def __init__(self, what: str, endpoint: str, token: str, *paths: str) -> None:
        self._endpoint, self._token, self._paths = endpoint, token, paths
        self._session: Session | None = None
        self.loop = GLib.MainLoop()
        self.failed = ""
        if what == "publish":
            self._pipeline = Gst.parse_launch(PUBLISH.format(*paths))
            self._webrtc = self._pipeline.get_by_name("webrtc")
            for number in range(2):
                transceiver = self._webrtc.emit("get-transceiver", number)
                transceiver.set_property("direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)
                transceiver.set_property("do-nack", True)
        else:
            self._pipeline = Gst.parse_launch("webrtcbin name=webrtc bundle-policy=max-bundle latency=100")
            if not isinstance(self._pipeline, Gst.Pipeline):
                webrtc, self._pipeline = self._pipeline, Gst.Pipeline()
                self._pipeline.add(webrtc)
            self._webrtc = self._pipeline.get_by_name("webrtc")
            for caps in (VIDEO, AUDIO):
                direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
                self._webrtc.emit("add-transceiver", direction, Gst.Caps.from_string(caps))
            self._webrtc.connect("pad-added", self._received)
        self._webrtc.connect("on-negotiation-needed", self._negotiate)
        self._webrtc.connect("notify::connection-state", self._changed)
        bus = self._pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", self._error)
        self._pipeline.set_state(Gst.State.PLAYING)

    def _negotiate(self, webrtc: object) -> None:
        self._webrtc.emit("create-offer", None, Gst.Promise.new_with_change_func(self._offered, None))

    def _offered(self, promise: Any, _: object) -> None:
        # Held by a name: the offer is freed with its reply.
        reply = promise.get_reply()
        offer = reply.get_value("offer")
        self._webrtc.emit("set-local-description", offer, Gst.Promise.new())
        # Its candidates are not waited for: the server needs none.
        threading.Thread(target=self._post, args=(offer.sdp.as_text(),)).start()

    def _post(self, sdp: str) -> None:
        try:
            self._session = Session(self._endpoint, self._token, sdp)
        except Exception as error:
            self._end(f"{error}\n{sdp}")
            return
        _, message = GstSdp.SDPMessage.new_from_text(self._session.answer)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self._webrtc.emit("set-remote-description", answer, Gst.Promise.new())

    def _received(self, _webrtc: object, pad: Any) -> None:
        video = pad.get_current_caps().get_structure(0).get_string("media") == "video"
        name = "frames.grey" if video else "sound.s16"
        text = (KEEP_PICTURES if video else KEEP_SOUND).format(Path(self._paths[0]) / name)
        keeper = Gst.parse_bin_from_description(text, True)
        self._pipeline.add(keeper)
        keeper.sync_state_with_parent()
        pad.link(keeper.get_static_pad("sink"))

    def _changed(self, _webrtc: object, _: object) -> None:
        state = self._webrtc.get_property("connection-state")
        if state == GstWebRTC.WebRTCPeerConnectionState.CONNECTED:
            print("ready", flush=True)
        elif state == GstWebRTC.WebRTCPeerConnectionState.FAILED:
            self._end("the connection failed")

    def _error(self, _bus: object, message: Any) -> None:
        self._end(str(message.parse_error()))

    def _end(self, fault: str) -> None:
        self.failed = fault
        self.loop.quit()

    def stop(self) -> None:
        status = self._session.delete() if self._session is not None else 0
        self._pipeline.set_state(Gst.State.NULL)
        print(f"ended {status}", flush=True)


def main() -> None:
    Gst.init(None)
    client = Client(*sys.argv[1:])

    def wait_for_a_line() -> None:
        sys.stdin.readline()
        GLib.idle_add(client.loop.quit)

    threading.Thread(target=wait_for_a_line, daemon=True).start()
    client.loop.run()
    client.stop()
    if client.failed:
        sys.exit(client.failed)


if __name__ == "__main__":
    main()
