// What the page plays for `seconds`, each voice by itself: every <audio> and <video> that is not paused or muted
// and whose voice has begun. Gives the recordings in base64. For a browser on a machine without a sound device,
// where Firefox's AudioContext never starts; a recorder needs none.
async ({ seconds }) => {
  const recorders = [];
  for (const element of document.querySelectorAll("audio, video")) {
    const [track] = element.srcObject instanceof MediaStream ? element.srcObject.getAudioTracks() : [];
    if (!track || track.muted || track.readyState !== "live" || element.paused || element.muted) continue;
    const recorder = new MediaRecorder(new MediaStream([track]), { audioBitsPerSecond: 96000 });
    const parts = [];
    recorder.ondataavailable = ({ data }) => parts.push(data);
    const done = new Promise((resolve) => (recorder.onstop = () => resolve(new Blob(parts))));
    recorder.start();
    recorders.push({ recorder, done });
  }
  await new Promise((later) => setTimeout(later, seconds * 1000));
  const recordings = [];
  for (const { recorder, done } of recorders) {
    recorder.stop();
    const bytes = new Uint8Array(await (await done).arrayBuffer());
    let text = "";
    for (let at = 0; at < bytes.length; at += 0x8000) {
      text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
    }
    recordings.push(btoa(text));
  }
  return recordings;
};
