/**
 * What a page knows of its lesson, and the pure function that every event goes through. No socket, no clock, no
 * media: `session.ts` feeds it, the pages read it.
 */

import { type ErrorCode, knownCode, recoveryOf } from "../protocol/errors";
import type { Resumed, ServerMessage, Welcome } from "../protocol/messages";
import type { Codecs, Contact, Lesson, Member, Play, SlotCounts, Snapshot, You } from "../protocol/values";

export type Line =
  | { readonly state: "connecting" }
  | { readonly state: "open" }
  /** Lost, and coming back by itself. `attempt` counts from 1; `code` says why, where the server said it. */
  | { readonly state: "returning"; readonly attempt: number; readonly code: ErrorCode | null }
  /** Over until somebody presses "try again", or for good (see `recoveryOf`). */
  | { readonly state: "stopped"; readonly code: ErrorCode }
  | { readonly state: "left" };

/** How far into the lesson: `wanted` waits for the lesson to go live or for the line to come back. */
export type Presence = "outside" | "wanted" | "joining" | "inside";

/** The transport of media, as the browser tells it: `shaky` has just stopped, `down` has failed. */
export type MediaLine = "none" | "connecting" | "connected" | "shaky" | "down";

export interface LessonState {
  readonly line: Line;
  readonly presence: Presence;
  /** It has been inside and has not left: a lost line is to be mended, not to be begun again. */
  readonly entered: boolean;
  readonly media: MediaLine;
  readonly endpoint: string | null;
  readonly you: You | null;
  readonly slots: SlotCounts;
  readonly lesson: Lesson | null;
  /** In the order in which they came. */
  readonly members: readonly Member[];
  /** By slot index; an index that is not here is empty. */
  readonly plays: readonly Play[];
  /** As which codec to send what can be sent as several. */
  readonly codecs: Codecs;
  readonly revision: number;
  /** A teaching member has been seen, so that one who is not there is missing. */
  readonly taught: boolean;
  /** What to do when nothing works; kept from the first welcome on. */
  readonly contact: Contact | null;
  /** A refusal that did not end the connection; it goes when the next request succeeds. */
  readonly problem: ErrorCode | null;
}

export const INITIAL_STATE: LessonState = {
  line: { state: "connecting" },
  presence: "outside",
  entered: false,
  media: "none",
  endpoint: null,
  you: null,
  slots: { pairs: 0, voices: 0 },
  lesson: null,
  members: [],
  plays: [],
  codecs: {},
  revision: -1,
  taught: false,
  contact: null,
  problem: null,
};

export type LessonEvent =
  | { readonly type: "server"; readonly message: ServerMessage }
  /**
   * The line is gone, or media is; `attempt` is that of the attempt that will follow. `keeps`: media goes on by
   * itself, and so does everything that was known.
   */
  | { readonly type: "lost"; readonly attempt: number; readonly code: ErrorCode | null; readonly keeps: boolean }
  /** The place that was to be resumed is not there any more. */
  | { readonly type: "displaced" }
  /** The page was reloaded in the midst of a lesson. */
  | { readonly type: "restored"; readonly contact: Contact | null; readonly inside: boolean }
  | { readonly type: "retrying" }
  | { readonly type: "stopped"; readonly code: ErrorCode }
  | { readonly type: "wanted" }
  | { readonly type: "joining" }
  | { readonly type: "refused"; readonly code: ErrorCode }
  | { readonly type: "media"; readonly media: MediaLine }
  | { readonly type: "left" };

export function reduce(state: LessonState, event: LessonEvent): LessonState {
  switch (event.type) {
    case "server":
      return reduceMessage(state, event.message);
    case "lost":
      if (isOver(state)) return state;
      return {
        ...(event.keeps ? state : displaced(state)),
        line: { state: "returning", attempt: event.attempt, code: event.code ?? reasonOf(state.line) },
      };
    case "displaced":
      return displaced(state);
    case "restored":
      return {
        ...state,
        contact: event.contact,
        ...(event.inside ? { presence: "wanted", entered: true } : {}),
      };
    case "retrying":
      if (isOver(state)) return state;
      // The words of a lost line stay until it is back: an attempt is not yet good news.
      return state.line.state === "returning" ? state : { ...state, line: { state: "connecting" } };
    case "stopped":
      return { ...outside(state), presence: "outside", entered: false, line: { state: "stopped", code: event.code } };
    case "wanted":
      return { ...state, presence: "wanted", problem: null };
    case "joining":
      return { ...state, presence: "joining", media: "connecting", problem: null };
    case "refused":
      return { ...outside(state), presence: "outside", entered: false, problem: event.code };
    case "media":
      return { ...state, media: event.media };
    case "left":
      return { ...outside(state), presence: "outside", entered: false, line: { state: "left" } };
  }
}

