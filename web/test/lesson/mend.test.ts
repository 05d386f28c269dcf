import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Mender } from "../../src/lesson/mend";

let restart: ReturnType<typeof vi.fn<() => Promise<void>>>;
let giveUp: ReturnType<typeof vi.fn<() => void>>;
let mender: Mender;

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
  restart = vi.fn<() => Promise<void>>(() => Promise.resolve());
  giveUp = vi.fn<() => void>();
  mender = new Mender({ restart, giveUp });
  mender.changed("connected");
});
afterEach(() => {
  mender.stop();
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("media that stops", () => {
  it("for less than two seconds is left alone", async () => {
    mender.changed("disconnected");
    await pass(1_900);
    mender.changed("connected");
    await pass(60_000);
    expect(restart).not.toHaveBeenCalled();
  });

  it("for two seconds, or for good, is restarted once", async () => {
    mender.changed("disconnected");
    await pass(2_000);
    expect(restart).toHaveBeenCalledTimes(1);
    mender.changed("connected");
    await pass(60_000);
    expect(restart).toHaveBeenCalledTimes(1);
    mender.changed("failed");
    expect(restart).toHaveBeenCalledTimes(2);
  });

  it("is restarted again when that did not help, and given up after fifteen seconds", async () => {
    mender.changed("failed");
    await pass(14_900);
    expect(restart.mock.calls.length).toBeGreaterThanOrEqual(3);
    expect(restart.mock.calls.length).toBeLessThanOrEqual(6);
    expect(giveUp).not.toHaveBeenCalled();
    await pass(100);
    expect(giveUp).toHaveBeenCalledOnce();
  });

  it("has at most one restart under way", async () => {
    let answer: () => void = () => undefined;
    restart.mockImplementation(() => new Promise((resolve) => (answer = resolve)));
    mender.changed("failed");
    mender.networkChanged();
    mender.changed("failed");
    await pass(1_000);
    expect(restart).toHaveBeenCalledTimes(1);
    answer();
    await pass(0);
    // What was called for meanwhile was not in that offer.
    expect(restart).toHaveBeenCalledTimes(2);
  });

  it("is tried again soon when a restart was refused", async () => {
    restart.mockRejectedValueOnce(new Error("no"));
    mender.changed("failed");
    await pass(1_000);
    expect(restart).toHaveBeenCalledTimes(2);
  });
});

describe("a line that is down", () => {
  it("lets restarts and giving up wait until it is back", async () => {
    mender.lineChanged(false);
    mender.changed("failed");
    await pass(60_000);
    expect(restart).not.toHaveBeenCalled();
    expect(giveUp).not.toHaveBeenCalled();
    mender.lineChanged(true);
    expect(restart).toHaveBeenCalledTimes(1);
  });

  it("that drops in the midst stops the clock", async () => {
    mender.changed("failed");
    await pass(10_000);
    mender.lineChanged(false);
    await pass(60_000);
    expect(giveUp).not.toHaveBeenCalled();
    mender.lineChanged(true);
    await pass(14_900);
    expect(giveUp).not.toHaveBeenCalled();
    await pass(200);
    expect(giveUp).toHaveBeenCalledOnce();
  });
});

describe("another network", () => {
  it("is a restart even while media seems well, and no more than that", async () => {
    mender.networkChanged();
    expect(restart).toHaveBeenCalledTimes(1);
    await pass(60_000);
    expect(restart).toHaveBeenCalledTimes(1);
    expect(giveUp).not.toHaveBeenCalled();
  });

  it("whose restart fails is tried again", async () => {
    restart.mockRejectedValueOnce(new Error("the line was dead"));
    mender.networkChanged();
    await pass(1_000);
    expect(restart).toHaveBeenCalledTimes(2);
  });
});

it("does nothing once it was stopped", async () => {
  mender.changed("disconnected");
  mender.stop();
  mender.changed("failed");
  mender.networkChanged();
  await pass(60_000);
  expect(restart).not.toHaveBeenCalled();
  expect(giveUp).not.toHaveBeenCalled();
});
