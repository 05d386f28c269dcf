/**
 * The media of one join: one peer connection whose m-lines are offered once and never change (PROTOCOL.md
 * section 5), also not by the ICE restart, the one later offer there is. Sources come first, then the slots; what
 * plays in a slot is the server's business, what a source sends is that of `send`.
 */

import { chooseCodec, type Encoding, encodingThatTells, LEVELS, preferCodecs } from "./codecs";
import type { IceServer, OfferedSlot, OfferedSource, SlotCounts, SourceKind } from "../protocol/values";
import { isPicture, SOURCE_KINDS } from "../protocol/values";

/** What a slot receives; the tracks live as long as the peer, whatever plays in them. */
export interface ReceivedSlot {
  readonly index: number;
  readonly picture: MediaStreamTrack | null;
  readonly voice: MediaStreamTrack;
}

export interface PeerOffer {
  readonly offer: string;
  readonly sources: readonly OfferedSource[];
  readonly slots: readonly OfferedSlot[];
}

export type OutgoingTracks = Readonly<Partial<Record<SourceKind, MediaStreamTrack | null>>>;

/**
 * High first: Chromium drops the last encodings of a picture that is too small for all three, and an answer
 * without simulcast leaves the first.
 */
const CAMERA_LAYERS: Encoding[] = [
  { rid: "h", scaleResolutionDownBy: 1, scalabilityMode: LEVELS },
  { rid: "m", scaleResolutionDownBy: 2, scalabilityMode: LEVELS },
  { rid: "l", scaleResolutionDownBy: 4, scalabilityMode: LEVELS },
];

/** How packets find their way. */
export interface Route {
  readonly iceServers: readonly IceServer[];
  /** Through a TURN server alone. */
  readonly relayOnly: boolean;
}

interface Source {
  readonly transceiver: RTCRtpTransceiver;
  /** It was offered with several codecs, and `sendAs` chooses among them. */
  readonly changesCodec: boolean;
}

interface Slot {
  readonly index: number;
  readonly picture: RTCRtpTransceiver | null;
  readonly voice: RTCRtpTransceiver;
}

export class LessonPeer {
  readonly connection: RTCPeerConnection;
  readonly received: readonly ReceivedSlot[];
  readonly #sources = new Map<SourceKind, Source>();
  readonly #sentAs = new Map<SourceKind, string>();
  readonly #slots: readonly Slot[];

  /**
   * `publish` are the granted kinds; each gets its m-line, with the track of `tracks` where there is one.
   * `changed` is called with each new state of the connection.
   */
  constructor(
    publish: readonly SourceKind[],
    counts: SlotCounts,
    tracks: OutgoingTracks,
    route: Route,
    changed: (state: RTCPeerConnectionState) => void,
  ) {
    const connection = new RTCPeerConnection(configurationFor(route));
    this.connection = connection;
    connection.onconnectionstatechange = () => changed(connection.connectionState);
    for (const kind of SOURCE_KINDS) {
      if (publish.includes(kind)) this.#sources.set(kind, addSource(connection, kind, tracks[kind] ?? null));
    }
    this.#slots = addSlots(connection, counts);
    this.received = this.#slots.map((slot) => ({
      index: slot.index,
      picture: slot.picture?.receiver.track ?? null,
      voice: slot.voice.receiver.track,
    }));
  }

  /** The one offer of this peer, but for ICE restarts. */
  async offer(): Promise<PeerOffer> {
    return {
      offer: await this.#describe(),
      sources: [...this.#sources].map(([kind, { transceiver, changesCodec }]) => ({
        kind,
        mid: midOf(transceiver),
        ...(changesCodec ? { changes_codec: true } : {}),
      })),
      slots: this.#slots.map((slot) => ({
        index: slot.index,
        picture: slot.picture === null ? null : midOf(slot.picture),
        voice: midOf(slot.voice),
      })),
    };
  }

  /**
   * The offer of an ICE restart (RFC 8829): the same m-lines with new credentials. May follow one that was never
   * answered.
   */
  async restartOffer(route: Route): Promise<string> {
    // The credentials of a relay live for some hours; a restart is when fresh ones are needed.
    this.connection.setConfiguration(configurationFor(route));
    this.connection.restartIce();
    return this.#describe();
  }

  /** Makes the next offer and gives its SDP; that of a restart says the same as the first. */
  async #describe(): Promise<string> {
    await this.connection.setLocalDescription();
    const description = this.connection.localDescription;
    if (description === null) throw new Error("the browser made no offer");
    return askingForVoices(description.sdp);
  }

  /** The answer to the last offer. */
  async accept(answer: string): Promise<void> {
    await this.connection.setRemoteDescription({ type: "answer", sdp: answer });
  }

  /** Sends `track` as the source `kind` from now on, or nothing. A no-op for a kind that is not granted. */
  async send(kind: SourceKind, track: MediaStreamTrack | null): Promise<void> {
    const sender = this.#sources.get(kind)?.transceiver.sender;
    if (sender === undefined || sender.track === track) return;
    await sender.replaceTrack(track);
  }

  /** Sends a source that can change as this codec from now on. A no-op for another, and for what it is sent as. */
  async sendAs(kind: SourceKind, codec: string): Promise<void> {
    const source = this.#sources.get(kind);
    if (source === undefined || !source.changesCodec || this.#sentAs.get(kind) === codec) return;
    this.#sentAs.set(kind, codec);
    try {
      await chooseCodec(source.transceiver.sender, codec);
    } catch (error) {
      this.#sentAs.delete(kind);
      throw error;
    }
  }

  close(): void {
    this.connection.onconnectionstatechange = null;
    this.connection.close();
  }
}

