/**
 * One page's part in one lesson: keeps the connection, joins when it can, comes back when the line is lost, and
 * keeps what is sent in step with the devices. All knowledge is in `state` (see state.ts); this file does the deeds.
 */

import type { LocalMedia } from "../media/devices";
import type { LessonPeer, OutgoingTracks } from "../media/peer";
import { type ErrorCode, knownCode, recoveryOf, RequestError } from "../protocol/errors";
import type { ServerMessage } from "../protocol/messages";
import { SignallingSocket, type SocketLike } from "../protocol/socket";
import { PROTOCOL_VERSION, SOURCE_KINDS, type SlotCounts, type SourceKind } from "../protocol/values";
import { waitBeforeAttempt } from "./backoff";
import { INITIAL_STATE, isOver, type LessonEvent, type LessonState, ownMember, reduce } from "./state";

export interface SessionParts {
  readonly openSocket: () => SocketLike;
  readonly createPeer: (
    publish: readonly SourceKind[],
    counts: SlotCounts,
    tracks: OutgoingTracks,
    changed: (state: RTCPeerConnectionState) => void,
  ) => LessonPeer;
  readonly local: LocalMedia;
  /** In [0, 1). */
  readonly random: () => number;
}

/** What is shown beside the site, and how many people sit before the camera. */
export interface Presentation {
  readonly label: string | null;
  readonly headcount: number;
}

/** An attempt to connect that has not got its welcome by then is given up. */
const WELCOME_WITHIN_MS = 8_000;

export class LessonSession {
  readonly #token: string;
  readonly #parts: SessionParts;
  readonly #listeners = new Set<() => void>();
  readonly #stopWatchingLocal: () => void;
  #state = INITIAL_STATE;
  #peer: LessonPeer | null = null;
  #socket: SignallingSocket | null = null;
  #presentation: Presentation = { label: null, headcount: 1 };
  /** Attempts since the last welcome. */
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What the server believes of our sources. */
  #told = new Map<SourceKind, boolean>();

  constructor(token: string, parts: SessionParts) {
    this.#token = token;
    this.#parts = parts;
    this.#stopWatchingLocal = parts.local.subscribe(() => void this.#syncSources());
  }

  get state(): LessonState {
    return this.#state;
  }

  /** The media of the present join, or null outside. */
  get peer(): LessonPeer | null {
    return this.#peer;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Connects and says hello; from here on the session looks after its line by itself. */
  start(): void {
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

  /** Does not wait for the next attempt to come back. */
  tryNow(): void {
    if (this.#state.line.state !== "returning") return;
    this.#attempt = 0;
    this.start();
  }

  /** After the line was stopped or left: begins again, before the join. */
  comeBack(): void {
    this.#dropLine();
    this.#attempt = 0;
    this.#replace(INITIAL_STATE);
    this.start();
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
    this.#listeners.clear();
  }

  // ---- the line ------------------------------------------------------------------------------------------

  async #hello(socket: SignallingSocket): Promise<void> {
    try {
      await socket.request({ type: "hello", version: PROTOCOL_VERSION, token: this.#token });
    } catch (error) {
      if (socket === this.#socket && error instanceof RequestError) this.#lost(error.code);
    }
  }

  #receive(message: ServerMessage): void {
    this.#dispatch({ type: "server", message });
    switch (message.type) {
      case "welcome":
        clearTimeout(this.#timer);
        this.#attempt = 0;
        this.#joinIfPossible();
        break;
      case "lesson":
        if (message.lesson.state === "ended") this.#finish();
        else this.#joinIfPossible();
        break;
      case "error":
        if (message.fatal) this.#fatal(knownCode(message.code));
        break;
      default:
        break;
    }
  }

  #fatal(code: ErrorCode): void {
    if (recoveryOf(code) === "retry") this.#lost(code);
    else this.#finish();
  }

  #lost(code: ErrorCode | null): void {
    if (isOver(this.#state)) {
      this.#dropLine();
      return;
    }
    this.#dropLine();
    const wait = waitBeforeAttempt(this.#attempt, this.#parts.random());
    this.#attempt += 1;
    this.#dispatch({ type: "lost", attempt: this.#attempt, code });
    this.#timer = setTimeout(() => this.start(), wait);
  }

  /** The lesson is over, or this page may not be in it. */
  #finish(): void {
    this.#dropLine();
    this.#parts.local.stop();
  }

  #dropLine(): void {
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = null;
    this.#closePeer();
  }

  async #request(message: Parameters<SignallingSocket["request"]>[0]): Promise<ServerMessage> {
    if (this.#socket === null) throw new RequestError("no-answer", "there is no connection");
    return this.#socket.request(message);
  }

  // ---- the join ------------------------------------------------------------------------------------------

  #joinIfPossible(): void {
    const { presence, line, lesson } = this.#state;
    if (presence === "wanted" && line.state === "open" && lesson?.state === "live") void this.#join();
  }

  async #join(): Promise<void> {
    const { you, slots } = this.#state;
    const socket = this.#socket;
    if (you === null || socket === null) return;
    this.#dispatch({ type: "joining" });
    const outgoing = this.#parts.local.outgoing();
    const tracks = Object.fromEntries(SOURCE_KINDS.map((kind) => [kind, outgoing[kind].track]));
    try {
      const peer = this.#parts.createPeer(you.publish, slots, tracks, (state) => this.#mediaChanged(peer, state));
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

  #mediaChanged(peer: LessonPeer, state: RTCPeerConnectionState): void {
    if (peer !== this.#peer) return;
    if (state === "connected") this.#dispatch({ type: "media", media: "connected" });
    else if (state === "disconnected") this.#dispatch({ type: "media", media: "shaky" });
    else if (state === "failed") this.#lost("media-failed");
  }

  // ---- what is sent --------------------------------------------------------------------------------------

  /** The server begins from what it says of us in the snapshot that came with the join. */
  #rememberTold(): void {
    const sources = ownMember(this.#state)?.sources ?? {};
    this.#told = new Map(SOURCE_KINDS.flatMap((kind) => (sources[kind] === undefined ? [] : [[kind, sources[kind]]])));
  }

  async #syncSources(): Promise<void> {
    const peer = this.#peer;
    const socket = this.#socket;
    const { presence, you } = this.#state;
    if (peer === null || socket === null || presence !== "inside" || you === null) return;
    const outgoing = this.#parts.local.outgoing();
    for (const kind of you.publish) {
      const { track, on } = outgoing[kind];
      if (this.#told.get(kind) !== on) {
        this.#told.set(kind, on);
        socket.request({ type: "source", kind, on }).catch((error: unknown) => {
          // On a lost line the next join tells it anew.
          if (socket === this.#socket) console.warn(`the server was not told of ${kind}`, error);
        });
      }
      try {
        await peer.send(kind, track);
      } catch (error) {
        console.warn(`${kind} can't be sent`, error);
      }
    }
  }

  // ---- state ---------------------------------------------------------------------------------------------

  #setPeer(peer: LessonPeer): void {
    this.#peer?.close();
    this.#peer = peer;
    this.#notify();
  }

  #closePeer(): void {
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
    this.#notify();
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
