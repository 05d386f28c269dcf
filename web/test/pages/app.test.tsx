import { act } from "react";
import { createRoot, type Root } from "react-dom/client";
import { I18nextProvider } from "react-i18next";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createWords, type Language } from "../../src/i18n";
import { NOTHING_KEPT } from "../../src/lesson/kept";
import { LessonSession } from "../../src/lesson/session";
import { LocalMedia } from "../../src/media/devices";
import { Playback } from "../../src/media/playback";
import { App, type PagePath, pagePath } from "../../src/pages/App";
import {
  CONTACT,
  FakeChannel,
  FakePeer,
  FakeSocket,
  FakeTab,
  HOME_YOU,
  LESSON,
  member,
  play,
  settled,
  TEACHER_YOU,
  WAITING,
} from "../support";

let socket: FakeSocket;
let peer: FakePeer;
let tab: FakeTab;
let session: LessonSession | null = null;
let root: Root | null = null;
let page: HTMLElement;

beforeEach(() => {
  tab = new FakeTab();
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  // No frames come here, and no sound is made.
  HTMLVideoElement.prototype.requestVideoFrameCallback = () => 1;
  HTMLVideoElement.prototype.cancelVideoFrameCallback = () => undefined;
  vi.spyOn(HTMLMediaElement.prototype, "play").mockResolvedValue(undefined);
  page = document.createElement("div");
  document.body.append(page);
});
/** The page goes; its session must not try to come back in the midst of the next test. */
async function close(): Promise<void> {
  await act(() => {
    root?.unmount();
    root = null;
    session?.dispose();
    session = null;
    return settled();
  });
}
afterEach(async () => {
  await close();
  page.remove();
  vi.unstubAllGlobals();
});