function reduceMessage(state: LessonState, message: ServerMessage): LessonState {
  switch (message.type) {
    case "welcome":
      return welcomed(state, message);
    case "resumed":
      return resumed(state, message);
    case "joined":
      // A new connection may be one to a server that has started again and counts from the beginning.
      return { ...whole(state, message.snapshot), presence: "inside", entered: true, problem: null };
    case "snapshot":
      return message.revision < state.revision ? state : whole(state, message);
    case "lesson":
      return { ...state, lesson: message.lesson };
    case "members":
      if (message.revision < state.revision) return state;
      return seen({ ...state, members: mergeMembers(state.members, message), revision: message.revision });
    case "slots":
      if (message.revision < state.revision) return state;
      return { ...state, plays: message.slots, revision: message.revision };
    case "codecs":
      return { ...state, codecs: message.codecs };
    case "restarted":
    case "done":
      return state;
    case "error":
      return message.fatal ? stoppedBy(state, knownCode(message.code)) : state;
  }
}

function welcomed(state: LessonState, welcome: Welcome): LessonState {
  return {
    ...outside(state),
    line: { state: "open" },
    endpoint: welcome.endpoint,
    you: welcome.you,
    slots: welcome.slots,
    lesson: welcome.lesson,
    contact: welcome.contact,
    revision: -1,
  };
}

/** The same endpoint on another connection: nothing began anew but the counting, where the server did. */
function resumed(state: LessonState, message: Resumed): LessonState {
  const open: LessonState = { ...state, line: { state: "open" }, endpoint: message.endpoint, lesson: message.lesson };
  return message.joined ? whole(open, message.snapshot) : displaced(open);
}

function whole(state: LessonState, snapshot: Snapshot): LessonState {
  return seen({
    ...state,
    lesson: snapshot.lesson,
    members: snapshot.members,
    plays: snapshot.slots,
    codecs: snapshot.codecs,
    revision: snapshot.revision,
  });
}

function seen(state: LessonState): LessonState {
  return state.taught || !state.members.some((member) => member.teaches) ? state : { ...state, taught: true };
}

function mergeMembers(
  members: readonly Member[],
  change: { readonly changed: readonly Member[]; readonly gone: readonly string[] },
): readonly Member[] {
  const byEndpoint = new Map(members.map((member) => [member.endpoint, member]));
  for (const member of change.changed) byEndpoint.set(member.endpoint, member);
  for (const endpoint of change.gone) byEndpoint.delete(endpoint);
  return [...byEndpoint.values()];
}

function stoppedBy(state: LessonState, code: ErrorCode): LessonState {
  if (code === "lesson-ended" && state.lesson !== null) {
    return { ...state, lesson: { ...state.lesson, state: "ended" } };
  }
  // What can be mended by coming back is said by the `lost` that follows the closing of the connection.
  return recoveryOf(code) === "retry" ? state : reduce(state, { type: "stopped", code });
}

/** Why the line was lost stays true while attempts fail without a word. */
function reasonOf(line: Line): ErrorCode | null {
  return line.state === "returning" ? line.code : null;
}

/** Out of the lesson without having wanted to: what was pressed counts. */
function displaced(state: LessonState): LessonState {
  return { ...outside(state), presence: state.presence === "outside" ? "outside" : "wanted" };
}

function outside(state: LessonState): LessonState {
  return { ...state, members: [], plays: [], codecs: {}, media: "none", problem: null };
}

/** Nothing more will happen here unless somebody presses something. */
export function isOver(state: LessonState): boolean {
  return state.lesson?.state === "ended" || state.line.state === "stopped" || state.line.state === "left";
}

export function ownMember(state: LessonState): Member | null {
  return state.members.find((member) => member.endpoint === state.endpoint) ?? null;
}

/**
 * A live lesson waits while no teaching member is there or all are away (PROTOCOL.md section 4). A teacher's own
 * page is one, whatever its line does.
 */
export function waitsForTeacher({ lesson, you, presence, members }: LessonState): boolean {
  if (lesson?.state !== "live" || presence !== "inside" || you === null || you.teaches) return false;
  return !members.some((member) => member.teaches && !member.away);
}

/** Everybody but this endpoint. */
export function otherMembers(state: LessonState): readonly Member[] {
  return state.members.filter((member) => member.endpoint !== state.endpoint);
}
