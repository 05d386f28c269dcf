import { describe, expect, it } from "vitest";
import { arrange, type ArrangeInput, headcountOf } from "../../src/lesson/arrange";
import { member, play } from "../support";

const TEACHER = member("t", { role: "kiosk", teaches: true });
const SECOND = member("t2", { role: "kiosk", teaches: true });
const A = member("a", { headcount: 14 });
const B = member("b", { headcount: 11 });

function arranged(input: Partial<ArrangeInput>) {
  const result = arrange({ members: [], plays: [], teaches: false, most: 6, ...input });
  return {
    ...result,
    large: result.stage === null ? null : `${result.stage.member.endpoint}/${result.stage.kind}`,
    small: result.beside.map((tile) => `${tile.member.endpoint}/${tile.kind}`),
  };
}

describe("the stage", () => {
  it("is the teacher's, whatever the slot", () => {
    const { large, small } = arranged({ members: [A, TEACHER, B], plays: [play(0, "a"), play(3, "t"), play(1, "b")] });
    expect(large).toBe("t/camera");
    expect(small).toEqual(["a/camera", "b/camera"]);
  });

  it("is the earliest teacher's whose picture plays", () => {
    const plays = [play(0, "t"), play(1, "t2")];
    expect(arranged({ members: [TEACHER, SECOND], plays }).large).toBe("t/camera");
    const dark = member("t", { teaches: true, sources: { camera: false, mic: true } });
    expect(arranged({ members: [dark, SECOND], plays }).large).toBe("t2/camera");
    expect(arranged({ members: [dark], plays: [play(0, "t")] }).large).toBe("t/camera");
  });

  it("is for what is shared, and the teacher goes beside", () => {
    const { large, small } = arranged({
      members: [TEACHER, A],
      plays: [play(0, "t"), play(1, "a"), play(2, "t", "screen")],
    });
    expect(large).toBe("t/screen");
    expect(small).toEqual(["t/camera", "a/camera"]);
  });

  it("is for the teacher's document before a school's screen", () => {
    const plays = [play(0, "t"), play(1, "a", "screen"), play(2, "t", "document")];
    expect(arranged({ members: [A, TEACHER], plays }).large).toBe("t/document");
  });

  it("waits for the teacher", () => {
    expect(arranged({ members: [A], plays: [play(0, "a")] })).toMatchObject({ stage: null, gallery: false });
  });

  it("gives way to a gallery on the teacher's own page", () => {
    expect(arranged({ members: [A, B], plays: [play(0, "a"), play(1, "b")], teaches: true })).toMatchObject({
      stage: null,
      gallery: true,
      small: ["a/camera", "b/camera"],
    });
  });
});

describe("who has no picture", () => {
  it("is shown in words while the voice plays", () => {
    const dark = member("a", { sources: { camera: false, mic: true } });
    const voice = { index: 2, picture: null, voice: { endpoint: "a", kind: "mic" as const } };
    expect(arranged({ members: [dark], plays: [voice] }).beside[0]).toMatchObject({ index: 2, pictureOff: true, micOff: false });
  });

  it("is not left with the last frame of a camera that was switched off", () => {
    const dark = member("a", { sources: { camera: false, mic: true } });
    expect(arranged({ members: [dark], plays: [play(0, "a")] }).beside[0]?.pictureOff).toBe(true);
  });

  it("keeps a place with neither picture nor voice", () => {
    const quiet = member("a", { sources: { camera: false, mic: false } });
    const { beside } = arranged({ members: [quiet, B], plays: [play(0, null), play(1, "b")] });
    expect(beside.map((tile) => [tile.member.endpoint, tile.index])).toEqual([["a", null], ["b", 1]]);
    expect(beside[0]).toMatchObject({ pictureOff: true, micOff: true });
  });

  it("gives way to those who have one", () => {
    const quiet = ["x", "y", "z"].map((endpoint) => member(endpoint, { sources: {} }));
    const { small, more } = arranged({ members: [...quiet, A, B], plays: [play(0, "a"), play(1, "b")], most: 3 });
    expect(small).toEqual(["x/camera", "a/camera", "b/camera"]);
    expect(more).toBe(2);
  });
});

describe("what plays", () => {
  it("of somebody who is gone is not shown", () => {
    expect(arranged({ members: [A], plays: [play(0, "a"), play(1, "ghost")] }).small).toEqual(["a/camera"]);
  });

  it("as the sound of a screen alone is heard and not shown twice", () => {
    const content = { index: 1, picture: null, voice: { endpoint: "a", kind: "content" as const } };
    expect(arranged({ members: [A], plays: [play(0, "a"), content] }).small).toEqual(["a/camera"]);
  });
});

it("people are counted by their endpoints", () => {
  expect(headcountOf([TEACHER, A, B])).toBe(26);
});
