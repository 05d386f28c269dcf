/**
 * One page's part in one lesson: keeps the connection, joins when it can, comes back when the line is lost while
 * media goes on, mends media, and keeps what is sent in step with the devices. All knowledge is in `state` (see
 * state.ts); this file does the deeds.
 *
 *     line cut ─► new line, `resume` ─► resumed: nothing else happened
 *                                  └──► resume-failed ─► new peer, plain `hello`, join
 *     reload ───► new page, `replaces` ─► welcome ─► join by itself, when it was inside
 *     media cut ► ICE restarts over the line (mend.ts) ─► in vain: new peer, `replaces`, join
 */

import type { LocalMedia } from "../media/devices";
import type { LessonPeer, OutgoingTracks, Route } from "../media/peer";
import { type ErrorCode, knownCode, recoveryOf, RequestError } from "../protocol/errors";
import type { HelloMessage, ServerMessage } from "../protocol/messages";
import { SignallingSocket, type SocketLike } from "../protocol/socket";
import { type IceServer, PROTOCOL_VERSION, SOURCE_KINDS, type SlotCounts, type SourceKind } from "../protocol/values";
import { waitBeforeAttempt } from "./backoff";
import { type Keeper, type Kept, NOTHING_KEPT, type Presentation } from "./kept";
import { Mender } from "./mend";
import { INITIAL_STATE, isOver, type LessonEvent, type LessonState, ownMember, reduce } from "./state";

export interface SessionParts {
  readonly openSocket: () => SocketLike;
  readonly createPeer: (
    publish: readonly SourceKind[],
    counts: SlotCounts,
    tracks: OutgoingTracks,
    route: Route,
    changed: (state: RTCPeerConnectionState) => void,
  ) => LessonPeer;
  readonly local: LocalMedia;
  readonly keeper: Keeper;
  readonly relayOnly: boolean;
  /** Reaches the other pages of this place in this browser; null where the browser has no such thing. */
  readonly channel: Pick<BroadcastChannel, "postMessage" | "onmessage" | "close"> | null;
  /** In [0, 1). */
  readonly random: () => number;
}

/** An attempt to connect that has not got its welcome by then is given up. */
const WELCOME_WITHIN_MS = 8_000;
/** A line on which the answer to a restart does not come is dead itself, whatever the socket believes. */
const RESTARTED_WITHIN_MS = 4_000;
/** After a reload the join waits for the devices, so that they are in its offer; a question may stay open longer. */
const DEVICES_WITHIN_MS = 1_500;
const TAKEN_BACK = "taken-back";

export class LessonSession {
  readonly #token: string;
  readonly #parts: SessionParts;
  readonly #listeners = new Set<() => void>();
  readonly #stopWatchingLocal: () => void;
  #state = INITIAL_STATE;
  #peer: LessonPeer | null = null;
  #mender: Mender | null = null;
  #socket: SignallingSocket | null = null;
  #iceServers: readonly IceServer[] = [];
  /** The secret of the endpoint that this page has, or that a page before it had. */
  #resume: string | null = null;
  #presentation: Presentation = NOTHING_KEPT.presentation;
  #devices: Kept["devices"] = NOTHING_KEPT.devices;
  /** In the lesson, until something ended it. */
  #inside = false;
  /** Devices are being fetched again: the join waits for them. */
  #restoring = false;
  /** Attempts since the last welcome. */
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What the server believes of our sources. */
  #told = new Map<SourceKind, boolean>();

