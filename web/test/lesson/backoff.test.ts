import { describe, expect, it } from "vitest";
import { waitBeforeAttempt } from "../../src/lesson/backoff";

describe("the wait before another attempt", () => {
  it("is none at first, and grows to 15 seconds and no further", () => {
    const longest = Array.from({ length: 40 }, (_, attempt) => waitBeforeAttempt(attempt, 0));
    expect(longest.slice(0, 8)).toEqual([0, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
    expect(Math.max(...longest)).toBe(15_000);
  });

  it("spreads a school's devices over half of it", () => {
    expect(waitBeforeAttempt(5, 0.999999)).toBe(4000);
    expect(waitBeforeAttempt(5, 0.5)).toBe(6000);
  });
});
