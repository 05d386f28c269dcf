/** The test sound of the speaker: three soft rising notes, made here so that there is no file to load. */

const NOTES_HZ = [523.25, 659.25, 783.99];
const NOTE_S = 0.32;
const LOUDNESS = 0.25;

/** Plays it once; resolves when it has ended. Must be called from a press. */
export async function playTestSound(): Promise<void> {
  const context = new AudioContext();
  await context.resume();
  const begin = context.currentTime + 0.05;
  NOTES_HZ.forEach((frequency, index) => {
    const from = begin + index * NOTE_S;
    const oscillator = new OscillatorNode(context, { frequency, type: "sine" });
    const gain = new GainNode(context, { gain: 0 });
    // Without a ramp each note would begin and end with a click.
    gain.gain.setValueAtTime(0, from);
    gain.gain.linearRampToValueAtTime(LOUDNESS, from + 0.03);
    gain.gain.exponentialRampToValueAtTime(0.001, from + NOTE_S * 1.6);
    oscillator.connect(gain).connect(context.destination);
    oscillator.start(from);
    oscillator.stop(from + NOTE_S * 1.6);
  });
  await new Promise((resolve) => setTimeout(resolve, (NOTES_HZ.length + 1) * NOTE_S * 1000));
  await context.close();
}
