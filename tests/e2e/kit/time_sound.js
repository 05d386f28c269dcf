// What is heard for `seconds`, and when: what the page plays, or what its own microphone captures (`captured`, kept
// by keep_captured.js). Gives {startMs, samples}: POSIX milliseconds of the first sample, 16 bit, in base64.
async ({ seconds, rate, captured }) => {
  const context = new AudioContext({ sampleRate: rate });
  await context.resume();
  const mix = context.createScriptProcessor(1024, 1, 1);
  mix.connect(context.destination);
  const streams = captured
    ? window.capturedStreams
    : [...document.querySelectorAll("audio")].filter((each) => !each.paused && !each.muted).map((each) => each.srcObject);
  for (const stream of streams) {
    if (stream instanceof MediaStream && stream.getAudioTracks().length > 0) {
      context.createMediaStreamSource(stream).connect(mix);
    }
  }
  const samples = new Int16Array(Math.round(seconds * rate));
  let first = null;
  // Of the context's clock; the callbacks come late when the page is busy, never early.
  let offsetMs = Infinity;
  await new Promise((resolve) => {
    mix.onaudioprocess = ({ inputBuffer, playbackTime }) => {
      offsetMs = Math.min(offsetMs, performance.now() - playbackTime * 1000);
      first ??= playbackTime;
      // By its time and not by count: a block that the busy page missed leaves a hole of its own length.
      const start = Math.round((playbackTime - first) * rate);
      const heard = inputBuffer.getChannelData(0);
      for (let at = 0; at < heard.length && start + at < samples.length; at += 1) {
        samples[start + at] = Math.max(-1, Math.min(1, heard[at])) * 32767;
      }
      if (start + heard.length >= samples.length) resolve();
    };
  });
  mix.onaudioprocess = null;
  await context.close();
  const bytes = new Uint8Array(samples.buffer);
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return { startMs: performance.timeOrigin + offsetMs + first * 1000, samples: btoa(text) };
};
