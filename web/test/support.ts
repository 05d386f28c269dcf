/** Values and fakes at the seams: a server's side of a socket, a camera, a peer connection. */

import { Keeper, type Kept } from "../src/lesson/kept";
import type { LessonPeer, OutgoingTracks, PeerOffer, ReceivedSlot, Route } from "../src/media/peer";
import type { SocketLike } from "../src/protocol/socket";
import type { Codecs, Contact, IceServer, Lesson, Member, Play, SlotCounts, SourceKind, You } from "../src/protocol/values";

export const LESSON: Lesson = { id: "l1", title: "Nyheter och medier", course: "RUB14", state: "live", recording: "off" };
export const WAITING: Lesson = { ...LESSON, state: "waiting" };

export const CONTACT: Contact = { text: "Jos yhteys ei palaa, jatkakaa monisteella.", phone: "+358 6 123 4567" };
export const TURN: IceServer = { urls: ["turn:relay.example:3478"], username: "1:a", credential: "c" };

export const TEACHER_YOU: You = {
  role: "kiosk",
  site: "Närpiö",
  room: "tila 204",
  publish: ["camera", "document", "screen", "mic", "content"],
  teaches: true,
  may_open: true,
  may_end: true,
};
export const HOME_YOU: You = {
  role: "home",
  site: "Vieremä",
  room: null,
  publish: ["camera", "mic"],
  teaches: false,
  may_open: false,
  may_end: false,
};

export function member(endpoint: string, change: Partial<Member> = {}): Member {
  return {
    endpoint,
    role: "school",
    site: `Site ${endpoint}`,
    room: null,
    label: null,
    headcount: 1,
    teaches: false,
    away: false,
    sources: { camera: true, mic: true },
    ...change,
  };
}

/** A slot in which an endpoint's `kind` plays with its voice. */
export function play(index: number, endpoint: string | null, kind: SourceKind = "camera"): Play {
  if (endpoint === null) return { index, picture: null, voice: null };
  const voice = kind === "camera" ? { endpoint, kind: "mic" as const } : null;
  return { index, picture: { endpoint, kind }, voice };
}

type Sent = Readonly<Record<string, unknown>> & { readonly type: string; readonly id: number };

/** The browser's WebSocket with its far end in the test's hand. */
export class FakeSocket implements SocketLike {
  onopen: SocketLike["onopen"] = null;
  onmessage: SocketLike["onmessage"] = null;
  onclose: SocketLike["onclose"] = null;
  readonly sent: Sent[] = [];
  closedWith: number | null = null;

  send(data: string): void {
    this.sent.push(JSON.parse(data) as Sent);
  }

  close(code?: number): void {
    this.closedWith = code ?? 1005;
  }

  open(): void {
    this.onopen?.(new Event("open"));
  }

  say(message: object): void {
    this.sayRaw(JSON.stringify(message));
  }

  sayRaw(data: unknown): void {
    this.onmessage?.(new MessageEvent("message", { data }));
  }

  /** The server, or the network, ends it. */
  drop(code = 1006): void {
    this.onclose?.(new CloseEvent("close", { code }));
  }

  last(type: string): Sent {
    const found = this.sent.findLast((message) => message.type === type);
    if (found === undefined) throw new Error(`nothing of type ${type} was sent`);
    return found;
  }

  count(type: string): number {
    return this.sent.filter((message) => message.type === type).length;
  }

  /** Answers the hello that was sent. */
  welcome(you: You, lesson: Lesson, change: object = {}): void {
    const slots: SlotCounts = { pairs: 5, voices: 2 };
    const way = { resume: "secret", resumable_s: 60, iceServers: [TURN], contact: CONTACT };
    this.say({ type: "welcome", re: this.last("hello").id, version: 1, endpoint: "me", lesson, you, slots, ...way, ...change });
  }

  /** Answers the hello that asked to resume. */
  resumed(you: You, members: readonly Member[], slots: readonly Play[], change: object = {}): void {
    const snapshot = snapshotFor(you, members, slots);
    const way = { resume: "secret-2", resumable_s: 60, iceServers: [TURN] };
    this.say({ type: "resumed", re: this.last("hello").id, endpoint: "me", lesson: LESSON, joined: true, snapshot, ...way, ...change });
  }

  /** Refuses the last request of that type. */
  refuse(type: string, code: string, fatal = false): void {
    this.say({ type: "error", re: this.last(type).id, code, text: "", fatal });
  }

