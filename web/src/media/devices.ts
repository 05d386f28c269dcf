/**
 * The camera, the microphone and the screen of this endpoint: asks for them, says in a word why it did not get
 * them, and gives what is to be sent. Pages read `state` and never touch a track but to show it.
 */

import type { SourceKind } from "../protocol/values";

/** Why there is no device: `denied` by the user or the browser, `missing`, `busy` elsewhere, `lost` while in use. */
export type DeviceTrouble = "denied" | "missing" | "busy" | "lost" | "insecure" | "failed";

export type Device =
  | { readonly state: "idle" }
  | { readonly state: "asking" }
  | { readonly state: "on"; readonly track: MediaStreamTrack }
  /** Switched off by the user. A microphone keeps its silenced track, a camera lets go of the device. */
  | { readonly state: "off"; readonly track: MediaStreamTrack | null }
  | { readonly state: "trouble"; readonly trouble: DeviceTrouble };

export interface LocalState {
  readonly camera: Device;
  readonly mic: Device;
  readonly screen: MediaStreamTrack | null;
  /** The sound of what is shared, where the browser gives it. */
  readonly content: MediaStreamTrack | null;
}

export interface OutgoingSource {
  readonly track: MediaStreamTrack | null;
  readonly on: boolean;
}

/** The part of `navigator` that is used here: the seam for tests. */
export interface DeviceAccess {
  readonly mediaDevices?: Pick<MediaDevices, "getUserMedia"> & Partial<Pick<MediaDevices, "getDisplayMedia">>;
  readonly permissions?: Pick<Permissions, "query">;
}

const MIC_CONSTRAINTS: MediaTrackConstraints = {
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
};
const CAMERA_CONSTRAINTS: MediaTrackConstraints = {
  width: { ideal: 1280 },
  height: { ideal: 720 },
  frameRate: { ideal: 24, max: 30 },
};
/** Slides and handwriting need sharp edges more than smooth motion. */
const SCREEN_CONSTRAINTS: DisplayMediaStreamOptions = {
  video: { frameRate: { ideal: 10, max: 30 } },
  audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
};

const IDLE: Device = { state: "idle" };

export class LocalMedia {
  readonly #access: DeviceAccess;
  readonly #listeners = new Set<() => void>();
  /** How often stop() was called: what was asked for before the last time is not wanted any more. */
  #stops = 0;
  #state: LocalState = { camera: IDLE, mic: IDLE, screen: null, content: null };

  constructor(access: DeviceAccess) {
    this.#access = access;
  }

  get state(): LocalState {
    return this.#state;
  }

