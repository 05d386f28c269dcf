import { describe, expect, it } from "vitest";
import { readServerMessage } from "../../src/protocol/messages";
import { CONTACT, HOME_YOU, LESSON, member, play, TURN } from "../support";

const WELCOME = {
  type: "welcome",
  re: 1,
  version: 1,
  endpoint: "e1",
  lesson: LESSON,
  you: HOME_YOU,
  slots: { pairs: 5, voices: 2 },
  resume: "secret",
  iceServers: [TURN, { urls: ["stun:relay.example:3478"] }],
  contact: CONTACT,
};
const SNAPSHOT = {
  lesson: LESSON,
  members: [member("a")],
  slots: [play(0, "a"), play(1, null)],
  codecs: { screen: "vp9" },
  revision: 4,
};

function read(message: unknown): unknown {
  return readServerMessage(JSON.stringify(message));
}

describe("a message of the server", () => {
  it.each([
    WELCOME,
    { ...WELCOME, contact: null },
    { type: "resumed", re: 1, endpoint: "e1", lesson: LESSON, joined: true, snapshot: SNAPSHOT, resume: "s", iceServers: [] },
    { type: "joined", re: 2, answer: "v=0", sources: ["camera", "mic"], snapshot: SNAPSHOT, iceServers: [TURN] },
    { type: "restarted", re: 3, answer: "v=0", iceServers: [] },
    { type: "snapshot", ...SNAPSHOT },
    { type: "lesson", lesson: { ...LESSON, state: "ended", recording: "failed" } },
    { type: "members", changed: [member("a", { room: "204", label: "8B" })], gone: ["b"], revision: 5 },
    { type: "slots", slots: [play(0, "a", "screen")], revision: 6 },
    { type: "codecs", codecs: { document: "vp8", screen: "av1" } },
    { type: "done", re: 3 },
    { type: "error", re: 4, code: "not-granted", text: "no", fatal: false },
  ])("is read as it is: $type", (message) => {
    expect(read(message)).toEqual(message);
  });

  it("may have fields that are not known here", () => {
    expect(read({ ...WELCOME, weather: "snow" })).toEqual(WELCOME);
  });

  it("may name sources that are not known here, where they are listed", () => {
    const you = { ...HOME_YOU, publish: ["camera", "hologram", "mic"] };
    expect(read({ ...WELCOME, you })).toEqual(WELCOME);
  });

  it("may give codecs to sources that are not known here", () => {
    const codecs = { hologram: "vp9", screen: "vp8" };
    expect(read({ type: "codecs", codecs })).toEqual({ type: "codecs", codecs: { screen: "vp8" } });
  });

  it("of an unknown type is passed over", () => {
    expect(read({ type: "floor", site: "Iisalmi" })).toBeNull();
  });
});

describe("a malformed message is refused", () => {
  it.each([
    ["no object", 7],
    ["a list", [WELCOME]],
    ["no type", { re: 1 }],
    ["re is no number", { type: "done", re: "1" }],
    ["re is negative", { type: "done", re: -1 }],
    ["no secret", { ...WELCOME, resume: undefined }],
    ["servers that are names", { ...WELCOME, iceServers: ["turn:relay.example"] }],
    ["half a contact", { ...WELCOME, contact: { text: "" } }],
    ["a recording in words", { ...WELCOME, lesson: { ...LESSON, recording: "yes" } }],
    ["away unsaid", { type: "members", changed: [{ ...member("a"), away: undefined }], gone: [], revision: 1 }],
    ["no lesson", { ...WELCOME, lesson: undefined }],
    ["a state that does not exist", { ...WELCOME, lesson: { ...LESSON, state: "paused" } }],
    ["a role that does not exist", { ...WELCOME, you: { ...HOME_YOU, role: "ghost" } }],
    ["room is a number", { ...WELCOME, you: { ...HOME_YOU, room: 204 } }],
    ["half a slot", { ...WELCOME, slots: { pairs: 5.5, voices: 2 } }],
    ["members is no list", { type: "members", changed: {}, gone: [], revision: 1 }],
    ["a head count in words", { type: "members", changed: [{ ...member("a"), headcount: "two" }], gone: [], revision: 1 }],
    ["sources that are not flags", { type: "members", changed: [{ ...member("a"), sources: { mic: 1 } }], gone: [], revision: 1 }],
    ["no revision", { type: "slots", slots: [] }],
    ["a play without an index", { type: "slots", slots: [{ picture: null, voice: null }], revision: 1 }],
    ["a picture without a kind", { type: "slots", slots: [{ index: 0, picture: { endpoint: "a" }, voice: null }], revision: 1 }],
    ["codecs that are a list", { type: "codecs", codecs: [["screen", "vp9"]] }],
    ["a codec that is a number", { type: "codecs", codecs: { screen: 98 } }],
    ["a snapshot without codecs", { type: "snapshot", ...SNAPSHOT, codecs: undefined }],
    ["fatal in words", { type: "error", code: "internal", text: "", fatal: "yes" }],
  ])("%s", (_, message) => {
    expect(() => read(message)).toThrow(/is not/);
  });

  it("not JSON", () => {
    expect(() => readServerMessage("{")).toThrow(SyntaxError);
  });
});