async function show(path: PagePath | null, language: Language = "fi", withToken = true): Promise<void> {
  const opened = new FakeSocket();
  socket = opened;
  // No camera here: every page must be usable without one.
  const local = new LocalMedia({
    mediaDevices: { getUserMedia: () => Promise.reject(new DOMException("", "NotFoundError")) },
  });
  const begun = new LessonSession("t", {
    local,
    openSocket: () => opened,
    createPeer: (...parts) => {
      peer = new FakePeer(...parts);
      return peer.asPeer();
    },
    keeper: tab.keeper(),
    relayOnly: false,
    channel: new FakeChannel(),
    random: () => 0,
  });
  session = begun;
  if (withToken) begun.start();
  const made = createRoot(page);
  root = made;
  await go(() =>
    made.render(
      <I18nextProvider i18n={createWords(language)}>
        <App path={path} lesson={withToken ? { session: begun, local, playback: new Playback() } : null} unsupported={false} />
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

/** Lets `ms` pass; for tests with fake timers. */
async function pass(ms: number): Promise<void> {
  await act(async () => {
    await vi.advanceTimersByTimeAsync(ms);
  });
}

function button(words: string): HTMLButtonElement {
  const found = [...page.querySelectorAll("button")].find((each) => each.textContent.trim() === words);
  if (found === undefined) throw new Error(`no button says ${words}: ${page.textContent}`);
  return found;
}

const TEACHER = member("t", { site: "Närpiö", role: "kiosk", teaches: true });

async function enter(): Promise<void> {
  await show("/home");
  await go(() => {
    socket.open();
    socket.welcome(HOME_YOU, LESSON);
  });
  await go(() => button("Liity tunnille").click());
  await go(() => socket.joined(HOME_YOU, [TEACHER, member("a", { site: "Iisalmi", headcount: 14 })], [play(0, "t"), play(1, "a")]));
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
    const sound = vi
      .spyOn(HTMLAudioElement.prototype, "play")
      .mockRejectedValue(new DOMException("", "NotAllowedError"));
    await enter();
    expect(page.textContent).toContain("Ääni odottaa sinua");
    sound.mockClear();
    sound.mockResolvedValue(undefined);
    await go(() => button("Kuuntele oppituntia").click());
    expect(sound.mock.contexts.filter((each) => each instanceof HTMLAudioElement)).toHaveLength(7);
    expect(page.textContent).not.toContain("Ääni odottaa sinua");
  });

  it("starts every voice's element in the press of the join", async () => {
    await show("/home");
    await go(() => {
      socket.open();
      socket.welcome(HOME_YOU, LESSON);
    });
    const started = vi.spyOn(HTMLAudioElement.prototype, "play").mockResolvedValue(undefined);
    const press = button("Liity tunnille");
    await act(async () => {
      press.click();
      // At the press itself, before anything could be waited for.
      expect(started).toHaveBeenCalledTimes(7);
      await settled();
    });
    const elements = started.mock.contexts.slice(0, 7);
    await go(() => socket.joined(HOME_YOU, [TEACHER], [play(0, "t")]));
    const sounding = [...page.querySelectorAll("audio")];
    expect(sounding).toHaveLength(7);
    for (const [index, audio] of sounding.entries()) expect(audio).toBe(elements[index]);
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

describe("a line that is lost in the lesson", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => void vi.useRealTimers());
  const returned = () => page.querySelector(".lesson-status")?.textContent;
  const words = () => page.querySelector("[role=alert] h2")?.textContent;

  it("is a small matter while media goes on, and keeps what is seen", async () => {
    await enter();
    await go(() => peer.changed("connected"));
    const pictures = [...page.querySelectorAll("video[data-slot]")];
    const shown = () => pictures.map((each) => (each as HTMLElement).dataset["endpoint"]);
    const before = shown();
    await go(() => socket.drop());
    expect(returned()).toBe("");
    await pass(2_000);
    expect(returned()).toContain("Yhdistetään uudelleen");
    expect(words()).toBeUndefined();
    expect([...page.querySelectorAll("video[data-slot]")]).toEqual(pictures);
    expect(shown()).toEqual(before);
    await go(() => {
      socket.open();
      socket.resumed(HOME_YOU, [TEACHER], [play(0, "t")]);
    });
    expect(returned()).toBe("");
  });

  it("together with media is said, and soon whom to call", async () => {
    await enter();
    await go(() => {
      socket.drop();
      peer.changed("disconnected");
    });
    await pass(2_000);
    expect(words()).toBe("Yhteys katkesi");
    expect(page.textContent).not.toContain(CONTACT.text);
    await pass(4_000);
    expect(page.textContent).toContain(CONTACT.text);
    expect(page.querySelector<HTMLAnchorElement>("a[href^=tel]")?.getAttribute("href")).toBe("tel:+35861234567");
  });

  it("may be that of media alone, which is mended", async () => {
    await enter();
    await go(() => peer.changed("connected"));
    await go(() => peer.changed("disconnected"));
    expect(returned()).toContain("Yhteys takkuilee");
    await pass(4_000);
    expect(words()).toBe("Kuva ja ääni ovat poikki");
    expect(socket.count("restart")).toBeGreaterThan(0);
    await go(() => peer.changed("connected"));
    expect(words()).toBeUndefined();
  });
});

describe("the teacher's line", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => void vi.useRealTimers());
  const said = () => page.querySelector(".teacher-away")?.textContent ?? "";
  const news = (changed: object[], gone: string[], revision: number) =>
    go(() => socket.say({ type: "members", changed, gone, revision }));

  it("is down: the lesson waits, says whom to call, and goes on by itself", async () => {
    await enter();
    await news([{ ...TEACHER, away: true }], [], 2);
    expect(said()).toBe("");
    await pass(1_500);
    expect(said()).toContain("Opettajan yhteys on poikki");
    expect(said()).toContain(CONTACT.text);
    expect(said()).toContain(CONTACT.phone);
    const tile = [...page.querySelectorAll("figure")].find((each) => each.hasAttribute("data-away"));
    expect(tile?.getAttribute("aria-label")).toBe("Närpiö · opettaja, Yhteys poikki");
    expect(tile?.textContent).toContain("Yhteys poikki");
    await news([TEACHER], [], 3);
    expect(said()).toBe("");
    expect(page.querySelector("figure[data-away]")).toBeNull();
    await news([], ["t"], 4);
    await pass(1_500);
    expect(said()).toContain("Opettajan yhteys on poikki");
    expect(page.querySelector(".empty-stage")?.textContent).toBe("Opettajan kuva palaa tähän.");
  });

  it("gets a moment where no teacher has been seen yet", async () => {
    await show("/home");
    await go(() => {
      socket.open();
      socket.welcome(HOME_YOU, LESSON);
    });
    await go(() => button("Liity tunnille").click());
    await go(() => socket.joined(HOME_YOU, [member("a")], [play(0, "a")]));
    await pass(1_500);
    expect(said()).toBe("");
    expect(page.textContent).toContain("Opettaja ei ole vielä täällä");
    await pass(3_500);
    expect(said()).toContain("Opettajan yhteys on poikki");
  });

  it("of another member is said in its tile alone", async () => {
    await enter();
    await news([member("a", { site: "Iisalmi", away: true })], [], 2);
    await pass(6_000);
    expect(said()).toBe("");
    expect(page.querySelector("figure[data-away]")?.getAttribute("aria-label")).toContain("Iisalmi");
  });
});