  /** Whether this browser can share a screen; those of phones can't. */
  get canShare(): boolean {
    return typeof this.#access.mediaDevices?.getDisplayMedia === "function";
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** What each source sends now, and whether others should see it as on. */
  outgoing(): Readonly<Record<SourceKind, OutgoingSource>> {
    const { camera, mic, screen, content } = this.#state;
    const nothing: OutgoingSource = { track: null, on: false };
    return {
      camera: outgoingOf(camera),
      mic: outgoingOf(mic),
      screen: { track: screen, on: screen !== null },
      content: { track: content, on: content !== null },
      document: nothing,
    };
  }

  /** Asks for what is named here and not there yet; never throws, the state says what came of it. */
  async acquire(want: { readonly camera: boolean; readonly mic: boolean }): Promise<void> {
    const camera = want.camera && !isUsable(this.#state.camera);
    const mic = want.mic && !isUsable(this.#state.mic);
    if (!camera && !mic) return;
    this.#set({ ...(camera ? { camera: ASKING } : {}), ...(mic ? { mic: ASKING } : {}) });
    if (camera && mic) await this.#acquireBoth();
    else if (camera) this.#set({ camera: await this.#ask("camera") });
    else this.#set({ mic: await this.#ask("mic") });
  }

  /** After a reload: what was wanted is asked for, what was switched off stays off. Never throws. */
  async restore(wanted: { readonly camera: boolean; readonly mic: boolean }): Promise<void> {
    const off: Device = { state: "off", track: null };
    this.#set({ ...(wanted.camera ? {} : { camera: off }), ...(wanted.mic ? {} : { mic: off }) });
    await this.acquire(wanted);
  }

  /** Switches the microphone, at once and without asking again. */
  async setMic(on: boolean): Promise<void> {
    const { mic } = this.#state;
    if (mic.state === "on" && !on) {
      mic.track.enabled = false;
      this.#set({ mic: { state: "off", track: mic.track } });
    } else if (mic.state === "off" && on && mic.track !== null) {
      mic.track.enabled = true;
      this.#set({ mic: { state: "on", track: mic.track } });
    } else if (on) {
      await this.acquire({ camera: false, mic: true });
    }
  }

  /** Switches the camera; off means that the device is let go and its light goes out. */
  async setCamera(on: boolean): Promise<void> {
    const { camera } = this.#state;
    if (on) {
      await this.acquire({ camera: true, mic: false });
    } else if (camera.state === "on") {
      release(camera.track);
      this.#set({ camera: { state: "off", track: null } });
    } else if (camera.state !== "asking") {
      this.#set({ camera: { state: "off", track: null } });
    }
  }

  /** Lets the user pick a screen or a window. Choosing nothing is no error. */
  async shareScreen(): Promise<void> {
    const devices = this.#access.mediaDevices;
    if (devices?.getDisplayMedia === undefined) return;
    let stream: MediaStream;
    try {
      stream = await devices.getDisplayMedia(SCREEN_CONSTRAINTS);
    } catch (error) {
      if (troubleOf(error) !== "denied") throw error;
      return;
    }
    this.stopScreen();
    const screen = stream.getVideoTracks()[0] ?? null;
    if (screen !== null) {
      screen.contentHint = "detail";
      screen.onended = () => this.stopScreen();
    }
    this.#set({ screen, content: stream.getAudioTracks()[0] ?? null });
  }

  stopScreen(): void {
    const { screen, content } = this.#state;
    if (screen === null && content === null) return;
    for (const track of [screen, content]) if (track !== null) release(track);
    this.#set({ screen: null, content: null });
  }

  /** Lets go of everything. */
  stop(): void {
    this.#stops += 1;
    this.stopScreen();
    for (const device of [this.#state.camera, this.#state.mic]) {
      if ("track" in device && device.track !== null) release(device.track);
    }
    this.#set({ camera: IDLE, mic: IDLE });
  }

  /** One question for both; when it fails, each by itself, so that one missing device does not take the other. */
  async #acquireBoth(): Promise<void> {
    try {
      const stream = await this.#getUserMedia({ audio: MIC_CONSTRAINTS, video: CAMERA_CONSTRAINTS });
      const [camera, mic] = [stream.getVideoTracks()[0], stream.getAudioTracks()[0]];
      this.#set({
        camera: camera === undefined ? trouble("missing") : this.#use("camera", camera),
        mic: mic === undefined ? trouble("missing") : this.#use("mic", mic),
      });
    } catch (error) {
      const why = troubleOf(error);
      if (why === "insecure" || (why === "denied" && !(await this.#onlyOneDenied()))) {
        // Asking again at once for each would be two more questions after a no.
        this.#set({ camera: trouble(why), mic: trouble(why) });
        return;
      }
      this.#set({ mic: await this.#ask("mic") });
      this.#set({ camera: await this.#ask("camera") });
    }
  }

  async #ask(kind: "camera" | "mic"): Promise<Device> {
    try {
      const stream = await this.#getUserMedia(
        kind === "camera" ? { video: CAMERA_CONSTRAINTS } : { audio: MIC_CONSTRAINTS },
      );
      const track = stream.getTracks()[0];
      return track === undefined ? trouble("missing") : this.#use(kind, track);
    } catch (error) {
      return trouble(troubleOf(error));
    }
  }

  async #onlyOneDenied(): Promise<boolean> {
    try {
      const { permissions } = this.#access;
      if (permissions === undefined) return false;
      const [camera, mic] = await Promise.all([
        permissions.query({ name: "camera" }),
        permissions.query({ name: "microphone" }),
      ]);
      return (camera.state === "denied") !== (mic.state === "denied");
    } catch {
      return false; // a browser that does not tell these names
    }
  }

  async #getUserMedia(constraints: MediaStreamConstraints): Promise<MediaStream> {
    const devices = this.#access.mediaDevices;
    // Browsers hide mediaDevices on pages that did not come over HTTPS.
    if (devices === undefined) throw new DOMException("no mediaDevices", "SecurityError");
    const asked = this.#stops;
    const stream = await devices.getUserMedia(constraints);
    if (asked !== this.#stops) {
      // The page was left while the browser's question was open: nobody would ever let these go.
      stream.getTracks().forEach(release);
      throw new DOMException("stopped while asking", "AbortError");
    }
    return stream;
  }

  #use(kind: "camera" | "mic", track: MediaStreamTrack): Device {
    track.onended = () => this.#set({ [kind]: trouble("lost") });
    return { state: "on", track };
  }

  #set(change: Partial<LocalState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of [...this.#listeners]) listener();
  }
}

const ASKING: Device = { state: "asking" };

function trouble(why: DeviceTrouble): Device {
  return { state: "trouble", trouble: why };
}

function isUsable(device: Device): boolean {
  return device.state === "on" || device.state === "asking";
}

function outgoingOf(device: Device): OutgoingSource {
  return { track: "track" in device ? device.track : null, on: device.state === "on" };
}

function release(track: MediaStreamTrack): void {
  track.onended = null;
  track.stop();
}

/** The names are those of the W3C's Media Capture and Streams, section 10.3. */
export function troubleOf(error: unknown): DeviceTrouble {
  const name = error instanceof Error || error instanceof DOMException ? error.name : "";
  switch (name) {
    case "NotAllowedError":
      return "denied";
    case "NotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "AbortError":
      return "busy";
    case "SecurityError":
      return "insecure";
    default:
      return "failed";
  }
}
