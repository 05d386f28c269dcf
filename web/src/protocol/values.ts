/** The values of the wire contract (signalling/PROTOCOL.md, version 1), as they travel. */

export const PROTOCOL_VERSION = 1;

export const SOURCE_KINDS = ["camera", "document", "screen", "mic", "content"] as const;
export type SourceKind = (typeof SOURCE_KINDS)[number];

/** The kinds that travel as video; the others are audio. */
export const PICTURE_KINDS = ["camera", "document", "screen"] as const satisfies readonly SourceKind[];
export type PictureKind = (typeof PICTURE_KINDS)[number];

export function isPicture(kind: SourceKind): kind is PictureKind {
  return (PICTURE_KINDS as readonly SourceKind[]).includes(kind);
}

export const ROLES = ["kiosk", "school", "home", "workplace", "guest"] as const;
export type Role = (typeof ROLES)[number];

export const LESSON_STATES = ["waiting", "live", "ended"] as const;
export type LessonState = (typeof LESSON_STATES)[number];

export const RECORDING_STATES = ["off", "on", "failed"] as const;
export type RecordingState = (typeof RECORDING_STATES)[number];

export interface Lesson {
  readonly id: string;
  readonly title: string;
  readonly course: string;
  readonly state: LessonState;
  readonly recording: RecordingState;
}

/** A STUN or TURN server, as RTCPeerConnection takes it. */
export interface IceServer {
  readonly urls: readonly string[];
  readonly username?: string;
  readonly credential?: string;
}

/** What to do when nothing works, in words and by telephone. */
export interface Contact {
  readonly text: string;
  readonly phone: string;
}

/** What this endpoint is and what its grant allows. */
export interface You {
  readonly role: Role;
  readonly site: string;
  readonly room: string | null;
  readonly publish: readonly SourceKind[];
  readonly teaches: boolean;
  readonly may_open: boolean;
  readonly may_end: boolean;
}

export interface SlotCounts {
  /** Slots of picture and voice: indices 0 .. pairs-1. */
  readonly pairs: number;
  /** Slots of voice alone: indices pairs .. pairs+voices-1. */
  readonly voices: number;
}

export interface SourceRef {
  readonly endpoint: string;
  readonly kind: SourceKind;
}

/** What one slot plays; null is an empty picture or silence. */
export interface Play {
  readonly index: number;
  readonly picture: SourceRef | null;
  readonly voice: SourceRef | null;
}

export type SourcesOn = Readonly<Partial<Record<SourceKind, boolean>>>;

export interface Member {
  readonly endpoint: string;
  readonly role: Role;
  readonly site: string;
  readonly room: string | null;
  readonly label: string | null;
  readonly headcount: number;
  readonly teaches: boolean;
  /** Its line is cut and its place is kept, or nothing comes from it. */
  readonly away: boolean;
  readonly sources: SourcesOn;
}

/** As which codec to send a source that can change it: a name of SDP in lower case. */
export type Codecs = Readonly<Partial<Record<SourceKind, string>>>;

/** The whole state of a lesson as one endpoint sees it. */
export interface Snapshot {
  readonly lesson: Lesson;
  readonly members: readonly Member[];
  readonly slots: readonly Play[];
  readonly codecs: Codecs;
  readonly revision: number;
}

export interface OfferedSource {
  readonly kind: SourceKind;
  readonly mid: string;
  /** This client sends it as another codec when it is told to. */
  readonly changes_codec?: true;
}

export interface OfferedSlot {
  readonly index: number;
  readonly picture: string | null;
  readonly voice: string;
}
