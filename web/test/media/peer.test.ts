import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { askingForVoices, LessonPeer } from "../../src/media/peer";
import { SOURCE_KINDS } from "../../src/protocol/values";
import { track, TURN } from "../support";

/** A transceiver that only remembers; what a real browser makes of it is tested end to end. */
class FakeTransceiver {
  mid: string | null = null;
  codecs: readonly string[] = [];
  readonly sender: {
    track: MediaStreamTrack | null;
    replaceTrack: (track: MediaStreamTrack | null) => Promise<void>;
    getParameters: () => object;
    setParameters: (parameters: { readonly encodings: readonly object[] }) => Promise<void>;
  };
  /** What its encodings were given, each time. */
  readonly set: (readonly object[])[] = [];
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
      getParameters: () => ({
        codecs: ["video/VP9", "video/rtx", "video/VP8"].map((mimeType) => ({ mimeType })),
        encodings: [{ active: true }],
      }),
      setParameters: ({ encodings }) => {
        this.set.push(encodings);
        return FakeConnection.refuses.has("setParameters") ? Promise.reject(new Error("no")) : Promise.resolve();
      },
    };
    this.sender = sender;
    this.receiver = { track: track(media === "video" ? "video" : "audio") };
  }

  setCodecPreferences(codecs: readonly { readonly mimeType: string; readonly sdpFmtpLine?: string }[]): void {
    this.codecs = codecs.map(({ mimeType, sdpFmtpLine }) => (sdpFmtpLine ? `${mimeType} ${sdpFmtpLine}` : mimeType));
  }
}

class FakeConnection {
  static last: FakeConnection;
  /** The members of an encoding that this browser looks at, and what it can't have. */
  static knows = new Set<string>();
  static refuses = new Set<string>();
  readonly transceivers: FakeTransceiver[] = [];
  localDescription: RTCSessionDescriptionInit | null = null;
  connectionState: RTCPeerConnectionState = "new";
  onconnectionstatechange: (() => void) | null = null;
  close = vi.fn();
  restartIce = vi.fn();
  setRemoteDescription = vi.fn(() => Promise.resolve());

  offers = 0;

  constructor(public configuration: RTCConfiguration) {
    FakeConnection.last = this;
  }

  setConfiguration(configuration: RTCConfiguration): void {
    this.configuration = configuration;
  }

  addTransceiver(sent: MediaStreamTrack | string, init: RTCRtpTransceiverInit): FakeTransceiver {
    for (const encoding of init.sendEncodings ?? []) {
      for (const [name, value] of Object.entries(picked(encoding, FakeConnection.knows))) {
        if (FakeConnection.refuses.has(String(value))) throw new DOMException(name, "OperationError");
      }
    }
    const made =
      typeof sent === "string" ? new FakeTransceiver(sent, init, null) : new FakeTransceiver(sent.kind, init, sent);
    this.transceivers.push(made);
    return made;
  }

  setLocalDescription(...given: unknown[]): Promise<void> {
    // What the browser makes itself is what it is told.
    expect(given).toEqual([]);
    this.transceivers.forEach((transceiver, at) => (transceiver.mid = `m${at}`));
    this.offers += 1;
    this.localDescription = { type: "offer", sdp: `v=0 ${this.offers}\r\na=rtpmap:111 opus/48000/2\r\n` };
    return Promise.resolve();
  }
}

/** Reads these members alone, as a browser reads a dictionary. */
function picked(from: object, names: ReadonlySet<string>): Record<string, unknown> {
  return Object.fromEntries([...names].map((name) => [name, (from as Record<string, unknown>)[name]]));
}

const CONSTRAINED = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
const H264 = [
  "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f",
  CONSTRAINED,
  "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f",
  "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f",
];
const PROFILE_0 = ["video/VP9 profile-id=0", "video/AV1 level-idx=5;profile=0;tier=0"];
const DIRECT = { iceServers: [], relayOnly: false };

