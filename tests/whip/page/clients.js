// What a test calls: Eyevinn's two clients, as their READMEs have it, without the public STUN server that they ask by default.
import { WebRTCPlayer } from "@eyevinn/webrtc-player";
import { WHIPClient } from "@eyevinn/whip-web-client";

let client;
let player;

window.publish = async ({ endpoint, token }) => {
  const stream = await navigator.mediaDevices.getUserMedia({
    video: { width: 640, height: 360 },
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  client = new WHIPClient({ endpoint, opts: { authkey: token, iceServers: [] } });
  await client.setIceServersFromEndpoint();
  await client.ingest(stream);
  return client.getResourceUrl();
};
window.unpublish = () => client.destroy();

window.play = async ({ endpoint, token }) => {
  const video = document.querySelector("video");
  player = new WebRTCPlayer({ video, type: "whep", iceServers: [] });
  await player.load(new URL(endpoint), `Bearer ${token}`);
  player.unmute();
};
window.unplay = () => player.unload();