describe("a recording", () => {
  const recorded = { ...LESSON, recording: "on" as const };

  it.each([
    ["/kiosk", TEACHER_YOU],
    ["/school", { ...HOME_YOU, role: "school" as const }],
    ["/home", HOME_YOU],
  ] as const)("is announced before the join on %s", async (path, you) => {
    await show(path);
    await go(() => {
      socket.open();
      socket.welcome(you, LESSON);
    });
    expect(page.querySelector(".recording-note")).toBeNull();
    await go(() => socket.say({ type: "lesson", lesson: recorded }));
    expect(page.querySelector(".recording-note")?.textContent).toBe("Tämä oppitunti tallennetaan.");
  });

  it("has its sign in the lesson, and says when it has stopped", async () => {
    await enter();
    const sign = () => page.querySelector(".lesson-status[role=status]")?.textContent;
    expect(sign()).toBe("");
    await go(() => socket.say({ type: "lesson", lesson: recorded }));
    expect(sign()).toBe("Tallennetaan");
    await go(() => socket.say({ type: "lesson", lesson: { ...LESSON, recording: "failed" } }));
    expect(sign()).toBe("Tallennus on keskeytynyt");
  });
});

describe("a reload", () => {
  it("inside shows the lesson at once, and joins", async () => {
    await enter();
    await close();
    await show("/home");
    expect(page.textContent).toContain("Liitytään oppitunnille");
    await go(() => {
      socket.open();
      socket.welcome(HOME_YOU, LESSON);
    });
    expect(socket.count("join")).toBe(1);
  });

  it("of a school keeps the group's name and its head count", async () => {
    tab.keeper().write({ ...NOTHING_KEPT, presentation: { label: "8B", headcount: 14 } });
    await show("/school");
    await go(() => {
      socket.open();
      socket.welcome({ ...HOME_YOU, role: "school" }, WAITING);
    });
    expect([...page.querySelectorAll("input")].map((each) => each.value)).toEqual(expect.arrayContaining(["8B", "14"]));
  });

  it("that finds no server says whom to call", async () => {
    tab.keeper().write({ ...NOTHING_KEPT, contact: CONTACT });
    await show("/home");
    await go(() => socket.drop());
    expect(page.querySelector("[role=alert]")?.textContent).toContain(CONTACT.phone);
  });
});

describe("another page in this one's place", () => {
  it("is said, with a way to take it back", async () => {
    await enter();
    await go(() => socket.say({ type: "error", code: "replaced", text: "", fatal: true }));
    expect(page.querySelector("h1")?.textContent).toBe("Oppitunti on avattu toisessa ikkunassa");
    await go(() => button("Jatka tässä").click());
    expect(page.textContent).toContain("Liitytään oppitunnille");
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
