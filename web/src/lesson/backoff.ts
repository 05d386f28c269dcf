/**
 * How long to wait before the next attempt, in milliseconds: 1, 2, 4, 8, then 15 seconds, each shortened by up
 * to a half. A server that comes back would else meet a whole municipality in the same second.
 *
 * `attempt` counts from 0; `random` is in [0, 1).
 */
export function waitBeforeAttempt(attempt: number, random: number): number {
  const whole = Math.min(1000 * 2 ** attempt, 15_000);
  return Math.round(whole * (1 - random / 2));
}