beforeEach(() => {
  const named = (...names: string[]) => names.map((mimeType) => ({ mimeType }));
  const offered = {
    video: [
      // Safari has H.264 first.
      ...H264.map((sdpFmtpLine) => ({ mimeType: "video/H264", sdpFmtpLine })),
      { mimeType: "video/VP9", sdpFmtpLine: "profile-id=2" },
      { mimeType: "video/VP9", sdpFmtpLine: "profile-id=0" },
      { mimeType: "video/AV1", sdpFmtpLine: "level-idx=5;profile=1;tier=0" },
      { mimeType: "video/AV1", sdpFmtpLine: "level-idx=5;profile=0;tier=0" },
      ...named("video/rtx", "video/VP8", "video/red"),
    ],
    audio: named("audio/red", "audio/opus", "audio/PCMU"),
  };
  FakeConnection.knows = new Set(["scalabilityMode"]);
  FakeConnection.refuses = new Set();
  vi.stubGlobal("RTCPeerConnection", FakeConnection);
  vi.stubGlobal("RTCRtpReceiver", {
    getCapabilities: (media: "video" | "audio") => ({ codecs: offered[media] }),
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
});

describe("the one offer", () => {
  it("has the sources first and then the slots, each named by its m-line", async () => {
    const peer = new LessonPeer(SOURCE_KINDS, { pairs: 2, voices: 1 }, {}, DIRECT, vi.fn());
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
    new LessonPeer(["mic"], { pairs: 0, voices: 0 }, {}, DIRECT, vi.fn());
    expect(FakeConnection.last.configuration).toEqual({
      bundlePolicy: "max-bundle",
      rtcpMuxPolicy: "require",
      iceServers: [],
      iceTransportPolicy: "all",
    });
  });

  it("goes by the servers it is given, and by a relay alone where that is wanted", () => {
    new LessonPeer(["mic"], { pairs: 0, voices: 0 }, {}, { iceServers: [TURN], relayOnly: true }, vi.fn());
    expect(FakeConnection.last.configuration).toMatchObject({ iceServers: [TURN], iceTransportPolicy: "relay" });
  });

  it("has three layers of the camera, the high one first, and one of the rest", () => {
    new LessonPeer(SOURCE_KINDS, { pairs: 1, voices: 0 }, {}, DIRECT, vi.fn());
    const encodings = FakeConnection.last.transceivers.map(({ init }) => init.sendEncodings);
    expect(encodings[0]?.map(({ rid, scaleResolutionDownBy }) => [rid, scaleResolutionDownBy])).toEqual([
      ["h", 1],
      ["m", 2],
      ["l", 4],
    ]);
    expect(encodings.slice(1).map((each) => each?.length)).toEqual([1, 1, ...Array<undefined>(4).fill(undefined)]);
  });

  it("codes every picture that is sent in three temporal levels", () => {
    new LessonPeer(SOURCE_KINDS, { pairs: 1, voices: 0 }, {}, DIRECT, vi.fn());
    const encodings = FakeConnection.last.transceivers.flatMap(({ init }) => init.sendEncodings ?? []);
    expect(encodings.map((each) => picked(each, FakeConnection.knows))).toEqual(
      Array(5).fill({ scalabilityMode: "L1T3" }),
    );
  });

  it("sends pictures without levels where the browser refuses them", () => {
    FakeConnection.refuses.add("L1T3");
    const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    new LessonPeer(["camera", "screen"], { pairs: 0, voices: 0 }, {}, DIRECT, vi.fn());
    expect(FakeConnection.last.transceivers.map(({ init }) => init.sendEncodings)).toEqual([
      [
        { rid: "h", scaleResolutionDownBy: 1 },
        { rid: "m", scaleResolutionDownBy: 2 },
        { rid: "l", scaleResolutionDownBy: 4 },
      ],
      [{}],
    ]);
    expect(warn).toHaveBeenCalledTimes(2);
  });

  it("sends what every browser decodes, and takes all that anybody sends", () => {
    new LessonPeer(["camera", "screen", "mic"], { pairs: 1, voices: 1 }, {}, DIRECT, vi.fn());
    const sent = ["video/VP8", `video/H264 ${CONSTRAINED}`, "video/rtx"];
    const taken = ["video/VP8", `video/H264 ${CONSTRAINED}`, ...PROFILE_0, "video/rtx"];
    const voice = ["audio/opus", "audio/red"];
    expect(FakeConnection.last.transceivers.map(({ codecs }) => codecs)).toEqual([
      sent,
      sent,
      ["audio/opus"],
      taken,
      voice,
      voice,
    ]);
  });

  it("offers screen and document in every codec where the browser lets the page choose one", async () => {
    FakeConnection.knows.add("codec");
    const peer = new LessonPeer(SOURCE_KINDS, { pairs: 0, voices: 0 }, {}, DIRECT, vi.fn());
    const every = [...PROFILE_0, "video/VP8", `video/H264 ${CONSTRAINED}`, "video/rtx"];
    const [camera, document, screen] = FakeConnection.last.transceivers.map(({ codecs }) => codecs);
    expect([document, screen]).toEqual([every, every]);
    expect(camera).toHaveLength(3);
    expect((await peer.offer()).sources.map(({ kind, changes_codec }) => [kind, changes_codec])).toEqual([
      ["camera", undefined],
      ["document", true],
      ["screen", true],
      ["mic", undefined],
      ["content", undefined],
    ]);
  });

  it("offers what the browser likes where it can't be told", () => {
    const choose = vi.spyOn(FakeTransceiver.prototype, "setCodecPreferences");
    const described = Object.getOwnPropertyDescriptor(FakeTransceiver.prototype, "setCodecPreferences");
    delete (FakeTransceiver.prototype as Partial<FakeTransceiver>).setCodecPreferences;
    try {
      new LessonPeer(["camera"], { pairs: 1, voices: 0 }, {}, DIRECT, vi.fn());
      expect(FakeConnection.last.transceivers).toHaveLength(3);
    } finally {
      Object.defineProperty(FakeTransceiver.prototype, "setCodecPreferences", described ?? {});
    }
    expect(choose).not.toHaveBeenCalled();
  });

  it("asks for the lost packets of each voice, and changes nothing else", () => {
    const video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\n";
    const audio = "m=audio 9 UDP/TLS/RTP/SAVPF 111 9\r\na=rtpmap:111 opus/48000/2\r\n";
    const rest = "a=rtcp-fb:111 transport-cc\r\na=rtpmap:9 G722/8000\r\n";
    const asking = `${audio}a=rtcp-fb:111 nack\r\n${rest}`;
    expect(askingForVoices(video + audio + rest + audio + rest)).toBe(video + asking + asking);
  });

  it("holds only the granted kinds, with the tracks that are there", async () => {
    const camera = track("video");
    const peer = new LessonPeer(["camera", "mic"], { pairs: 0, voices: 0 }, { camera, screen: track("video") }, DIRECT, vi.fn());
    expect((await peer.offer()).sources.map(({ kind }) => kind)).toEqual(["camera", "mic"]);
    expect(FakeConnection.last.transceivers.map(({ sender }) => sender.track)).toEqual([camera, null]);
  });
});

describe("afterwards", () => {
  it("a source starts and stops by replacing its track", async () => {
    const screen = track("video");
    const peer = new LessonPeer(["screen"], { pairs: 0, voices: 0 }, {}, DIRECT, vi.fn());
    const [transceiver] = FakeConnection.last.transceivers;
    await peer.send("screen", screen);
    expect(transceiver?.sender.track).toBe(screen);
    await peer.send("screen", screen);
    await peer.send("screen", null);
    expect(transceiver?.sender.track).toBeNull();
    expect(transceiver?.sender.replaceTrack).toHaveBeenCalledTimes(2);
    await expect(peer.send("document", screen)).resolves.toBeUndefined();
  });

  it("a source that can change is sent as another codec, once for each change", async () => {
    FakeConnection.knows.add("codec");
    const peer = new LessonPeer(["camera", "screen"], { pairs: 0, voices: 0 }, {}, DIRECT, vi.fn());
    const [camera, screen] = FakeConnection.last.transceivers;
    for (const codec of ["vp9", "vp9", "vp8"]) await peer.sendAs("screen", codec);
    await peer.sendAs("camera", "vp9");
    await peer.sendAs("document", "vp9");
    expect(screen?.set).toEqual([
      [{ active: true, codec: { mimeType: "video/VP9" } }],
      [{ active: true, codec: { mimeType: "video/VP8" } }],
    ]);
    expect(camera?.set).toEqual([]);
  });

  it("a change that fails is tried again when it is asked for again", async () => {
    FakeConnection.knows.add("codec");
    const peer = new LessonPeer(["screen"], { pairs: 0, voices: 0 }, {}, DIRECT, vi.fn());
    await expect(peer.sendAs("screen", "av1")).rejects.toThrow("av1 was not agreed on");
    FakeConnection.refuses.add("setParameters");
    await expect(peer.sendAs("screen", "vp9")).rejects.toThrow("no");
    FakeConnection.refuses.clear();
    await peer.sendAs("screen", "vp9");
    expect(FakeConnection.last.transceivers[0]?.set).toHaveLength(2);
  });

  it("where the browser has no choice of codecs, none is made", async () => {
    const peer = new LessonPeer(["screen"], { pairs: 0, voices: 0 }, {}, DIRECT, vi.fn());
    await peer.sendAs("screen", "vp9");
    expect(FakeConnection.last.transceivers[0]?.set).toEqual([]);
  });

  it("ICE restarts with fresh servers and the same m-lines", async () => {
    const peer = new LessonPeer(["mic"], { pairs: 1, voices: 0 }, {}, DIRECT, vi.fn());
    await peer.offer();
    await peer.accept("v=0 answer");
    const { transceivers } = FakeConnection.last;
    const mids = transceivers.map(({ mid }) => mid);
    expect(await peer.restartOffer({ iceServers: [TURN], relayOnly: false })).toBe(
      "v=0 2\r\na=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 nack\r\n",
    );
    expect(FakeConnection.last.restartIce).toHaveBeenCalledOnce();
    expect(FakeConnection.last.configuration).toMatchObject({ iceServers: [TURN], bundlePolicy: "max-bundle" });
    expect(FakeConnection.last.transceivers.map(({ mid }) => mid)).toEqual(mids);
    await peer.accept("v=0 another answer");
    expect(FakeConnection.last.setRemoteDescription).toHaveBeenLastCalledWith({ type: "answer", sdp: "v=0 another answer" });
  });

  it("what is received keeps its tracks", () => {
    const peer = new LessonPeer([], { pairs: 1, voices: 1 }, {}, DIRECT, vi.fn());
    const tracks = FakeConnection.last.transceivers.map(({ receiver }) => receiver.track);
    expect(peer.received).toEqual([
      { index: 0, picture: tracks[0], voice: tracks[1] },
      { index: 1, picture: null, voice: tracks[2] },
    ]);
  });

  it("a closed peer says nothing more", () => {
    const changed = vi.fn();
    const peer = new LessonPeer([], { pairs: 0, voices: 0 }, {}, DIRECT, changed);
    FakeConnection.last.connectionState = "connected";
    FakeConnection.last.onconnectionstatechange?.();
    expect(changed).toHaveBeenCalledExactlyOnceWith("connected");
    peer.close();
    expect(FakeConnection.last.onconnectionstatechange).toBeNull();
    expect(FakeConnection.last.close).toHaveBeenCalledOnce();
  });
});
