/** Which codecs this page offers for what, and how a picture is coded: temporal levels, and a codec that can change. */

/** Three temporal levels, of which the server leaves out what a receiver's line does not carry (W3C WebRTC-SVC). */
export const LEVELS = "L1T3";

/** With what the types of the language lack: W3C WebRTC-SVC, and WebRTC Extensions for the codec. */
export type Encoding = RTCRtpEncodingParameters & { scalabilityMode?: string; codec?: RTCRtpCodec };

const [VP8, H264, VP9, AV1, RTX] = [/^video\/VP8$/i, /^video\/H264$/i, /^video\/VP9$/i, /^video\/AV1$/i, /^video\/rtx$/i];
const [OPUS, RED] = [/^audio\/opus$/i, /^audio\/red$/i];

/**
 * What is offered, the preferred first. A source has what every browser decodes, unless it can change when somebody
 * lacks its codec; a slot has all that anybody may send, and RED (RFC 2198), which the server makes for a bad line.
 */
const WANTED_CODECS = {
  picture: [VP8, H264, RTX],
  changing: [VP9, AV1, VP8, H264, RTX],
  microphone: [OPUS],
  "slot's picture": [VP8, H264, VP9, AV1, RTX],
  "slot's voice": [OPUS, RED],
} as const;

/** Offers only what the server speaks: the offer of a kiosk shrinks to a half. */
export function preferCodecs(transceiver: RTCRtpTransceiver, use: keyof typeof WANTED_CODECS): void {
  // Older Firefox and Safari can't choose; they then offer all, and the server does.
  if (!("setCodecPreferences" in transceiver)) return;
  const able = RTCRtpReceiver.getCapabilities(transceiver.receiver.track.kind)?.codecs ?? [];
  const codecs = WANTED_CODECS[use].flatMap((name) =>
    able.filter((codec) => name.test(codec.mimeType) && isSpoken(codec)),
  );
  if (codecs.length > 0) transceiver.setCodecPreferences(codecs);
}

/**
 * Of H.264 only constrained baseline in packetization mode 1 (RFC 6184), of VP9 and AV1 only profile 0: what every
 * browser has that has the codec.
 */
function isSpoken({ mimeType, sdpFmtpLine = "" }: RTCRtpCodec): boolean {
  if (H264.test(mimeType)) {
    return /profile-level-id=42e0/i.test(sdpFmtpLine) && sdpFmtpLine.includes("packetization-mode=1");
  }
  if (VP9.test(mimeType)) return !/profile-id=[^0]/.test(sdpFmtpLine);
  return !AV1.test(mimeType) || !/(^|;)\s*profile=[^0]/.test(sdpFmtpLine);
}

/** An encoding that tells when a codec is looked for in it: by a browser that lets the page choose one, and no other. */
export function encodingThatTells(looked: () => void): Encoding {
  const get = () => {
    looked();
    return undefined;
  };
  return Object.defineProperty({ scalabilityMode: LEVELS }, "codec", { get, enumerable: true });
}

/** Lets a sender go on in this one of the codecs that were agreed on. Throws where the browser refuses, or it is none. */
export async function chooseCodec(sender: RTCRtpSender, name: string): Promise<void> {
  const parameters = sender.getParameters();
  const wanted = parameters.codecs.find(({ mimeType }) => mimeType.toLowerCase() === `video/${name}`);
  if (wanted === undefined) throw new Error(`${name} was not agreed on`);
  for (const encoding of parameters.encodings as Encoding[]) encoding.codec = wanted;
  await sender.setParameters(parameters);
}
