import { beforeEach, describe, expect, it, vi } from "vitest";
import { Playback } from "../../src/media/playback";
import { settled } from "../support";

const refused = () => Promise.reject(new DOMException("", "NotAllowedError"));
let playback: Playback;
const play = vi.fn<() => Promise<void>>();

beforeEach(() => {
  playback = new Playback();
  play.mockReset();
  play.mockResolvedValue(undefined);
  HTMLMediaElement.prototype.play = play;
});

describe("the elements of the voices", () => {
  it("are made and started in the press of the join, and are the ones that play later", async () => {
    playback.unlock(3);
    const started = play.mock.contexts;
    expect(started).toEqual([0, 1, 2].map((index) => playback.voice(index)));
    play.mockImplementation(refused);
    playback.unlock(1);
    await settled();
    // There was nothing to hear yet, so nothing was missed.
    expect(playback.blocked).toBe(false);
  });
});

describe("a browser that will not play", () => {
  it("is noticed, and one press plays all", async () => {
    const heard = vi.fn();
    playback.subscribe(heard);
    const video = document.createElement("video");
    play.mockImplementation(refused);
    playback.play(playback.voice(0));
    playback.play(video);
    await settled();
    expect(playback.blocked).toBe(true);
    play.mockReset();
    play.mockResolvedValue(undefined);
    playback.voice(1);
    playback.playAll();
    await settled();
    expect(new Set(play.mock.contexts)).toEqual(new Set([playback.voice(0), playback.voice(1), video]));
    expect(playback.blocked).toBe(false);
    expect(heard).toHaveBeenCalledTimes(2);
  });

  it("is not what an element without a stream says", async () => {
    play.mockImplementation(() => Promise.reject(new DOMException("", "AbortError")));
    playback.play(playback.voice(0));
    await settled();
    expect(playback.blocked).toBe(false);
  });

  it("matters no more when the element is gone", async () => {
    play.mockImplementation(refused);
    playback.play(playback.voice(0));
    await settled();
    playback.forget(playback.voice(0));
    expect(playback.blocked).toBe(false);
  });
});
