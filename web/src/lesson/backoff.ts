/**
 * How long to wait before an attempt to connect again, in milliseconds: at once, then 0.5, 1, 2, 4, 8 and at last
 * 15 seconds, each shortened by up to a half. A server that comes back would else meet a whole municipality in the
 * same moment; the first attempt is at once because most often only this line broke.
 *
 * `attempt` counts from 0; `random` is in [0, 1).
 */
export function waitBeforeAttempt(attempt: number, random: number): number {
  if (attempt === 0) return 0;
  const whole = Math.min(500 * 2 ** (attempt - 1), 15_000);
  return Math.round(whole * (1 - random / 2));
}
