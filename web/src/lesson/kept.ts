/**
 * What this page needs to find its place again after a reload, in session storage: no other tab sees it there
 * (one that the browser makes as a copy does, and then takes the place over).
 */

import type { Contact } from "../protocol/values";

/** What is shown beside the site, and how many people sit before the camera. */
export interface Presentation {
  readonly label: string | null;
  readonly headcount: number;
}

export interface Kept {
  /** The secret that leads back to the endpoint; null when it has none that could still be there. */
  readonly resume: string | null;
  /** It was in the lesson and had not left: it goes back in by itself. */
  readonly inside: boolean;
  readonly presentation: Presentation;
  /** Which devices were wanted: one that was switched off stays off. */
  readonly devices: { readonly camera: boolean; readonly mic: boolean };
  readonly contact: Contact | null;
}

export const NOTHING_KEPT: Kept = {
  resume: null,
  inside: false,
  presentation: { label: null, headcount: 1 },
  devices: { camera: true, mic: true },
  contact: null,
};

const KEY = "luokkasilta.place";

/** The drawer of one place (see placeOfToken), which no other lesson, role or site opens. */
export class Keeper {
  readonly #storage: Pick<Storage, "getItem" | "setItem">;
  readonly #key: string;
  #written: string | null = null;

  constructor(storage: Pick<Storage, "getItem" | "setItem">, place: string) {
    this.#storage = storage;
    this.#key = `${KEY}:${place}`;
  }

  /** Never throws: what can't be read was not kept. */
  read(): Kept {
    try {
      const read: unknown = JSON.parse(this.#storage.getItem(this.#key) ?? "null");
      return isKept(read) ? read : NOTHING_KEPT;
    } catch {
      return NOTHING_KEPT;
    }
  }

  write(kept: Kept): void {
    const written = JSON.stringify(kept);
    if (written === this.#written) return;
    this.#written = written;
    try {
      this.#storage.setItem(this.#key, written);
    } catch {
      // Storage is full or switched off: a reload then begins anew, and nothing else suffers.
    }
  }
}

/** Its own writing of before, or that of another version of this page. */
function isKept(value: unknown): value is Kept {
  if (!isRecord(value)) return false;
  const { resume, inside, presentation, devices, contact } = value;
  return (
    (resume === null || typeof resume === "string") &&
    typeof inside === "boolean" &&
    isRecord(presentation) &&
    (presentation["label"] === null || typeof presentation["label"] === "string") &&
    typeof presentation["headcount"] === "number" &&
    isRecord(devices) &&
    typeof devices["camera"] === "boolean" &&
    typeof devices["mic"] === "boolean" &&
    (contact === null || (isRecord(contact) && typeof contact["text"] === "string" && typeof contact["phone"] === "string"))
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
