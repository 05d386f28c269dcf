/**
 * Keeps the media of one join alive: when to restart ICE, when to try again, and when to give the peer up.
 * Only timers and decisions; the deeds are its owner's. At most one restart is under way.
 */

export interface MendDeeds {
  /** One ICE restart, to the end of its answer. Rejects when it did not come about. */
  readonly restart: () => Promise<void>;
  /** It did not help: leave this peer. */
  readonly giveUp: () => void;
}

/** A path that blinks mends itself; Chromium says `disconnected` after about 7 s of silence, Firefox after 10. */
const DISCONNECTED_FOR_MS = 2_000;
/** Checks and, behind a relay, an allocation need this long before another restart may disturb them. */
const CONNECTS_WITHIN_MS = [3_000, 4_000, 5_000, 5_000];
/** After a restart that was not even answered. */
const ANSWERLESS_PAUSE_MS = 1_000;
const GIVE_UP_AFTER_MS = 15_000;

type Timer = ReturnType<typeof setTimeout> | undefined;

export class Mender {
  readonly #deeds: MendDeeds;
  #connected = false;
  #lineOpen = true;
  /** A restart is called for. */
  #due = false;
  #busy = false;
  #attempt = 0;
  #pause: Timer;
  #deadline: Timer;
  #stopped = false;

  constructor(deeds: MendDeeds) {
    this.#deeds = deeds;
  }

  /** The peer connection says so. */
  changed(state: RTCPeerConnectionState): void {
    this.#connected = state === "connected";
    if (state === "connected") this.#rest();
    else if (state === "disconnected") this.#callAfter(DISCONNECTED_FOR_MS);
    else if (state === "failed") this.#call();
  }

  /** Another network: the old path may be dead without anybody having noticed. */
  networkChanged(): void {
    this.#call();
  }

  /** Restarts travel over the line: without it they wait, and so does giving up. */
  lineChanged(open: boolean): void {
    if (open === this.#lineOpen) return;
    this.#lineOpen = open;
    if (open) {
      this.#go();
    } else {
      clearTimeout(this.#deadline);
      this.#deadline = undefined;
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#rest();
  }

  /** Nothing to mend. */
  #rest(): void {
    clearTimeout(this.#pause);
    clearTimeout(this.#deadline);
    this.#pause = undefined;
    this.#deadline = undefined;
    this.#due = false;
    this.#attempt = 0;
  }

  #callAfter(wait: number): void {
    if (this.#pause !== undefined) return;
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      this.#call();
    }, wait);
  }

  #call(): void {
    if (this.#stopped) return;
    clearTimeout(this.#pause);
    this.#pause = undefined;
    this.#due = true;
    this.#go();
  }

  #go(): void {
    if (!this.#due || this.#busy || !this.#lineOpen || this.#stopped) return;
    this.#due = false;
    this.#busy = true;
    this.#deadline ??= setTimeout(() => {
      if (this.#connected) this.#rest();
      else this.#deeds.giveUp();
    }, GIVE_UP_AFTER_MS);
    void this.#restart();
  }

  async #restart(): Promise<void> {
    let wait = ANSWERLESS_PAUSE_MS;
    let answered = false;
    try {
      await this.#deeds.restart();
      answered = true;
      wait = CONNECTS_WITHIN_MS[Math.min(this.#attempt, CONNECTS_WITHIN_MS.length - 1)] ?? wait;
      this.#attempt += 1;
    } catch (error) {
      console.warn("the ICE restart failed", error);
    }
    this.#busy = false;
    if (this.#stopped) return;
    if (this.#due) this.#go();
    // After a change of network the old path can still be good: an answer is then all there is to wait for.
    else if (answered && this.#connected) this.#rest();
    else this.#callAfter(wait);
  }
}