/**
 * Browsers ask for lost packets of a voice (NACK, RFC 4585) once it is answered, but none offers it: it is written
 * beside each Opus into the text that goes to the server, and into nothing else (PROTOCOL.md section 5).
 */
export function askingForVoices(sdp: string): string {
  return sdp.replaceAll(/^a=rtpmap:(\d+) opus\/48000\/2\r\n/gim, "$&a=rtcp-fb:$1 nack\r\n");
}

function configurationFor({ iceServers, relayOnly }: Route): RTCConfiguration {
  return {
    bundlePolicy: "max-bundle",
    rtcpMuxPolicy: "require",
    iceServers: iceServers.map((server) => ({ ...server, urls: [...server.urls] })),
    iceTransportPolicy: relayOnly ? "relay" : "all",
  };
}

function addSource(connection: RTCPeerConnection, kind: SourceKind, track: MediaStreamTrack | null): Source {
  const media = isPicture(kind) ? "video" : "audio";
  if (media === "audio") {
    const transceiver = connection.addTransceiver(track ?? media, { direction: "sendonly" });
    preferCodecs(transceiver, "microphone");
    return { transceiver, changesCodec: false };
  }
  const found = { changesCodec: false };
  const encodings = kind === "camera" ? CAMERA_LAYERS : [encodingThatTells(() => (found.changesCodec = true))];
  const transceiver = addPicture(connection, track ?? media, encodings);
  preferCodecs(transceiver, found.changesCodec ? "changing" : "picture");
  return { transceiver, ...found };
}

function addPicture(
  connection: RTCPeerConnection,
  sent: MediaStreamTrack | string,
  encodings: readonly Encoding[],
): RTCRtpTransceiver {
  try {
    return connection.addTransceiver(sent, { direction: "sendonly", sendEncodings: [...encodings] });
  } catch (error) {
    // A browser that knows temporal levels, but not these.
    console.warn("pictures go without temporal levels", error);
    const plain = encodings.map(({ rid, scaleResolutionDownBy }) =>
      rid === undefined || scaleResolutionDownBy === undefined ? {} : { rid, scaleResolutionDownBy },
    );
    return connection.addTransceiver(sent, { direction: "sendonly", sendEncodings: plain });
  }
}

/** All pairs before the voices, each pair's picture before its voice: the order of the m-lines. */
function addSlots(connection: RTCPeerConnection, counts: SlotCounts): Slot[] {
  const receive = (media: "video" | "audio") => {
    const transceiver = connection.addTransceiver(media, { direction: "recvonly" });
    preferCodecs(transceiver, media === "video" ? "slot's picture" : "slot's voice");
    return transceiver;
  };
  return Array.from({ length: counts.pairs + counts.voices }, (_, index) => {
    const picture = index < counts.pairs ? receive("video") : null;
    return { index, picture, voice: receive("audio") };
  });
}

function midOf(transceiver: RTCRtpTransceiver): string {
  if (transceiver.mid === null) throw new Error("an m-line without a mid");
  return transceiver.mid;
}
