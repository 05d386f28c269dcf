import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LessonPeer } from "../../src/media/peer";
import { SOURCE_KINDS } from "../../src/protocol/values";
import { track } from "../support";

/** A transceiver that only remembers; what a real browser makes of it is tested end to end. */
class FakeTransceiver {
  mid: string | null = null;
  codecs: readonly string[] = [];
  readonly sender: { track: MediaStreamTrack | null; replaceTrack: (track: MediaStreamTrack | null) => Promise<void> };
  readonly receiver: { readonly track: MediaStreamTrack };

  constructor(
    readonly media: string,
    readonly init: RTCRtpTransceiverInit,
    sent: MediaStreamTrack | null,
  ) {
    const sender: FakeTransceiver["sender"] = {
      track: sent,
      replaceTrack: vi.fn((next: MediaStreamTrack | null) => {
        sender.track = next;
        return Promise.resolve();
      }),
    };
    this.sender = sender;
    this.receiver = { track: track(media === "video" ? "video" : "audio") };
  }

  setCodecPreferences(codecs: readonly { readonly mimeType: string }[]): void {
    this.codecs = codecs.map((codec) => codec.mimeType);
  }
}

class FakeConnection {
  static last: FakeConnection;
  readonly transceivers: FakeTransceiver[] = [];
  localDescription: RTCSessionDescriptionInit | null = null;
  connectionState: RTCPeerConnectionState = "new";
  onconnectionstatechange: (() => void) | null = null;
  close = vi.fn();
  setRemoteDescription = vi.fn(() => Promise.resolve());

  constructor(readonly configuration: RTCConfiguration) {
    FakeConnection.last = this;
  }

  addTransceiver(sent: MediaStreamTrack | string, init: RTCRtpTransceiverInit): FakeTransceiver {
    const made =
      typeof sent === "string" ? new FakeTransceiver(sent, init, null) : new FakeTransceiver(sent.kind, init, sent);
    this.transceivers.push(made);
    return made;
  }

  setLocalDescription(): Promise<void> {
    this.transceivers.forEach((transceiver, at) => (transceiver.mid = `m${at}`));
    this.localDescription = { type: "offer", sdp: "v=0" };
    return Promise.resolve();
  }
}

beforeEach(() => {
  const offered = {
    video: ["video/VP8", "video/rtx", "video/H264", "video/AV1", "video/red"],
    audio: ["audio/opus", "audio/red", "audio/PCMU"],
  };
  vi.stubGlobal("RTCPeerConnection", FakeConnection);
  vi.stubGlobal("RTCRtpReceiver", {
    getCapabilities: (media: "video" | "audio") => ({ codecs: offered[media].map((mimeType) => ({ mimeType })) }),
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
});

describe("the one offer", () => {
  it("has the sources first and then the slots, each named by its m-line", async () => {
    const peer = new LessonPeer(SOURCE_KINDS, { pairs: 2, voices: 1 }, {}, vi.fn());
    const { sources, slots } = await peer.offer();
    expect(sources.map(({ kind, mid }) => `${kind} ${mid}`)).toEqual([
      "camera m0",
      "document m1",
      "screen m2",
      "mic m3",
      "content m4",
    ]);
    expect(slots).toEqual([
      { index: 0, picture: "m5", voice: "m6" },
      { index: 1, picture: "m7", voice: "m8" },
      { index: 2, picture: null, voice: "m9" },
    ]);
    const { transceivers } = FakeConnection.last;
    expect(transceivers.map(({ media }) => media).join(" ")).toBe(
      "video video video audio audio video audio video audio audio",
    );
    expect(transceivers.map(({ init }) => init.direction)).toEqual([
      ...Array<string>(5).fill("sendonly"),
      ...Array<string>(5).fill("recvonly"),
    ]);
  });

  it("asks for one transport", () => {
    new LessonPeer(["mic"], { pairs: 0, voices: 0 }, {}, vi.fn());
    expect(FakeConnection.last.configuration).toEqual({
      bundlePolicy: "max-bundle",
      rtcpMuxPolicy: "require",
      iceServers: [],
    });
  });

  it("has three layers of the camera, the high one first, and one of the rest", () => {
    new LessonPeer(SOURCE_KINDS, { pairs: 1, voices: 0 }, {}, vi.fn());
    const encodings = FakeConnection.last.transceivers.map(({ init }) => init.sendEncodings);
    expect(encodings[0]?.map(({ rid, scaleResolutionDownBy }) => [rid, scaleResolutionDownBy])).toEqual([
      ["h", 1],
      ["m", 2],
      ["l", 4],
    ]);
    expect(encodings.slice(1).every((each) => each === undefined)).toBe(true);
  });

  it("offers VP8 with its repair, and Opus", () => {
    new LessonPeer(["camera", "mic"], { pairs: 1, voices: 1 }, {}, vi.fn());
    for (const { media, codecs } of FakeConnection.last.transceivers) {
      expect(codecs).toEqual(media === "video" ? ["video/VP8", "video/rtx"] : ["audio/opus"]);
    }
  });

  it("holds only the granted kinds, with the tracks that are there", async () => {
    const camera = track("video");
    const peer = new LessonPeer(["camera", "mic"], { pairs: 0, voices: 0 }, { camera, screen: track("video") }, vi.fn());
    expect((await peer.offer()).sources.map(({ kind }) => kind)).toEqual(["camera", "mic"]);
    expect(FakeConnection.last.transceivers.map(({ sender }) => sender.track)).toEqual([camera, null]);
  });
});

describe("afterwards", () => {
  it("a source starts and stops by replacing its track", async () => {
    const screen = track("video");
    const peer = new LessonPeer(["screen"], { pairs: 0, voices: 0 }, {}, vi.fn());
    const [transceiver] = FakeConnection.last.transceivers;
    await peer.send("screen", screen);
    expect(transceiver?.sender.track).toBe(screen);
    await peer.send("screen", screen);
    await peer.send("screen", null);
    expect(transceiver?.sender.track).toBeNull();
    expect(transceiver?.sender.replaceTrack).toHaveBeenCalledTimes(2);
    await expect(peer.send("document", screen)).resolves.toBeUndefined();
  });

  it("what is received keeps its tracks", () => {
    const peer = new LessonPeer([], { pairs: 1, voices: 1 }, {}, vi.fn());
    const tracks = FakeConnection.last.transceivers.map(({ receiver }) => receiver.track);
    expect(peer.received).toEqual([
      { index: 0, picture: tracks[0], voice: tracks[1] },
      { index: 1, picture: null, voice: tracks[2] },
    ]);
  });

  it("a closed peer says nothing more", () => {
    const changed = vi.fn();
    const peer = new LessonPeer([], { pairs: 0, voices: 0 }, {}, changed);
    FakeConnection.last.connectionState = "connected";
    FakeConnection.last.onconnectionstatechange?.();
    expect(changed).toHaveBeenCalledExactlyOnceWith("connected");
    peer.close();
    expect(FakeConnection.last.onconnectionstatechange).toBeNull();
    expect(FakeConnection.last.close).toHaveBeenCalledOnce();
  });
});
