import { act } from "react";
import { createRoot, type Root } from "react-dom/client";
import { I18nextProvider } from "react-i18next";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createWords, type Language } from "../../src/i18n";
import { LessonSession } from "../../src/lesson/session";
import { LocalMedia } from "../../src/media/devices";
import { App, type PagePath, pagePath } from "../../src/pages/App";
import { FakePeer, FakeSocket, HOME_YOU, LESSON, member, play, settled, TEACHER_YOU, WAITING } from "../support";

let socket: FakeSocket;
let root: Root | null = null;
let page: HTMLElement;

beforeEach(() => {
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  // No frames come here, and no sound is made.
  HTMLVideoElement.prototype.requestVideoFrameCallback = () => 1;
  HTMLVideoElement.prototype.cancelVideoFrameCallback = () => undefined;
  vi.spyOn(HTMLMediaElement.prototype, "play").mockResolvedValue(undefined);
  page = document.createElement("div");
  document.body.append(page);
});
afterEach(async () => {
  await act(() => {
    root?.unmount();
    root = null;
    return settled();
  });
  page.remove();
  vi.unstubAllGlobals();
});

async function show(path: PagePath | null, language: Language = "fi", withToken = true): Promise<void> {
  socket = new FakeSocket();
  // No camera here: every page must be usable without one.
  const local = new LocalMedia({
    mediaDevices: { getUserMedia: () => Promise.reject(new DOMException("", "NotFoundError")) },
  });
  const session = new LessonSession("t", {
    local,
    openSocket: () => socket,
    createPeer: (...parts) => new FakePeer(...parts).asPeer(),
    random: () => 0,
  });
  if (withToken) session.start();
  const made = createRoot(page);
  root = made;
  await go(() =>
    made.render(
      <I18nextProvider i18n={createWords(language)}>
        <App path={path} lesson={withToken ? { session, local } : null} unsupported={false} />
      </I18nextProvider>,
    ),
  );
}

/** Does something, and lets the page follow. */
async function go(deed: () => void): Promise<void> {
  await act(async () => {
    deed();
    await settled();
  });
}

function button(words: string): HTMLButtonElement {
  const found = [...page.querySelectorAll("button")].find((each) => each.textContent.trim() === words);
  if (found === undefined) throw new Error(`no button says ${words}: ${page.textContent}`);
  return found;
}

async function enter(): Promise<void> {
  await show("/home");
  await go(() => {
    socket.open();
    socket.welcome(HOME_YOU, LESSON);
  });
  await go(() => button("Liity tunnille").click());
  const teacher = member("t", { site: "Närpiö", role: "kiosk", teaches: true });
  await go(() => socket.joined(HOME_YOU, [teacher, member("a", { site: "Iisalmi", headcount: 14 })], [play(0, "t"), play(1, "a")]));
}

describe("the address", () => {
  it.each([
    ["/kiosk", "/kiosk"],
    ["/school/", "/school"],
    ["/", null],
    ["/toString", null],
  ])("%s is the page %s", (path, page_) => {
    expect(pagePath(path)).toBe(page_);
  });

  it("without a path says what this is", async () => {
    await show(null, "en", false);
    expect(page.textContent).toContain("One lesson, many classrooms");
    expect(document.documentElement.lang).toBe("en");
  });

  it("without a token says what is missing", async () => {
    await show("/school", "sv", false);
    expect(page.querySelector("[role=alert]")?.textContent).toContain("Något saknas i länken");
    expect(document.documentElement.lang).toBe("sv");
  });
});

describe("before the lesson", () => {
  it("the kiosk has one button, and says first why there is no camera", async () => {
    await show("/kiosk");
    await go(() => {
      socket.open();
      socket.welcome(TEACHER_YOU, WAITING);
    });
    expect(page.querySelector("h1")?.textContent).toBe("RUB14 Nyheter och medier");
    await go(() => button("Avaa oppitunti").click());
    expect(page.querySelector("[role=alert]")?.textContent).toContain("Kameraa ja mikrofonia ei löydy");
    expect(socket.count("open")).toBe(0);
    await go(() => button("Avaa ilman kameraa ja mikrofonia").click());
    expect(socket.count("open")).toBe(1);
    await go(() => {
      socket.say({ type: "lesson", lesson: LESSON });
      socket.say({ type: "done", re: socket.last("open").id });
    });
    expect(socket.count("join")).toBe(1);
    expect(page.textContent).toContain("Liitytään oppitunnille");
  });

  it("a school sends its name and head count, and waits for the teacher", async () => {
    await show("/school");
    await go(() => {
      socket.open();
      socket.welcome({ ...HOME_YOU, role: "school", site: "Iisalmi" }, WAITING);
    });
    const more = page.querySelector<HTMLButtonElement>("button[slot=increment]");
    await go(() => more?.click());
    await go(() => button("Liity oppitunnille").click());
    expect(page.textContent).toContain("Odotetaan opettajaa");
    expect(socket.count("join")).toBe(0);
    await go(() => socket.say({ type: "lesson", lesson: LESSON }));
    expect(socket.last("join")).toMatchObject({ headcount: 2 });
  });

  it("changes its language at a press", async () => {
    await show("/kiosk");
    await go(() => {
      socket.open();
      socket.welcome(TEACHER_YOU, WAITING);
    });
    await go(() => button("Svenska").click());
    expect(button("Öppna lektionen")).toBeTruthy();
    expect(document.documentElement.lang).toBe("sv");
  });
});

