import { describe, expect, it } from "vitest";
import { INITIAL_STATE, isOver, type LessonEvent, type LessonState, otherMembers, reduce, waitsForTeacher } from "../../src/lesson/state";
import type { Joined, Resumed, ServerMessage, Welcome } from "../../src/protocol/messages";
import type { Member } from "../../src/protocol/values";
import { CONTACT, HOME_YOU, LESSON, member, play, TEACHER_YOU, WAITING } from "../support";

const ME = member("me");

function after(events: readonly (LessonEvent | ServerMessage)[], from: LessonState = INITIAL_STATE): LessonState {
  return events.reduce((state: LessonState, event) => reduce(state, isEvent(event) ? event : { type: "server", message: event }), from);
}

const EVENTS = new Set(["lost", "displaced", "restored", "retrying", "stopped", "wanted", "joining", "refused", "media", "left", "server"]);
function isEvent(event: LessonEvent | ServerMessage): event is LessonEvent {
  return EVENTS.has(event.type);
}

const WELCOME: Welcome = {
  type: "welcome",
  version: 1,
  endpoint: "me",
  lesson: WAITING,
  you: HOME_YOU,
  slots: { pairs: 5, voices: 2 },
  resume: "secret",
  iceServers: [],
  contact: CONTACT,
};
const JOINED: Joined = {
  type: "joined",
  answer: "v=0",
  sources: ["camera", "mic"],
  snapshot: { lesson: LESSON, members: [member("a"), ME], slots: [play(0, "a")], codecs: {}, revision: 10 },
  iceServers: [],
};
const INSIDE = after([WELCOME, { type: "wanted" }, { type: "joining" }, JOINED]);

describe("the way in", () => {
  it("goes from nothing to the lesson", () => {
    expect(after([WELCOME])).toMatchObject({ line: { state: "open" }, you: HOME_YOU, lesson: WAITING });
    expect(after([WELCOME, { type: "wanted" }]).presence).toBe("wanted");
    expect(INSIDE).toMatchObject({ presence: "inside", entered: true, lesson: LESSON, revision: 10 });
    expect(otherMembers(INSIDE).map((each) => each.endpoint)).toEqual(["a"]);
  });

  it("is refused with words, and can be tried again", () => {
    const refused = after([WELCOME, { type: "wanted" }, { type: "joining" }, { type: "refused", code: "lesson-full" }]);
    expect(refused).toMatchObject({ presence: "outside", problem: "lesson-full", media: "none" });
    expect(reduce(refused, { type: "wanted" }).problem).toBeNull();
  });
});

describe("news", () => {
  it("of members keep the order in which they came", () => {
    const state = after(
      [
        { type: "members", changed: [member("b")], gone: [], revision: 11 },
        { type: "members", changed: [member("a", { headcount: 14 })], gone: [], revision: 12 },
        { type: "members", changed: [member("c")], gone: ["b"], revision: 13 },
      ],
      INSIDE,
    );
    expect(state.members.map((each) => each.endpoint)).toEqual(["a", "me", "c"]);
    expect(state.members[0]?.headcount).toBe(14);
  });

  it("that are older than what is known change nothing", () => {
    for (const stale of [
      { type: "members", changed: [], gone: ["a"], revision: 9 },
      { type: "slots", slots: [], revision: 9 },
      { type: "snapshot", lesson: LESSON, members: [], slots: [], codecs: {}, revision: 9 },
    ] as const) {
      expect(after([stale], INSIDE)).toBe(INSIDE);
    }
  });

  it("of one change may come as two messages", () => {
    const state = after(
      [
        { type: "members", changed: [member("b")], gone: [], revision: 11 },
        { type: "slots", slots: [play(0, "a"), play(1, "b")], revision: 11 },
      ],
      INSIDE,
    );
    expect(state.plays).toHaveLength(2);
  });

  it("from a server that counts anew are taken after a new welcome", () => {
    const again: Joined = { ...JOINED, snapshot: { ...JOINED.snapshot, revision: 1 } };
    expect(after([{ type: "lost", attempt: 1, code: null, keeps: false }, WELCOME, again], INSIDE).revision).toBe(1);
  });
});

describe("a lost line", () => {
  const lost = after([{ type: "lost", attempt: 1, code: null, keeps: false }], INSIDE);

  it("keeps the place in the lesson, and shows nobody", () => {
    expect(lost).toMatchObject({ presence: "wanted", entered: true, line: { state: "returning", attempt: 1 } });
    expect(lost.members).toEqual([]);
    expect(lost.plays).toEqual([]);
  });

  it("keeps its words while it is tried again, until it is back", () => {
    expect(after([{ type: "retrying" }], lost).line.state).toBe("returning");
    expect(after([{ type: "retrying" }, WELCOME], lost)).toMatchObject({ line: { state: "open" }, presence: "wanted" });
  });

  it("goes on saying why, while attempts fail without a word", () => {
    const again: LessonEvent[] = [
      { type: "lost", attempt: 1, code: "server-stopping", keeps: false },
      { type: "retrying" },
      { type: "lost", attempt: 2, code: null, keeps: false },
    ];
    expect(after(again, INSIDE).line).toEqual({ state: "returning", attempt: 2, code: "server-stopping" });
    expect(after([...again, WELCOME, { type: "lost", attempt: 1, code: null, keeps: false }], INSIDE).line).toMatchObject({ code: null });
  });

  it("of one that had not joined stays outside", () => {
    expect(after([WELCOME, { type: "lost", attempt: 1, code: "server-stopping", keeps: false }])).toMatchObject({
      presence: "outside",
      entered: false,
      line: { state: "returning", code: "server-stopping" },
    });
  });
});

