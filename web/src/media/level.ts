/** How loud a microphone is, for a meter. */

/** Root mean square of samples in [-1, 1] to a fraction of a meter: -60 dB is 0, -10 dB is 1. */
export function meterFraction(rms: number): number {
  if (rms <= 0) return 0;
  const decibels = 20 * Math.log10(rms);
  return Math.min(1, Math.max(0, (decibels + 60) / 50));
}

export function rootMeanSquare(samples: Float32Array): number {
  if (samples.length === 0) return 0;
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.sqrt(sum / samples.length);
}

/**
 * Calls `show` with the meter's fraction about `perSecond` times a second until the returned function is called.
 * The track is heard, not played.
 */
export function watchLevel(track: MediaStreamTrack, perSecond: number, show: (fraction: number) => void): () => void {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    // A context made before the first press may sleep; it wakes once the page may make sound.
    if (context.state === "suspended") void context.resume();
    analyser.getFloatTimeDomainData(samples);
    show(meterFraction(rootMeanSquare(samples)));
  }, 1000 / perSecond);
  return () => {
    clearInterval(timer);
    void context.close();
  };
}
