/**
 * Everything that a page plays, and the leave to play it. Browsers let sound begin only in a press: `unlock` is
 * called in that of the join, before there is anything to hear, and starts the elements that the slots' voices
 * will use; an element that was started in a press may be given another stream at any time (Safari's rule, which
 * the others share). Where that was not enough, `blocked` says so and `playAll` is for another press.
 */
export class Playback {
  readonly #listeners = new Set<() => void>();
  readonly #voices: HTMLAudioElement[] = [];
  readonly #refused = new Set<HTMLMediaElement>();

  /** An element would not play without a press. */
  get blocked(): boolean {
    return this.#refused.size > 0;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** In a press, and before its first `await`: starts `count` silent elements. */
  unlock(count: number): void {
    for (let index = 0; index < count; index += 1) {
      // Without a stream it waits for one, or is refused for the lack of it: that it was asked in a press counts.
      this.voice(index).play().catch(() => undefined);
    }
  }

  /** The one element of a slot's voice, as long as the page lives. */
  voice(index: number): HTMLAudioElement {
    const made = this.#voices[index];
    if (made !== undefined) return made;
    const audio = document.createElement("audio");
    audio.autoplay = true;
    audio.dataset["voice"] = String(index);
    this.#voices[index] = audio;
    return audio;
  }

  /** Plays what the element has; waits for nothing, since a slot can be empty for the whole lesson. */
  play(element: HTMLMediaElement): void {
    element.play().then(
      () => this.#settle(element, false),
      // AbortError is another stream; only the first of these needs a press.
      (error: unknown) => this.#settle(element, isRefusal(error)),
    );
  }

  /** The element is gone or empty. */
  forget(element: HTMLMediaElement): void {
    this.#settle(element, false);
  }

  /** In a press: plays everything that was refused, and the silent ones so that they will sound later. */
  playAll(): void {
    const every = new Set<HTMLMediaElement>([...this.#voices, ...this.#refused]);
    this.#refused.clear();
    this.#notify();
    for (const element of every) this.play(element);
  }

  #settle(element: HTMLMediaElement, refused: boolean): void {
    const was = this.blocked;
    if (refused) this.#refused.add(element);
    else this.#refused.delete(element);
    if (this.blocked !== was) this.#notify();
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof DOMException && error.name === "NotAllowedError";
}
