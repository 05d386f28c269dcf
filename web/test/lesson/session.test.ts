import { describe, expect, it, vi } from "vitest";
import { HOME_YOU, LESSON, member, play, settled, TEACHER_YOU, WAITING } from "../support";
import {
  camera,
  inside,
  local,
  mic,
  peer,
  PRESENTATION,
  screen,
  server,
  session,
  sockets,
  beginWithFreshPage,
} from "./page";

beginWithFreshPage();

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

  it("is what the server asks for, where it can be sent as several", async () => {
    server().open();
    server().welcome(TEACHER_YOU, LESSON);
    session.join(PRESENTATION);
    await settled();
    server().joined(TEACHER_YOU, [], [], { document: "vp9", screen: "vp9" });
    await settled();
    expect(peer().sentAs).toEqual(["document vp9", "screen vp9"]);
    server().say({ type: "codecs", codecs: { document: "vp9", screen: "vp8" } });
    await settled();
    expect(peer().sentAs.slice(2)).toEqual(["document vp9", "screen vp8"]);
    expect(session.state.codecs).toEqual({ document: "vp9", screen: "vp8" });
  });

  it("goes on where the browser refuses the codec", async () => {
    await inside(TEACHER_YOU);
    server().say({ type: "codecs", codecs: { screen: "refused" } });
    await local.shareScreen();
    await settled();
    expect(peer().sentAs).toContain("screen refused");
    expect(server().last("source")).toMatchObject({ kind: "screen", on: true });
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
