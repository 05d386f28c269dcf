import { describe, expect, it, vi } from "vitest";
import { CONTACT, HOME_YOU, LESSON, member, play, settled, TURN } from "../support";
import {
  asked,
  askInVain,
  camera,
  channel,
  inside,
  local,
  mic,
  peer,
  peers,
  PRESENTATION,
  reload,
  server,
  session,
  sockets,
  tab,
  beginWithFreshPage,
} from "./page";

beginWithFreshPage();

/** The line breaks, and the page is at once on another. */
async function dropAndReconnect(): Promise<void> {
  server().drop();
  await vi.advanceTimersByTimeAsync(0);
  server().open();
  await settled();
}

describe("a lost line", () => {
  it("is resumed at once while media goes on", async () => {
    await inside();
    peer().changed("connected");
    const before = session.peer;
    const { plays } = session.state;
    server().drop();
    expect(session.state).toMatchObject({ line: { state: "returning", attempt: 1 }, presence: "inside", plays });
    await vi.advanceTimersByTimeAsync(0);
    expect(sockets).toHaveLength(2);
    server().open();
    expect(server().last("hello")).toMatchObject({ token: "the-token", resume: "secret" });
    server().resumed(HOME_YOU, [member("b")], [play(1, "b")]);
    await settled();
    expect(session.state).toMatchObject({ line: { state: "open" }, presence: "inside", plays: [play(1, "b")] });
    expect(session.peer).toBe(before);
    expect(peer().closed).toBe(false);
    expect(server().count("join")).toBe(0);
  });

  it("is resumed with the newest secret", async () => {
    await inside();
    await dropAndReconnect();
    server().resumed(HOME_YOU, [], []);
    await settled();
    await dropAndReconnect();
    expect(server().last("hello")).toMatchObject({ resume: "secret-2" });
  });

  it("tells the server what was switched meanwhile, once it is back", async () => {
    await local.acquire({ camera: true, mic: true });
    await inside();
    server().drop();
    await local.setMic(false);
    await local.setCamera(false);
    await settled();
    expect(peer().sending.get("camera")).toBeNull();
    await vi.advanceTimersByTimeAsync(0);
    server().open();
    server().resumed(HOME_YOU, [], []);
    await settled();
    expect(server().sent.filter(({ type }) => type === "source")).toEqual([
      expect.objectContaining({ kind: "camera", on: false }),
      expect.objectContaining({ kind: "mic", on: false }),
    ]);
  });

  it("whose place is not kept any more begins anew on the same connection", async () => {
    await inside();
    const before = peer();
    await dropAndReconnect();
    server().refuse("hello", "resume-failed");
    await settled();
    expect(before.closed).toBe(true);
    expect(session.state).toMatchObject({ presence: "wanted", entered: true });
    expect(server().count("hello")).toBe(2);
    expect(server().last("hello")).not.toHaveProperty("resume");
    expect(server().last("hello")).not.toHaveProperty("replaces");
    server().welcome(HOME_YOU, LESSON);
    await settled();
    expect(server().last("join")).toMatchObject({ label: "8B", headcount: 14 });
    server().joined(HOME_YOU, [], []);
    await settled();
    expect(session.state).toMatchObject({ presence: "inside", line: { state: "open" } });
    expect(sockets).toHaveLength(2);
  });

  it("that was no more than a resumed stranger joins anew", async () => {
    await inside();
    const before = peer();
    await dropAndReconnect();
    server().resumed(HOME_YOU, [], [], { joined: false });
    await settled();
    expect(before.closed).toBe(true);
    expect(server().count("join")).toBe(1);
  });

  it("in the midst of a join replaces what that join may have become", async () => {
    server().open();
    server().welcome(HOME_YOU, LESSON);
    session.join(PRESENTATION);
    await settled();
    await dropAndReconnect();
    expect(peers[0]?.closed).toBe(true);
    expect(server().last("hello")).toMatchObject({ replaces: "secret" });
    server().welcome(HOME_YOU, LESSON);
    await settled();
    expect(server().count("join")).toBe(1);
  });

  it("is tried again with growing waits, and at once when asked", async () => {
    await inside();
    for (const wait of [0, 500, 1000, 2000, 4000]) {
      server().drop();
      const opened = sockets.length;
      if (wait > 0) {
        await vi.advanceTimersByTimeAsync(wait - 1);
        expect(sockets).toHaveLength(opened);
      }
      await vi.advanceTimersByTimeAsync(wait > 0 ? 1 : 0);
      expect(sockets).toHaveLength(opened + 1);
    }
    expect(peer().closed).toBe(false);
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

  it("with a stopping server comes back a little later, and says why it is away", async () => {
    await inside();
    server().say({ type: "error", code: "server-stopping", text: "", fatal: true });
    expect(session.state.line).toMatchObject({ state: "returning", code: "server-stopping" });
    await vi.advanceTimersByTimeAsync(999);
    expect(sockets).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(sockets).toHaveLength(2);
  });

  it("loses a message that can't be read, and begins from a whole state", async () => {
    await inside();
    server().sayRaw("{");
    await vi.advanceTimersByTimeAsync(0);
    expect(sockets).toHaveLength(2);
    server().open();
    expect(server().last("hello")).toHaveProperty("resume");
  });

  it("on another network is left for a new one, and media finds another path", async () => {
    await inside();
    peer().changed("connected");
    session.networkChanged();
    expect(sockets[0]?.closedWith).toBe(1000);
    await vi.advanceTimersByTimeAsync(0);
    expect(peer().restarts).toHaveLength(0);
    server().open();
    server().resumed(HOME_YOU, [], []);
    await settled();
    expect(peer().restarts).toHaveLength(1);
    expect(server().last("restart")).toMatchObject({ offer: "v=0 restart 1" });
  });
});

describe("media that fails", () => {
  it("is mended by an ICE restart over the same line, with the newest servers", async () => {
    await inside();
    expect(peer().route).toEqual({ iceServers: [TURN], relayOnly: false });
    peer().changed("connected");
    peer().changed("disconnected");
    expect(session.state.media).toBe("shaky");
    await vi.advanceTimersByTimeAsync(2000);
    expect(peer().restarts).toEqual([{ iceServers: [TURN], relayOnly: false }]);
    const fresh = { ...TURN, credential: "fresh" };
    server().say({ type: "restarted", re: server().last("restart").id, answer: "v=0 again", iceServers: [fresh] });
    await settled();
    expect(peer().answer).toBe("v=0 again");
    peer().changed("connected");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(session.state).toMatchObject({ media: "connected", presence: "inside", line: { state: "open" } });
    expect(peers).toHaveLength(1);
    peer().changed("failed");
    await settled();
    expect(session.state.media).toBe("down");
    expect(peer().restarts[1]).toMatchObject({ iceServers: [fresh] });
  });

  it("for fifteen seconds of restarts is left, and joined anew in the place of the old endpoint", async () => {
    await inside();
    peer().changed("failed");
    const before = peer();
    for (let second = 0; second < 15; second += 1) {
      await settled();
      const asking = server().sent.findLast(({ type }) => type === "restart");
      server().say({ type: "restarted", re: asking?.id, answer: "v=0", iceServers: [] });
      await vi.advanceTimersByTimeAsync(1000);
    }
    expect(before.closed).toBe(true);
    expect(session.state).toMatchObject({ line: { state: "returning", code: "media-failed" }, presence: "wanted" });
    await vi.advanceTimersByTimeAsync(1);
    server().open();
    expect(server().last("hello")).toMatchObject({ replaces: "secret" });
  });

  it("on a line that does not answer shows that the line is dead, too", async () => {
    await inside();
    peer().changed("failed");
    await settled();
    await vi.advanceTimersByTimeAsync(4001);
    expect(sockets).toHaveLength(2);
    expect(peer().closed).toBe(false);
    server().open();
    expect(server().last("hello")).toMatchObject({ resume: "secret" });
    server().resumed(HOME_YOU, [], []);
    await vi.advanceTimersByTimeAsync(1000);
    expect(server().count("restart")).toBe(1);
  });

  it("by the server's word is joined anew, not resumed", async () => {
    await inside();
    const before = peer();
    server().say({ type: "error", code: "media-failed", text: "", fatal: true });
    expect(before.closed).toBe(true);
    await vi.advanceTimersByTimeAsync(0);
    server().open();
    expect(server().last("hello")).not.toHaveProperty("resume");
  });

  it("is not what an old peer says", async () => {
    await inside();
    const before = peer();
    await dropAndReconnect();
    server().refuse("hello", "resume-failed");
    await settled();
    server().welcome(HOME_YOU, LESSON);
    await settled();
    server().joined(HOME_YOU, [], []);
    await settled();
    before.changed("failed");
    expect(session.state.media).toBe("connecting");
    expect(server().count("restart")).toBe(0);
  });
});

describe("a reload", () => {
  it("inside comes back in by itself, in the place of the page before", async () => {
    await local.acquire({ camera: true, mic: true });
    await inside();
    await local.setMic(false);
    reload();
    expect(session.state).toMatchObject({ presence: "wanted", entered: true, contact: CONTACT });
    server().open();
    expect(server().last("hello")).toMatchObject({ replaces: "secret" });
    server().welcome(HOME_YOU, LESSON, { resume: "secret-3" });
    await settled();
    expect(server().last("join")).toMatchObject({ label: "8B", headcount: 14 });
    // The camera was on and is there again; the microphone was off and nobody has asked for it.
    expect(asked).toEqual(["camera"]);
    expect(peer().sending.get("camera")).toBe(camera);
    expect(peer().sending.get("mic")).toBeNull();
    server().joined(HOME_YOU, [], []);
    await settled();
    expect(server().sent.filter(({ type }) => type === "source")).toEqual([
      expect.objectContaining({ kind: "mic", on: false }),
    ]);
    expect(tab.read()).toMatchObject({ resume: "secret-3", inside: true, devices: { camera: true, mic: false } });
  });

  it("does not wait for a question about the devices that stays open", async () => {
    await inside();
    askInVain();
    reload();
    server().open();
    server().welcome(HOME_YOU, LESSON);
    await settled();
    expect(server().count("join")).toBe(0);
    await vi.advanceTimersByTimeAsync(1500);
    expect(server().count("join")).toBe(1);
  });

  it("before the join stays before it, with what the form said", async () => {
    server().open();
    server().welcome(HOME_YOU, LESSON);
    await settled();
    reload();
    server().open();
    expect(server().last("hello")).toMatchObject({ replaces: "secret" });
    server().welcome(HOME_YOU, LESSON);
    await settled();
    expect(session.state).toMatchObject({ presence: "outside", entered: false });
    expect(server().count("join")).toBe(0);
    expect(asked).toEqual([]);
  });

  it.each([
    ["leaving", () => session.leave()],
    ["the end of the lesson", () => server().say({ type: "lesson", lesson: { ...LESSON, state: "ended" } })],
    ["an expired token", () => server().say({ type: "error", code: "token-expired", text: "", fatal: true })],
  ])("after %s does not go back in", async (_, over) => {
    await inside();
    over();
    expect(tab.read()).toMatchObject({ inside: false, resume: null, presentation: PRESENTATION });
    reload();
    expect(session.state.presence).toBe("outside");
    expect(session.presentation).toEqual(PRESENTATION);
    server().open();
    expect(server().last("hello")).not.toHaveProperty("replaces");
  });
});

describe("another page of the same place", () => {
  it("ends this one in words, until it takes its place back", async () => {
    await local.acquire({ camera: true, mic: true });
    await inside();
    await local.setCamera(false);
    server().say({ type: "error", code: "replaced", text: "", fatal: true });
    server().drop(4000);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sockets).toHaveLength(1);
    expect(session.state.line).toEqual({ state: "stopped", code: "replaced" });
    expect(peer().closed).toBe(true);
    expect(mic.readyState).toBe("ended");
    asked.length = 0;
    session.takeBack();
    expect(channel.posted).toEqual(["taken-back"]);
    server().open();
    server().welcome(HOME_YOU, LESSON);
    await settled();
    expect(asked).toEqual(["mic"]);
    expect(server().last("join")).toMatchObject({ label: "8B" });
  });

  it("that takes its place back ends this one", async () => {
    await local.acquire({ camera: true, mic: true });
    await inside();
    channel.hear("taken-back");
    expect(session.state.line).toEqual({ state: "stopped", code: "replaced" });
    expect(server().count("leave")).toBe(1);
    expect(server().closedWith).toBe(1000);
    expect([peer().closed, mic.readyState]).toEqual([true, "ended"]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sockets).toHaveLength(1);
  });

  it("that had not joined goes back to its form", async () => {
    server().open();
    server().say({ type: "error", re: server().last("hello").id, code: "replaced", text: "", fatal: true });
    session.takeBack();
    server().open();
    server().welcome(HOME_YOU, LESSON);
    await settled();
    expect(session.state.presence).toBe("outside");
    expect(server().count("join")).toBe(0);
  });
});