describe("in the lesson", () => {
  it("each slot has one picture element that stays, whatever plays", async () => {
    await enter();
    const pictures = [...page.querySelectorAll<HTMLVideoElement>("video[data-slot]")];
    const voices = [...page.querySelectorAll("audio")];
    expect(pictures.map((each) => [each.dataset["slot"], each.dataset["endpoint"], each.dataset["kind"]])).toEqual([
      ["0", "t", "camera"],
      ["1", "a", "camera"],
      ["2", undefined, undefined],
      ["3", undefined, undefined],
      ["4", undefined, undefined],
    ]);
    expect(pictures.every((each) => each.muted && each.srcObject !== null)).toBe(true);
    expect(voices.map((each) => each.dataset["voice"])).toEqual(["0", "1", "2", "3", "4", "5", "6"]);
    const sounds = voices.map((each) => each.srcObject);
    await go(() => socket.say({ type: "slots", slots: [play(0, "a"), play(2, "t", "screen"), play(3, "t")], revision: 2 }));
    expect([...page.querySelectorAll("video[data-slot]")]).toEqual(pictures);
    expect([...page.querySelectorAll("audio")].map((each) => each.srcObject)).toEqual(sounds);
    expect(pictures.map((each) => each.dataset["endpoint"])).toEqual(["a", undefined, "t", "t", undefined]);
    expect(pictures[2]?.closest("figure")?.className).toContain("large");
  });

  it("says who is shown, and with how many", async () => {
    await enter();
    const labels = [...page.querySelectorAll("figure[aria-hidden=false]")].map((each) => each.getAttribute("aria-label"));
    expect(labels).toEqual(["Närpiö · opettaja", "Iisalmi, 14 henkilöä paikalla"]);
    expect(page.querySelector("figure.self")?.textContent).toContain("Ei kameraa");
  });

  it("asks for a press where the browser plays no sound, and plays all in it", async () => {
    const blocked = vi
      .spyOn(HTMLAudioElement.prototype, "play")
      .mockRejectedValue(new DOMException("", "NotAllowedError"));
    await enter();
    expect(page.textContent).toContain("Ääni odottaa sinua");
    blocked.mockClear();
    blocked.mockResolvedValue(undefined);
    await go(() => button("Kuuntele oppituntia").click());
    expect(blocked).toHaveBeenCalledTimes(7);
    expect(page.textContent).not.toContain("Ääni odottaa sinua");
  });

  it("says that the line is lost, and keeps its elements", async () => {
    await enter();
    const pictures = [...page.querySelectorAll("video[data-slot]")];
    await go(() => socket.drop());
    expect(page.querySelector("[role=alert] h2")?.textContent).toBe("Yhteys katkesi");
    expect([...page.querySelectorAll("video[data-slot]")]).toEqual(pictures);
  });

  it("ends in words", async () => {
    await enter();
    await go(() => socket.say({ type: "lesson", lesson: { ...LESSON, state: "ended" } }));
    expect(page.querySelector("h1")?.textContent).toBe("Oppitunti on päättynyt");
  });

  it("is left by a press, with a way back", async () => {
    await enter();
    await go(() => button("Poistu").click());
    expect(socket.count("leave")).toBe(1);
    expect(page.querySelector("h1")?.textContent).toBe("Poistuit oppitunnilta");
    await go(() => button("Palaa oppitunnille").click());
    expect(page.textContent).toContain("Haetaan oppituntia");
  });
});

describe("refused", () => {
  it.each([
    ["token-expired", "Linkki on vanhentunut", false],
    ["server-full", "Palvelin on täynnä", true],
  ] as const)("by %s: says it, and offers another try only where it helps", async (code, words, again) => {
    await show("/home");
    await go(() => {
      socket.open();
      socket.say({ type: "error", re: socket.last("hello").id, code, text: "", fatal: true });
    });
    expect(page.querySelector("h1")?.textContent).toBe(words);
    expect([...page.querySelectorAll("button")].some((each) => each.textContent.trim() === "Yritä uudelleen")).toBe(again);
  });
});