  /** Answers the join that was sent. */
  joined(you: You, members: readonly Member[], slots: readonly Play[], codecs: Codecs = {}): void {
    const snapshot = snapshotFor(you, members, slots, codecs);
    this.say({ type: "joined", re: this.last("join").id, answer: "v=0", sources: you.publish, snapshot, iceServers: [TURN] });
  }
}

function snapshotFor(you: You, members: readonly Member[], slots: readonly Play[], codecs: Codecs = {}): object {
  const sources = Object.fromEntries(you.publish.map((kind) => [kind, kind === "camera" || kind === "mic"]));
  const me = member("me", { role: you.role, site: you.site, teaches: you.teaches, sources });
  return { lesson: LESSON, members: [...members, me], slots, codecs, revision: 1 };
}

/** Session storage of one tab, and what is kept in it. */
export class FakeTab {
  readonly kept = new Map<string, string>();
  readonly storage = {
    getItem: (key: string): string | null => this.kept.get(key) ?? null,
    setItem: (key: string, value: string): void => void this.kept.set(key, value),
  };

  keeper(place = "place"): Keeper {
    return new Keeper(this.storage, place);
  }

  read(): Kept {
    return this.keeper().read();
  }
}

/** The pages of one browser that hear each other. */
export class FakeChannel {
  onmessage: BroadcastChannel["onmessage"] = null;
  readonly posted: unknown[] = [];

  postMessage(message: unknown): void {
    this.posted.push(message);
  }

  close(): void {
    this.onmessage = null;
  }

  hear(data: unknown): void {
    this.onmessage?.call(this as unknown as BroadcastChannel, new MessageEvent("message", { data }));
  }
}

/** Tracks and streams are compared and stopped, never played. */
export function track(kind: "video" | "audio"): MediaStreamTrack {
  const made = { kind, enabled: true, readyState: "live", contentHint: "", onended: null };
  return Object.assign(new EventTarget(), made, {
    stop() {
      Object.assign(this, { readyState: "ended" });
    },
  }) as unknown as MediaStreamTrack;
}

export function stream(...tracks: MediaStreamTrack[]): MediaStream {
  const of = (kind: string) => tracks.filter((each) => each.kind === kind);
  return {
    getTracks: () => tracks,
    getVideoTracks: () => of("video"),
    getAudioTracks: () => of("audio"),
  } as unknown as MediaStream;
}

/** A peer without a network: remembers what it was told. */
export class FakePeer {
  readonly connection = { connectionState: "new" } as RTCPeerConnection;
  readonly received: readonly ReceivedSlot[];
  readonly sending = new Map<SourceKind, MediaStreamTrack | null>();
  /** Each change of a codec, in order. */
  readonly sentAs: string[] = [];
  answer: string | null = null;
  closed = false;
  /** The routes of the ICE restarts that were offered. */
  readonly restarts: Route[] = [];

  constructor(
    readonly publish: readonly SourceKind[],
    counts: SlotCounts,
    tracks: OutgoingTracks,
    readonly route: Route,
    readonly changed: (state: RTCPeerConnectionState) => void,
  ) {
    for (const kind of publish) this.sending.set(kind, tracks[kind] ?? null);
    this.received = Array.from({ length: counts.pairs + counts.voices }, (_, index) => ({
      index,
      picture: index < counts.pairs ? track("video") : null,
      voice: track("audio"),
    }));
  }

  offer(): Promise<PeerOffer> {
    return Promise.resolve({
      offer: "v=0 offer",
      sources: this.publish.map((kind, mid) => ({ kind, mid: String(mid) })),
      slots: this.received.map(({ index }) => ({ index, picture: null, voice: `v${index}` })),
    });
  }

  restartOffer(route: Route): Promise<string> {
    this.restarts.push(route);
    return Promise.resolve(`v=0 restart ${this.restarts.length}`);
  }

  accept(answer: string): Promise<void> {
    this.answer = answer;
    return Promise.resolve();
  }

  send(kind: SourceKind, sent: MediaStreamTrack | null): Promise<void> {
    this.sending.set(kind, sent);
    return Promise.resolve();
  }

  sendAs(kind: SourceKind, codec: string): Promise<void> {
    this.sentAs.push(`${kind} ${codec}`);
    return codec === "refused" ? Promise.reject(new Error(codec)) : Promise.resolve();
  }

  close(): void {
    this.closed = true;
  }

  asPeer(): LessonPeer {
    return this as unknown as LessonPeer;
  }
}

/** Lets everything that waits for a promise go on. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}