describe("a line that is lost while media goes on", () => {
  const lost = after([{ type: "lost", attempt: 1, code: null, keeps: true }], INSIDE);
  const RESUMED: Resumed = {
    type: "resumed",
    endpoint: "me",
    lesson: LESSON,
    joined: true,
    snapshot: { lesson: LESSON, members: [member("b"), ME], slots: [play(1, "b")], codecs: {}, revision: 3 },
    resume: "next",
    iceServers: [],
  };

  it("changes nothing but the line", () => {
    expect(lost).toEqual({ ...INSIDE, line: { state: "returning", attempt: 1, code: null } });
  });

  it("is resumed with the whole state, also of a server that counts anew", () => {
    expect(after([RESUMED], lost)).toMatchObject({
      line: { state: "open" },
      presence: "inside",
      members: [member("b"), ME],
      plays: [play(1, "b")],
      revision: 3,
    });
  });

  it("that can't be resumed goes back to where the press still counts", () => {
    expect(after([{ type: "displaced" }], lost)).toMatchObject({ presence: "wanted", entered: true, members: [], media: "none" });
    expect(after([{ ...RESUMED, joined: false }], lost)).toMatchObject({ presence: "wanted", line: { state: "open" } });
  });
});

describe("a page that was reloaded", () => {
  it("inside wants to be there again, and knows whom to call", () => {
    const state = after([{ type: "restored", contact: CONTACT, inside: true }]);
    expect(state).toMatchObject({ presence: "wanted", entered: true, contact: CONTACT });
    expect(after([{ type: "restored", contact: null, inside: false }])).toEqual(INITIAL_STATE);
  });
});

describe("a lesson waits for its teacher", () => {
  const teacher = member("t", { teaches: true });
  const news = (changed: Member[], gone: string[] = []): ServerMessage => ({ type: "members", changed, gone, revision: 11 });

  it.each([
    ["there", [news([teacher])], false, true],
    ["away", [news([{ ...teacher, away: true }])], true, true],
    ["gone", [news([teacher]), news([], ["t"])], true, true],
    ["never seen", [], true, false],
    ["one of two away", [news([{ ...teacher, away: true }, member("t2", { teaches: true })])], false, true],
  ])("who is %s", (_, events, waits, taught) => {
    const state = after(events, INSIDE);
    expect(waitsForTeacher(state)).toBe(waits);
    expect(state.taught).toBe(taught);
  });

  it("but not a teacher's own page, nor one that is not inside", () => {
    expect(waitsForTeacher({ ...INSIDE, you: TEACHER_YOU })).toBe(false);
    expect(waitsForTeacher({ ...INSIDE, presence: "wanted" })).toBe(false);
    expect(waitsForTeacher({ ...INSIDE, lesson: WAITING })).toBe(false);
  });
});

describe("the end", () => {
  const fatal = (code: string): ServerMessage => ({ type: "error", code, text: "", fatal: true });

  it.each([
    ["the lesson ended", [{ type: "lesson", lesson: { ...LESSON, state: "ended" } }]],
    ["it had ended", [fatal("lesson-ended")]],
    ["the token expired", [fatal("token-expired")]],
    ["the server is full", [fatal("server-full")]],
    ["another page took its place", [fatal("replaced")]],
    ["left", [{ type: "left" }]],
  ] satisfies [string, (LessonEvent | ServerMessage)[]][])("%s: nothing comes back by itself", (_, events) => {
    const over = after(events, INSIDE);
    expect(isOver(over)).toBe(true);
    expect(after([{ type: "lost", attempt: 1, code: null, keeps: false }, { type: "retrying" }], over)).toBe(over);
  });

  it("is not what a stopping server means", () => {
    expect(isOver(after([fatal("server-stopping")], INSIDE))).toBe(false);
  });

  it("of a code that is not known is not for good", () => {
    expect(isOver(after([fatal("code-of-next-year")], INSIDE))).toBe(false);
  });

  it("leaves a refusal that is not fatal to whoever asked", () => {
    const refusal: ServerMessage = { type: "error", code: "not-granted", text: "", fatal: false };
    expect(after([refusal], INSIDE)).toBe(INSIDE);
  });
});
