/** What the tests of the session share: a page with fakes around it, and the server's side of its line. */
import { afterEach, beforeEach, vi } from "vitest";
import { LessonSession } from "../../src/lesson/session";
import { LocalMedia } from "../../src/media/devices";
import {
  FakeChannel,
  FakePeer,
  FakeSocket,
  FakeTab,
  HOME_YOU,
  LESSON,
  member,
  play,
  settled,
  stream,
  track,
} from "../support";

/** Every connection that the page opened, and every peer that it made. */
export let sockets: FakeSocket[];
export let peers: FakePeer[];
export let local: LocalMedia;
export let session: LessonSession;
export let tab: FakeTab;
export let channel: FakeChannel;
/** What the browser was asked for. */
export let asked: string[];
/** Whether anybody answers the browser's question. */
let answering: boolean;
export const screen = track("video");
export let camera: MediaStreamTrack;
export let mic: MediaStreamTrack;

/** A page of the tab: its first, or the next after a reload. */
function open(): LessonSession {
  local = new LocalMedia({
    mediaDevices: {
      getUserMedia: (wanted) => {
        asked.push(`${wanted?.video ? "camera" : ""}${wanted?.audio ? "mic" : ""}`);
        if (!answering) return new Promise(() => undefined);
        return Promise.resolve(stream(...(wanted?.video ? [camera] : []), ...(wanted?.audio ? [mic] : [])));
      },
      getDisplayMedia: () => Promise.resolve(stream(screen)),
    },
  });
  channel = new FakeChannel();
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
    keeper: tab.keeper(),
    relayOnly: false,
    channel,
    random: () => 0,
  });
  session.start();
  return session;
}

/** The page goes with its media; what was kept stays. */
export function reload(): void {
  session.dispose();
  camera = track("video");
  mic = track("audio");
  asked = [];
  open();
}

/** Nobody answers the browser's question about the devices from here on. */
export function askInVain(): void {
  answering = false;
}

/** Each test of the file begins with a page of its own, on a clock that stands still. */
export function beginWithFreshPage(): void {
  beforeEach(() => {
    vi.useFakeTimers();
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    sockets = [];
    peers = [];
    asked = [];
    answering = true;
    camera = track("video");
    mic = track("audio");
    tab = new FakeTab();
    open();
  });
  afterEach(() => {
    session.dispose();
    vi.useRealTimers();
  });
}

export const PRESENTATION = { label: "8B", headcount: 14 };

export function server(): FakeSocket {
  const socket = sockets.at(-1);
  if (socket === undefined) throw new Error("no connection was opened");
  return socket;
}

export function peer(): FakePeer {
  const made = peers.at(-1);
  if (made === undefined) throw new Error("no peer was made");
  return made;
}

export async function inside(you = HOME_YOU): Promise<void> {
  server().open();
  server().welcome(you, LESSON);
  session.join(PRESENTATION);
  await settled();
  server().joined(you, [member("a")], [play(0, "a")]);
  await settled();
}
