/**
 * One WebSocket of the signalling protocol: numbers requests, matches answers, and hands everything else on in
 * order. It does not come back by itself; the lesson's session makes a new one.
 */

import { knownCode, RequestError } from "./errors";
import { type ClientMessage, readServerMessage, type ServerMessage } from "./messages";

/** The part of a browser's WebSocket that is used here: the seam for tests. */
export type SocketLike = Pick<WebSocket, "send" | "close"> & {
  onopen: ((event: Event) => unknown) | null;
  onmessage: ((event: MessageEvent) => unknown) | null;
  onclose: ((event: CloseEvent) => unknown) | null;
};

export interface SocketEvents {
  readonly opened: () => void;
  /** Every message of the server, answers included, in the order in which they came. */
  readonly message: (message: ServerMessage) => void;
  /** The connection is gone; called once, not after close(). */
  readonly closed: (code: number) => void;
}

/** A server that has not answered in this time is as good as gone; the slowest answer is that of a join. */
const ANSWER_WITHIN_MS = 10_000;
/** Requests that wait for their answer; a page that has more has lost its server. */
const MAX_PENDING = 32;
const CLOSED_MALFORMED = 4000;

interface Pending {
  readonly settle: (message: ServerMessage) => void;
  readonly fail: (error: RequestError) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

export class SignallingSocket {
  readonly #socket: SocketLike;
  readonly #events: SocketEvents;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #finished = false;

  constructor(socket: SocketLike, events: SocketEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.onopen = () => {
      if (!this.#finished) events.opened();
    };
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = (event) => this.#finish(event.code);
  }

  /** Sends a request and gives the message that answers it. Throws RequestError when refused or not answered. */
  request(message: ClientMessage, withinMs = ANSWER_WITHIN_MS): Promise<ServerMessage> {
    return new Promise((settle, fail) => {
      if (this.#finished || this.#pending.size >= MAX_PENDING) {
        fail(new RequestError("no-answer", "the connection is not open"));
        return;
      }
      const id = this.#nextId;
      this.#nextId = (id % 0x7fffffff) + 1;
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        fail(new RequestError("no-answer", `no answer to ${message.type}`));
      }, withinMs);
      this.#pending.set(id, { settle, fail, timer });
      this.#socket.send(JSON.stringify({ ...message, id }));
    });
  }

  /** Closes without a word to `closed`; every waiting request fails. */
  close(): void {
    if (this.#finished) return;
    this.#release();
    this.#socket.close(1000);
  }

  #receive(frame: unknown): void {
    if (this.#finished) return;
    let message: ServerMessage | null;
    try {
      if (typeof frame !== "string") throw new TypeError("a binary frame");
      message = readServerMessage(frame);
    } catch (error) {
      // What can't be read can't be trusted to be only this message: a fresh connection starts from a whole state.
      console.warn("malformed message from the server", error);
      this.#finish(CLOSED_MALFORMED);
      this.#socket.close(CLOSED_MALFORMED);
      return;
    }
    if (message === null) return;
    // State first, so that whoever awaited the answer sees the state that came with it.
    this.#events.message(message);
    if (message.re !== undefined) this.#settle(message.re, message);
  }

  #settle(id: number, message: ServerMessage): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    if (message.type === "error") pending.fail(new RequestError(knownCode(message.code), message.text));
    else pending.settle(message);
  }

  #finish(code: number): void {
    if (this.#finished) return;
    this.#release();
    this.#events.closed(code);
  }

  #release(): void {
    this.#finished = true;
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.fail(new RequestError("no-answer", "the connection closed"));
    }
    this.#pending.clear();
  }
}
