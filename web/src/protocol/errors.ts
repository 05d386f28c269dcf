/** The stable error codes of PROTOCOL.md section 6, and those that only this client can notice. */

export const SERVER_ERROR_CODES = [
  "message-invalid",
  "message-too-large",
  "too-many-messages",
  "hello-expected",
  "version-unsupported",
  "token-invalid",
  "token-expired",
  "lesson-unknown",
  "lesson-ended",
  "resume-failed",
  "replaced",
  "lesson-not-open",
  "lesson-full",
  "not-granted",
  "not-joined",
  "already-joined",
  "sdp-invalid",
  "sdp-unsupported",
  "too-slow",
  "media-failed",
  "server-full",
  "server-stopping",
  "internal",
] as const;
export type ServerErrorCode = (typeof SERVER_ERROR_CODES)[number];

/** `token-missing`: the link had none. `no-answer`: a request timed out. `browser-unsupported`: no WebRTC here. */
export const CLIENT_ERROR_CODES = ["token-missing", "no-answer", "browser-unsupported"] as const;
export type ErrorCode = ServerErrorCode | (typeof CLIENT_ERROR_CODES)[number];

/**
 * What the page does after an error: `retry` comes back by itself with a growing wait, `ask` waits for a press,
 * `final` can't be helped from this page.
 */
export type Recovery = "retry" | "ask" | "final";

const RECOVERY: Record<ErrorCode, Recovery> = {
  "message-invalid": "ask",
  "message-too-large": "ask",
  "too-many-messages": "ask",
  "hello-expected": "retry",
  "version-unsupported": "final",
  "token-invalid": "final",
  "token-expired": "final",
  "token-missing": "final",
  "lesson-unknown": "final",
  "lesson-ended": "final",
  "resume-failed": "retry",
  replaced: "ask",
  "lesson-not-open": "retry",
  "lesson-full": "ask",
  "not-granted": "ask",
  "not-joined": "retry",
  "already-joined": "retry",
  "sdp-invalid": "ask",
  "sdp-unsupported": "final",
  "too-slow": "retry",
  "media-failed": "retry",
  "server-full": "ask",
  "server-stopping": "retry",
  internal: "retry",
  "no-answer": "retry",
  "browser-unsupported": "final",
};

export function recoveryOf(code: ErrorCode): Recovery {
  return RECOVERY[code];
}

/** A server newer than this page may send a code that it does not know: that is a fault of ours, not of the user. */
export function knownCode(code: string): ErrorCode {
  return (SERVER_ERROR_CODES as readonly string[]).includes(code) ? (code as ServerErrorCode) : "internal";
}

/** A request that the server refused, or that got no answer. */
export class RequestError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, text: string) {
    super(`${code}: ${text}`);
    this.name = "RequestError";
    this.code = code;
  }
}
