/** The messages of PROTOCOL.md sections 3 and 4: types of both directions, and the reading of the server's. */

import { count, type Fields, fields, flag, knownOf, listOf, oneOf, optionalText, text } from "./check";
import {
  type Codecs,
  type Contact,
  type IceServer,
  type Lesson,
  LESSON_STATES,
  type Member,
  type OfferedSlot,
  type OfferedSource,
  type Play,
  RECORDING_STATES,
  ROLES,
  type SlotCounts,
  type Snapshot,
  SOURCE_KINDS,
  type SourceKind,
  type SourceRef,
  type SourcesOn,
  type You,
} from "./values";

export type ClientMessage =
  | HelloMessage
  | { readonly type: "open" }
  | JoinMessage
  | { readonly type: "restart"; readonly offer: string }
  | { readonly type: "source"; readonly kind: SourceKind; readonly on: boolean }
  | { readonly type: "end" }
  | { readonly type: "leave" };

/** `resume`: this page's endpoint lives. `replaces`: a page of before had one, which is to go. */
export interface HelloMessage {
  readonly type: "hello";
  readonly version: number;
  readonly token: string;
  readonly resume?: string;
  readonly replaces?: string;
}

export interface JoinMessage {
  readonly type: "join";
  readonly label?: string;
  readonly headcount?: number;
  readonly offer: string;
  readonly sources: readonly OfferedSource[];
  readonly slots: readonly OfferedSlot[];
}

interface Answering {
  /** The `id` of the request that this message answers. */
  readonly re?: number;
}

interface Resumable {
  /** The secret that leads back to this endpoint, good once. */
  readonly resume: string;
  readonly iceServers: readonly IceServer[];
}

export interface Welcome extends Answering, Resumable {
  readonly type: "welcome";
  readonly version: number;
  readonly endpoint: string;
  readonly lesson: Lesson;
  readonly you: You;
  readonly slots: SlotCounts;
  readonly contact: Contact | null;
}

export interface Resumed extends Answering, Resumable {
  readonly type: "resumed";
  readonly endpoint: string;
  readonly lesson: Lesson;
  readonly joined: boolean;
  readonly snapshot: Snapshot;
}

export interface Joined extends Answering {
  readonly type: "joined";
  readonly answer: string;
  readonly sources: readonly SourceKind[];
  readonly snapshot: Snapshot;
  readonly iceServers: readonly IceServer[];
}

export interface Restarted extends Answering {
  readonly type: "restarted";
  readonly answer: string;
  readonly iceServers: readonly IceServer[];
}

export interface ErrorMessage extends Answering {
  readonly type: "error";
  readonly code: string;
  readonly text: string;
  readonly fatal: boolean;
}

export type ServerMessage =
  | Welcome
  | Resumed
  | Joined
  | Restarted
  | ({ readonly type: "snapshot" } & Snapshot & Answering)
  | ({ readonly type: "lesson"; readonly lesson: Lesson } & Answering)
  | ({
      readonly type: "members";
      readonly changed: readonly Member[];
      readonly gone: readonly string[];
      readonly revision: number;
    } & Answering)
  | ({ readonly type: "slots"; readonly slots: readonly Play[]; readonly revision: number } & Answering)
  | ({ readonly type: "codecs"; readonly codecs: Codecs } & Answering)
  | ({ readonly type: "done" } & Answering)
  | ErrorMessage;

/** Reads one text frame. Gives null for a type that this client does not know; throws for one that is malformed. */
export function readServerMessage(frame: string): ServerMessage | null {
  const body = fields(JSON.parse(frame), "message");
  const re = body["re"];
  const answering: Answering = re === undefined || re === null ? {} : { re: count(re, "re") };
  const read = READERS[text(body["type"], "type")];
  return read === undefined ? null : { ...read(body), ...answering };
}

const READERS: Partial<Record<string, (body: Fields) => ServerMessage>> = {
  welcome: (body) => ({
    type: "welcome",
    version: count(body["version"], "version"),
    endpoint: text(body["endpoint"], "endpoint"),
    lesson: readLesson(body["lesson"], "lesson"),
    you: readYou(body["you"], "you"),
    slots: readSlotCounts(body["slots"], "slots"),
    contact: readContact(body["contact"], "contact"),
    ...readResumable(body),
  }),
  resumed: (body) => ({
    type: "resumed",
    endpoint: text(body["endpoint"], "endpoint"),
    lesson: readLesson(body["lesson"], "lesson"),
    joined: flag(body["joined"], "joined"),
    snapshot: readSnapshot(fields(body["snapshot"], "snapshot"), "snapshot."),
    ...readResumable(body),
  }),
  joined: (body) => ({
    type: "joined",
    answer: text(body["answer"], "answer"),
    sources: knownOf(body["sources"], SOURCE_KINDS, "sources"),
    snapshot: readSnapshot(fields(body["snapshot"], "snapshot"), "snapshot."),
    iceServers: readIceServers(body["iceServers"]),
  }),
  restarted: (body) => ({
    type: "restarted",
    answer: text(body["answer"], "answer"),
    iceServers: readIceServers(body["iceServers"]),
  }),
  snapshot: (body) => ({ type: "snapshot", ...readSnapshot(body, "") }),
  lesson: (body) => ({ type: "lesson", lesson: readLesson(body["lesson"], "lesson") }),
  members: (body) => ({
    type: "members",
    changed: listOf(body["changed"], "changed", readMember),
    gone: listOf(body["gone"], "gone", text),
    revision: count(body["revision"], "revision"),
  }),
  slots: (body) => ({
    type: "slots",
    slots: listOf(body["slots"], "slots", readPlay),
    revision: count(body["revision"], "revision"),
  }),
  codecs: (body) => ({ type: "codecs", codecs: readCodecs(body["codecs"], "codecs") }),
  done: () => ({ type: "done" }),
  error: (body) => ({
    type: "error",
    code: text(body["code"], "code"),
    text: text(body["text"], "text"),
    fatal: flag(body["fatal"], "fatal"),
  }),
};