  constructor(token: string, parts: SessionParts) {
    this.#token = token;
    this.#parts = parts;
    this.#stopWatchingLocal = parts.local.subscribe(() => {
      this.#keep();
      void this.#syncSources();
    });
    const { channel } = parts;
    if (channel !== null) {
      channel.onmessage = (event: MessageEvent<unknown>) => {
        if (event.data === TAKEN_BACK) this.#yield();
      };
    }
  }

  get state(): LessonState {
    return this.#state;
  }

  /** The media of the present join, or null outside. */
  get peer(): LessonPeer | null {
    return this.#peer;
  }

  /** What was said at the last join, also before a reload: what a form begins with. */
  get presentation(): Presentation {
    return this.#presentation;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Finds what a page before this one left, connects and says hello; from here on it looks after itself. */
  start(): void {
    const kept = this.#parts.keeper.read();
    this.#resume = kept.resume;
    this.#presentation = kept.presentation;
    this.#devices = kept.devices;
    this.#restore(kept.contact, kept.inside);
    this.#connect();
  }

  /** Does not wait for the next attempt to come back. */
  tryNow(): void {
    if (this.#state.line.state !== "returning") return;
    this.#attempt = 0;
    this.#connect();
  }

  /** The machine is in another network: the old line is dead, or will be, and media needs another path. */
  networkChanged(): void {
    if (isOver(this.#state)) return;
    this.#attempt = 0;
    if (this.#state.line.state === "open") this.#lost(null);
    this.#mender?.networkChanged();
  }

  /** After the line was stopped or left: begins again, before the join. */
  comeBack(): void {
    this.#beginAgain();
    this.#connect();
  }

  /** After another page took this one's place: goes back to where it was, and the other page ends. */
  takeBack(): void {
    const inside = this.#inside;
    this.#beginAgain();
    this.#parts.channel?.postMessage(TAKEN_BACK);
    this.#restore(this.#state.contact, inside);
    this.#connect();
  }

  /** Makes the lesson live. Throws RequestError. */
  async open(): Promise<void> {
    await this.#request({ type: "open" });
  }

  /** Joins now, or as soon as the lesson is live and the line is there. */
  join(presentation: Presentation): void {
    this.#presentation = presentation;
    this.#dispatch({ type: "wanted" });
    this.#joinIfPossible();
  }

  /** Takes back a join that still waits. */
  cancelJoin(): void {
    if (this.#state.presence === "wanted") this.#replace({ ...this.#state, presence: "outside" });
  }

  /** Ends the lesson for all. Throws RequestError. */
  async end(): Promise<void> {
    await this.#request({ type: "end" });
  }

  /** Leaves, tells the server when it still listens, and lets go of the devices. */
  leave(): void {
    this.#socket?.request({ type: "leave" }).catch(() => undefined);
    this.#dispatch({ type: "left" });
    this.#closePeer();
    this.#parts.local.stop();
    clearTimeout(this.#timer);
  }

  /** The page is gone. */
  dispose(): void {
    this.#stopWatchingLocal();
    this.#dropLine();
    this.#closePeer();
    this.#parts.channel?.close();
    this.#listeners.clear();
  }

  // ---- the line ------------------------------------------------------------------------------------------

  #connect(): void {
    this.#dispatch({ type: "retrying" });
    this.#dropLine();
    const socket = new SignallingSocket(this.#parts.openSocket(), {
      opened: () => void this.#hello(socket),
      message: (message) => this.#receive(message),
      closed: () => this.#lost(null),
    });
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#lost("no-answer"), WELCOME_WITHIN_MS);
  }

  async #hello(socket: SignallingSocket): Promise<void> {
    try {
      await socket.request(this.#helloMessage());
    } catch (error) {
      if (socket !== this.#socket || !(error instanceof RequestError)) return;
      if (error.code !== "resume-failed") {
        this.#lost(error.code);
        return;
      }
      // The server has let the place go, and with it our media.
      this.#resume = null;
      this.#closePeer();
      this.#dispatch({ type: "displaced" });
      await this.#hello(socket);
    }
  }

  #helloMessage(): HelloMessage {
    const hello = { type: "hello", version: PROTOCOL_VERSION, token: this.#token } as const;
    if (this.#resume === null) return hello;
    return this.#peer === null ? { ...hello, replaces: this.#resume } : { ...hello, resume: this.#resume };
  }

  #receive(message: ServerMessage): void {
    if ("resume" in message) this.#resume = message.resume;
    if ("iceServers" in message) this.#iceServers = message.iceServers;
    this.#dispatch({ type: "server", message });
    switch (message.type) {
      case "welcome":
        this.#lineIsBack();
        this.#joinIfPossible();
        break;
      case "resumed":
        this.#lineIsBack();
        if (message.joined) {
          this.#rememberTold();
          void this.#syncSources();
        } else {
          this.#closePeer();
          this.#joinIfPossible();
        }
        break;
      case "lesson":
        if (message.lesson.state === "ended") this.#finish();
        else this.#joinIfPossible();
        break;
      case "codecs":
      case "snapshot":
        void this.#syncSources();
        break;
      case "error":
        if (message.fatal) this.#fatal(knownCode(message.code));
        break;
      default:
        break;
    }
  }

  #lineIsBack(): void {
    clearTimeout(this.#timer);
    this.#attempt = 0;
    this.#mender?.lineChanged(true);
  }

  #fatal(code: ErrorCode): void {
    if (recoveryOf(code) === "retry") this.#lost(code);
    else this.#finish();
  }

  #lost(code: ErrorCode | null): void {
    this.#dropLine();
    if (isOver(this.#state)) {
      this.#closePeer();
      return;
    }
    // Where the server itself has given the media up there is nothing to resume.
    const keeps = this.#peer !== null && this.#state.presence === "inside" && code !== "media-failed";
    if (!keeps) this.#closePeer();
    this.#mender?.lineChanged(false);
    // A server that stops is not back at once.
    if (code === "server-stopping") this.#attempt = Math.max(this.#attempt, 2);
    const wait = waitBeforeAttempt(this.#attempt, this.#parts.random());
    this.#attempt += 1;
    this.#dispatch({ type: "lost", attempt: this.#attempt, code, keeps });
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  /** The lesson is over, or this page may not be in it. */
  #finish(): void {
    this.#dropLine();
    this.#closePeer();
    this.#parts.local.stop();
  }

  #beginAgain(): void {
    this.#dropLine();
    this.#closePeer();
    this.#attempt = 0;
    this.#replace({ ...INITIAL_STATE, contact: this.#state.contact });
  }

  /** Another page of this place has taken it back. */
  #yield(): void {
    if (isOver(this.#state)) return;
    this.#socket?.request({ type: "leave" }).catch(() => undefined);
    this.#dispatch({ type: "stopped", code: "replaced" });
    this.#finish();
  }

  #dropLine(): void {
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = null;
  }

  async #request(message: Parameters<SignallingSocket["request"]>[0], withinMs?: number): Promise<ServerMessage> {
    if (this.#socket === null) throw new RequestError("no-answer", "there is no connection");
    return this.#socket.request(message, withinMs);
  }

  // ---- the join ------------------------------------------------------------------------------------------

  /** To where a page was before: `inside` needs its devices. */
  #restore(contact: Kept["contact"], inside: boolean): void {
    this.#restoring = inside;
    this.#dispatch({ type: "restored", contact, inside });
    if (!inside) return;
    const ready = () => {
      clearTimeout(timer);
      if (!this.#restoring) return;
      this.#restoring = false;
      this.#joinIfPossible();
    };
    const timer = setTimeout(ready, DEVICES_WITHIN_MS);
    void this.#parts.local.restore(this.#devices).then(ready);
  }

  #joinIfPossible(): void {
    const { presence, line, lesson } = this.#state;
    if (presence !== "wanted" || line.state !== "open" || lesson?.state !== "live" || this.#restoring) return;
    void this.#join();
  }

  async #join(): Promise<void> {
    const { you, slots } = this.#state;
    const socket = this.#socket;
    if (you === null || socket === null) return;
    this.#dispatch({ type: "joining" });
    const outgoing = this.#parts.local.outgoing();
    const tracks = Object.fromEntries(SOURCE_KINDS.map((kind) => [kind, outgoing[kind].track]));
    try {
      const peer = this.#parts.createPeer(you.publish, slots, tracks, this.#route(), (state) =>
        this.#mediaChanged(peer, state),
      );
      this.#setPeer(peer);
      const { label, headcount } = this.#presentation;
      const offer = await peer.offer();
      if (socket !== this.#socket) return;
      const joined = await socket.request({ type: "join", ...(label ? { label } : {}), headcount, ...offer });
      if (joined.type !== "joined") throw new RequestError("internal", `join answered by ${joined.type}`);
      await peer.accept(joined.answer);
      this.#rememberTold();
      await this.#syncSources();
    } catch (error) {
      if (socket === this.#socket) this.#joinFailed(error);
    }
  }

  #joinFailed(error: unknown): void {
    const code: ErrorCode = error instanceof RequestError ? error.code : "media-failed";
    if (!(error instanceof RequestError)) console.warn("the join failed", error);
    if (isOver(this.#state)) return;
    this.#closePeer();
    if (code === "lesson-not-open") {
      // It closed or was never open: wait for it, the press counts.
      this.#dispatch({ type: "wanted" });
    } else if (recoveryOf(code) === "retry") {
      this.#lost(code);
    } else {
      this.#dispatch({ type: "refused", code });
    }
  }

  // ---- media ---------------------------------------------------------------------------------------------

  #route(): Route {
    return { iceServers: this.#iceServers, relayOnly: this.#parts.relayOnly };
  }

  #mediaChanged(peer: LessonPeer, state: RTCPeerConnectionState): void {
    if (peer !== this.#peer) return;
    if (state === "connected") this.#dispatch({ type: "media", media: "connected" });
    else if (state === "disconnected") this.#dispatch({ type: "media", media: "shaky" });
    else if (state === "failed") this.#dispatch({ type: "media", media: "down" });
    this.#mender?.changed(state);
  }

  async #restart(peer: LessonPeer): Promise<void> {
    const offer = await peer.restartOffer(this.#route());
    if (peer !== this.#peer) throw new Error("another join has begun");
    const socket = this.#socket;
    try {
      const restarted = await this.#request({ type: "restart", offer }, RESTARTED_WITHIN_MS);
      if (restarted.type !== "restarted") throw new RequestError("internal", `restart answered by ${restarted.type}`);
      await peer.accept(restarted.answer);
    } catch (error) {
      const dead = error instanceof RequestError && error.code === "no-answer";
      if (dead && socket !== null && socket === this.#socket) this.#lost("no-answer");
      throw error;
    }
  }

  // ---- what is sent --------------------------------------------------------------------------------------

  /** The server begins from what it says of us in the snapshot that came with the join, or when we came back. */
  #rememberTold(): void {
    const sources = ownMember(this.#state)?.sources ?? {};
    this.#told = new Map(SOURCE_KINDS.flatMap((kind) => (sources[kind] === undefined ? [] : [[kind, sources[kind]]])));
  }

  async #syncSources(): Promise<void> {
    const peer = this.#peer;
    const { presence, you } = this.#state;
    if (peer === null || presence !== "inside" || you === null) return;
    const outgoing = this.#parts.local.outgoing();
    for (const kind of you.publish) {
      const { track, on } = outgoing[kind];
      this.#tellSource(kind, on);
      // Asked anew for each: an older run of this loop is not to undo what came meanwhile.
      const codec = this.#state.codecs[kind];
      try {
        if (codec !== undefined) await peer.sendAs(kind, codec);
        await peer.send(kind, track);
      } catch (error) {
        console.warn(`${kind} can't be sent`, error);
      }
    }
  }

  /** Without a line it is told by the one that comes. */
  #tellSource(kind: SourceKind, on: boolean): void {
    const socket = this.#socket;
    if (socket === null || this.#state.line.state !== "open" || this.#told.get(kind) === on) return;
    this.#told.set(kind, on);
    socket.request({ type: "source", kind, on }).catch((error: unknown) => {
      if (socket === this.#socket) console.warn(`the server was not told of ${kind}`, error);
    });
  }

  // ---- state ---------------------------------------------------------------------------------------------

  #setPeer(peer: LessonPeer): void {
    this.#closePeer();
    this.#peer = peer;
    this.#mender = new Mender({
      restart: () => this.#restart(peer),
      giveUp: () => this.#lost("media-failed"),
    });
    this.#notify();
  }

  #closePeer(): void {
    this.#mender?.stop();
    this.#mender = null;
    this.#peer?.close();
    this.#peer = null;
    this.#told.clear();
  }

  #dispatch(event: LessonEvent): void {
    this.#replace(reduce(this.#state, event));
  }

  #replace(state: LessonState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#keep();
    this.#notify();
  }

  /** For a reload. Nothing leads back into what is over. */
  #keep(): void {
    const { camera, mic } = this.#parts.local.state;
    const over = isOver(this.#state);
    const inside = this.#state.entered && !over;
    if (over) this.#resume = null;
    else this.#inside = inside;
    // Devices that were let go at the end say nothing about what was wanted.
    if (inside && !this.#restoring) this.#devices = { camera: camera.state !== "off", mic: mic.state !== "off" };
    this.#parts.keeper.write({
      resume: this.#resume,
      inside,
      presentation: this.#presentation,
      devices: this.#devices,
      contact: this.#state.contact,
    });
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
