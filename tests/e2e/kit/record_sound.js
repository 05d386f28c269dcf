// What the page plays for `seconds`: every <audio> and <video> at its own volume, silent while paused or muted,
// mixed to one channel. Gives {rate, samples}: 16 bit, little endian, in base64.
async ({ seconds, rate }) => {
  const context = new AudioContext({ sampleRate: rate });
  await context.resume();
  // A ScriptProcessor, since the pages' content security policy lets no worklet's module in from here.
  const mix = context.createScriptProcessor(4096, 1, 1);
  mix.connect(context.destination);
  const taps = new Map();
  const tapAll = () => {
    for (const [element, tap] of taps) {
      if (element.srcObject !== tap.stream) {
        tap.gain.disconnect();
        taps.delete(element);
      }
    }
    for (const element of document.querySelectorAll("audio, video")) {
      const stream = element.srcObject;
      if (!taps.has(element) && stream instanceof MediaStream && stream.getAudioTracks().length > 0) {
        const gain = context.createGain();
        context.createMediaStreamSource(stream).connect(gain).connect(mix);
        taps.set(element, { stream, gain });
      }
    }
    for (const [element, tap] of taps) {
      const plays = element.isConnected && !element.paused && !element.muted;
      tap.gain.gain.value = plays ? element.volume : 0;
    }
  };
  tapAll();
  const wanted = Math.round(seconds * rate);
  const samples = new Int16Array(wanted);
  let done = 0;
  await new Promise((resolve) => {
    mix.onaudioprocess = ({ inputBuffer }) => {
      tapAll();
      const heard = inputBuffer.getChannelData(0);
      for (let at = 0; at < heard.length && done < wanted; at += 1, done += 1) {
        samples[done] = Math.max(-1, Math.min(1, heard[at])) * 32767;
      }
      if (done >= wanted) resolve();
    };
  });
  mix.onaudioprocess = null;
  await context.close();
  const bytes = new Uint8Array(samples.buffer);
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return { rate, samples: btoa(text) };
};
