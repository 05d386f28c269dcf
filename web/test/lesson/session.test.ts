import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LessonSession } from "../../src/lesson/session";
import { LocalMedia } from "../../src/media/devices";
import { FakePeer, FakeSocket, HOME_YOU, LESSON, member, play, settled, stream, TEACHER_YOU, track, WAITING } from "../support";

let sockets: FakeSocket[];
let peers: FakePeer[];
let local: LocalMedia;
let session: LessonSession;
const screen = track("video");
const camera = track("video");
const mic = track("audio");

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
  sockets = [];
  peers = [];
  local = new LocalMedia({
    mediaDevices: {
      getUserMedia: (wanted) =>
        Promise.resolve(stream(...(wanted?.video ? [camera] : []), ...(wanted?.audio ? [mic] : []))),
      getDisplayMedia: () => Promise.resolve(stream(screen)),
    },
  });
  session = new LessonSession("the-token", {
    local,
    openSocket: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket;
    },
    createPeer: (...parts) => {
      const peer = new FakePeer(...parts);
      peers.push(peer);
      return peer.asPeer();
    },
    random: () => 0,
  });
  session.start();
});
afterEach(() => {
  session.dispose();
  vi.useRealTimers();
});

const PRESENTATION = { label: "8B", headcount: 14 };

function server(): FakeSocket {
  const socket = sockets.at(-1);
  if (socket === undefined) throw new Error("no connection was opened");
  return socket;
}

function peer(): FakePeer {
  const made = peers.at(-1);
  if (made === undefined) throw new Error("no peer was made");
  return made;
}

async function inside(you = HOME_YOU): Promise<void> {
  server().open();
  server().welcome(you, LESSON);
  session.join(PRESENTATION);
  await settled();
  server().joined(you, [member("a")], [play(0, "a")]);
  await settled();
}

describe("the way in", () => {
  it("says hello with the token, and joins when asked", async () => {
    server().open();
    expect(server().last("hello")).toMatchObject({ version: 1, token: "the-token" });
    server().welcome(HOME_YOU, LESSON);
    await settled();
    expect(server().count("join")).toBe(0);
    session.join(PRESENTATION);
    await settled();
    expect(server().last("join")).toMatchObject({
      label: "8B",
      headcount: 14,
      offer: "v=0 offer",
      sources: [
        { kind: "camera", mid: "0" },
        { kind: "mic", mid: "1" },
      ],
    });
    server().joined(HOME_YOU, [member("a")], [play(0, "a")]);
    await settled();
    expect(peer().answer).toBe("v=0");
    expect(session.state).toMatchObject({ presence: "inside", plays: [play(0, "a")] });
    expect(session.peer?.received).toHaveLength(7);
  });

  it("leaves an empty label out", async () => {
    server().open();
    server().welcome(HOME_YOU, LESSON);
    session.join({ label: null, headcount: 1 });
    await settled();
    expect(server().last("join")).not.toHaveProperty("label");
  });

  it("waits for the teacher when pressed early, and can be taken back", async () => {
    server().open();
    server().welcome(HOME_YOU, WAITING);
    session.join(PRESENTATION);
    session.cancelJoin();
    server().say({ type: "lesson", lesson: LESSON });
    await settled();
    expect(server().count("join")).toBe(0);
    session.join(PRESENTATION);
    await settled();
    expect(server().count("join")).toBe(1);
  });

  it("joins by itself when the lesson goes live", async () => {
    server().open();
    server().welcome(HOME_YOU, WAITING);
    session.join(PRESENTATION);
    await settled();
    expect(server().count("join")).toBe(0);
    server().say({ type: "lesson", lesson: LESSON });
    await settled();
    expect(server().count("join")).toBe(1);
  });

  it("goes on waiting when the server finds it not open", async () => {
    server().open();
    server().welcome(HOME_YOU, LESSON);
    session.join(PRESENTATION);
    await settled();
    server().say({ type: "error", re: server().last("join").id, code: "lesson-not-open", text: "", fatal: false });
    await settled();
    expect(session.state).toMatchObject({ presence: "wanted", problem: null });
    expect(peer().closed).toBe(true);
    server().say({ type: "lesson", lesson: LESSON });
    await settled();
    expect(server().count("join")).toBe(2);
  });

  it("ends with words when the join is refused", async () => {
    server().open();
    server().welcome(HOME_YOU, LESSON);
    session.join(PRESENTATION);
    await settled();
    server().say({ type: "error", re: server().last("join").id, code: "sdp-invalid", text: "", fatal: false });
    await settled();
    expect(session.state).toMatchObject({ presence: "outside", problem: "sdp-invalid" });
    expect(peer().closed).toBe(true);
    expect(session.peer).toBeNull();
  });
});

