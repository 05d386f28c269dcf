import { describe, expect, it } from "vitest";
import { meterFraction, rootMeanSquare } from "../../src/media/level";

describe("the meter", () => {
  it.each([
    [0, 0],
    [0.0001, 0],
    [0.001, 0],
    [10 ** (-35 / 20), 0.5],
    [10 ** (-10 / 20), 1],
    [1, 1],
  ])("of %f rms shows %f", (rms, fraction) => {
    expect(meterFraction(rms)).toBeCloseTo(fraction, 6);
  });

  it("measures a tone and silence", () => {
    const tone = Float32Array.from({ length: 4800 }, (_, at) => 0.5 * Math.sin((2 * Math.PI * 440 * at) / 48_000));
    expect(rootMeanSquare(tone)).toBeCloseTo(0.5 / Math.SQRT2, 3);
    expect(rootMeanSquare(new Float32Array(100))).toBe(0);
    expect(rootMeanSquare(new Float32Array(0))).toBe(0);
  });
});