function readResumable(body: Fields): Resumable {
  return {
    resume: text(body["resume"], "resume"),
    iceServers: readIceServers(body["iceServers"]),
  };
}

function readIceServers(value: unknown): IceServer[] {
  return listOf(value, "iceServers", (item, where) => {
    const body = fields(item, where);
    const username = optionalText(body["username"], `${where}.username`);
    const credential = optionalText(body["credential"], `${where}.credential`);
    return {
      urls: listOf(body["urls"], `${where}.urls`, text),
      // A STUN server has neither, and the browser wants them absent then.
      ...(username === null ? {} : { username }),
      ...(credential === null ? {} : { credential }),
    };
  });
}

function readContact(value: unknown, where: string): Contact | null {
  if (value === null || value === undefined) return null;
  const body = fields(value, where);
  return { text: text(body["text"], `${where}.text`), phone: text(body["phone"], `${where}.phone`) };
}

function readLesson(value: unknown, where: string): Lesson {
  const body = fields(value, where);
  return {
    id: text(body["id"], `${where}.id`),
    title: text(body["title"], `${where}.title`),
    course: text(body["course"], `${where}.course`),
    state: oneOf(body["state"], LESSON_STATES, `${where}.state`),
    recording: oneOf(body["recording"], RECORDING_STATES, `${where}.recording`),
  };
}

function readYou(value: unknown, where: string): You {
  const body = fields(value, where);
  return {
    role: oneOf(body["role"], ROLES, `${where}.role`),
    site: text(body["site"], `${where}.site`),
    room: optionalText(body["room"], `${where}.room`),
    publish: knownOf(body["publish"], SOURCE_KINDS, `${where}.publish`),
    teaches: flag(body["teaches"], `${where}.teaches`),
    may_open: flag(body["may_open"], `${where}.may_open`),
    may_end: flag(body["may_end"], `${where}.may_end`),
  };
}

function readSlotCounts(value: unknown, where: string): SlotCounts {
  const body = fields(value, where);
  return { pairs: count(body["pairs"], `${where}.pairs`), voices: count(body["voices"], `${where}.voices`) };
}

function readSnapshot(body: Fields, where: string): Snapshot {
  return {
    lesson: readLesson(body["lesson"], `${where}lesson`),
    members: listOf(body["members"], `${where}members`, readMember),
    slots: listOf(body["slots"], `${where}slots`, readPlay),
    codecs: readCodecs(body["codecs"], `${where}codecs`),
    revision: count(body["revision"], `${where}revision`),
  };
}

function readCodecs(value: unknown, where: string): Codecs {
  const body = fields(value, where);
  const known = SOURCE_KINDS.filter((kind) => body[kind] !== undefined);
  return Object.fromEntries(known.map((kind) => [kind, text(body[kind], `${where}.${kind}`)]));
}

function readMember(value: unknown, where: string): Member {
  const body = fields(value, where);
  return {
    endpoint: text(body["endpoint"], `${where}.endpoint`),
    role: oneOf(body["role"], ROLES, `${where}.role`),
    site: text(body["site"], `${where}.site`),
    room: optionalText(body["room"], `${where}.room`),
    label: optionalText(body["label"], `${where}.label`),
    headcount: count(body["headcount"], `${where}.headcount`),
    teaches: flag(body["teaches"], `${where}.teaches`),
    away: flag(body["away"], `${where}.away`),
    sources: readSourcesOn(body["sources"], `${where}.sources`),
  };
}

function readSourcesOn(value: unknown, where: string): SourcesOn {
  const body = fields(value, where);
  const sources: Partial<Record<SourceKind, boolean>> = {};
  for (const kind of SOURCE_KINDS) {
    if (body[kind] !== undefined) sources[kind] = flag(body[kind], `${where}.${kind}`);
  }
  return sources;
}

function readPlay(value: unknown, where: string): Play {
  const body = fields(value, where);
  return {
    index: count(body["index"], `${where}.index`),
    picture: readSourceRef(body["picture"], `${where}.picture`),
    voice: readSourceRef(body["voice"], `${where}.voice`),
  };
}

function readSourceRef(value: unknown, where: string): SourceRef | null {
  if (value === null || value === undefined) return null;
  const body = fields(value, where);
  return {
    endpoint: text(body["endpoint"], `${where}.endpoint`),
    kind: oneOf(body["kind"], SOURCE_KINDS, `${where}.kind`),
  };
}