describe("what is sent", () => {
  it("starts with the devices there are, and the server hears which are not", async () => {
    await local.acquire({ camera: false, mic: true });
    await inside();
    expect(peer().sending.get("mic")).toBe(mic);
    expect(server().sent.filter((message) => message.type === "source")).toEqual([
      expect.objectContaining({ kind: "camera", on: false }),
    ]);
  });

  it("follows the switches", async () => {
    await local.acquire({ camera: true, mic: true });
    await inside();
    expect(server().count("source")).toBe(0);
    await local.setMic(false);
    await settled();
    expect(server().last("source")).toMatchObject({ kind: "mic", on: false });
    expect(mic.enabled).toBe(false);
    await local.setCamera(false);
    await settled();
    expect(server().last("source")).toMatchObject({ kind: "camera", on: false });
    expect(peer().sending.get("camera")).toBeNull();
    await local.setMic(true);
    await settled();
    expect(server().last("source")).toMatchObject({ kind: "mic", on: true });
  });

  it("is a shared screen, until its sharing ends", async () => {
    await local.acquire({ camera: true, mic: true });
    await inside(TEACHER_YOU);
    await local.shareScreen();
    await settled();
    expect(peer().sending.get("screen")).toBe(screen);
    expect(server().last("source")).toMatchObject({ kind: "screen", on: true });
    screen.onended?.(new Event("ended"));
    await settled();
    expect(peer().sending.get("screen")).toBeNull();
    expect(server().last("source")).toMatchObject({ kind: "screen", on: false });
  });

  it("begins with what was switched on while the join was under way", async () => {
    server().open();
    server().welcome(HOME_YOU, LESSON);
    session.join(PRESENTATION);
    await local.acquire({ camera: true, mic: true });
    await settled();
    server().joined(HOME_YOU, [], []);
    await settled();
    expect(peer().sending.get("camera")).toBe(camera);
    expect(server().count("source")).toBe(0);
  });
});

describe("a lost line", () => {
  it("is mended by a new hello and a new join", async () => {
    await inside();
    const before = peer();
    server().drop();
    expect(session.state).toMatchObject({ line: { state: "returning", attempt: 1 }, presence: "wanted" });
    expect(before.closed).toBe(true);
    await vi.advanceTimersByTimeAsync(1000);
    expect(sockets).toHaveLength(2);
    await inside();
    expect(server().last("join")).toMatchObject({ label: "8B", headcount: 14 });
    expect(session.state).toMatchObject({ presence: "inside", line: { state: "open" } });
    expect(session.peer).not.toBe(before);
  });

  it("is tried again with growing waits, and at once when asked", async () => {
    await inside();
    for (const wait of [1000, 2000, 4000]) {
      server().drop();
      const opened = sockets.length;
      await vi.advanceTimersByTimeAsync(wait - 1);
      expect(sockets).toHaveLength(opened);
      await vi.advanceTimersByTimeAsync(1);
      expect(sockets).toHaveLength(opened + 1);
    }
    server().drop();
    const opened = sockets.length;
    session.tryNow();
    expect(sockets).toHaveLength(opened + 1);
  });

  it("is noticed when nobody welcomes", async () => {
    server().open();
    await vi.advanceTimersByTimeAsync(8000);
    expect(session.state.line).toMatchObject({ state: "returning", code: "no-answer" });
    expect(sockets[0]?.closedWith).toBe(1000);
  });

  it("may be that of the media alone", async () => {
    await inside();
    peer().changed("connected");
    expect(session.state.media).toBe("connected");
    peer().changed("disconnected");
    expect(session.state.media).toBe("shaky");
    peer().changed("failed");
    expect(session.state).toMatchObject({ line: { state: "returning", code: "media-failed" }, entered: true });
    expect(server().closedWith).toBe(1000);
  });

  it("is not what an old peer says", async () => {
    await inside();
    const before = peer();
    server().drop();
    await vi.advanceTimersByTimeAsync(1000);
    await inside();
    before.changed("failed");
    expect(session.state.line.state).toBe("open");
  });

  it("with a stopping server comes back, and says why it is away", async () => {
    await inside();
    server().say({ type: "error", code: "server-stopping", text: "", fatal: true });
    expect(session.state.line).toEqual({ state: "returning", attempt: 1, code: "server-stopping" });
    await vi.advanceTimersByTimeAsync(1000);
    expect(sockets).toHaveLength(2);
  });

  it("loses a message that can't be read, and begins again", async () => {
    await inside();
    server().sayRaw("{");
    await vi.advanceTimersByTimeAsync(1000);
    expect(sockets).toHaveLength(2);
  });
});

describe("the end", () => {
  it("for all lets go of the devices and does not come back", async () => {
    await local.acquire({ camera: true, mic: true });
    await inside();
    server().say({ type: "lesson", lesson: { ...LESSON, state: "ended" } });
    server().drop(1000);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sockets).toHaveLength(1);
    expect(session.state.lesson?.state).toBe("ended");
    expect(peer().closed).toBe(true);
    expect([camera.readyState, mic.readyState]).toEqual(["ended", "ended"]);
  });

  it("by an expired token stops, until somebody presses", async () => {
    server().open();
    server().say({ type: "error", re: server().last("hello").id, code: "token-expired", text: "", fatal: true });
    server().drop(4000);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sockets).toHaveLength(1);
    expect(session.state.line).toEqual({ state: "stopped", code: "token-expired" });
    session.comeBack();
    expect(sockets).toHaveLength(2);
    expect(session.state.line.state).toBe("connecting");
  });

  it("by leaving tells the server, and can be undone", async () => {
    await inside();
    session.leave();
    expect(server().count("leave")).toBe(1);
    expect(peer().closed).toBe(true);
    server().drop(1000);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sockets).toHaveLength(1);
    expect(session.state.line.state).toBe("left");
    session.comeBack();
    await inside();
    expect(session.state.presence).toBe("inside");
  });
});

it("a refused request says why", async () => {
  server().open();
  server().welcome(HOME_YOU, LESSON);
  const refused = session.end();
  server().say({ type: "error", re: server().last("end").id, code: "not-granted", text: "", fatal: false });
  await expect(refused).rejects.toMatchObject({ code: "not-granted" });
});
