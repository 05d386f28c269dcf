"""Makes speech.ogg anew, by hand: ``python -m media.synthetic.record_speech`` (needs espeak-ng).

The file is in the tree so that a demo needs no synthesiser. It holds its own pauses, one of them at its
end, so that it can be played in a circle.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE = 48_000
BIT_RATE = 24_000
PAUSE_S = 0.9
LAST_PAUSE_S = 3.0
LOUDNESS = 0.6
"""Peak of the file, of full scale: loud enough to be clear, with room for the browser's own gain control."""

SENTENCES = (
    ("fi", "Hyvää huomenta kaikille, ja tervetuloa oppitunnille."),
    ("fi", "Tänään luokkamme on auki monessa kunnassa yhtä aikaa."),
    ("sv", "God morgon, och välkomna till lektionen."),
    ("sv", "Vi hör varandra, fast vi sitter långt ifrån varandra."),
    ("en", "Good morning, everyone. This is a synthetic classroom."),
    ("en", "If you can hear this sentence, your sound works."),
    ("fi", "Laittakaa kamera päälle, niin näemme toisemme."),
)


def say(language: str, sentence: str) -> NDArray[np.float32]:
    """Speech at 48 kHz, mono, -1 to 1. Raises RuntimeError without espeak-ng."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise RuntimeError("espeak-ng is not installed")
    command = [program, "-v", language, "-s", "140", "--stdout", sentence]
    # Our own words from the list above, no shell.
    spoken = subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603
    with av.open(io.BytesIO(spoken), "r") as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.float32)


def write(samples: NDArray[np.float32], path: Path) -> None:
    """Encode ``samples`` (48 kHz, mono) as Ogg/Opus."""
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE)
        stream.layout = "mono"
        stream.bit_rate = BIT_RATE
        stream.options = {"application": "voip"}
        frame = av.AudioFrame.from_ndarray(
            (samples * 32767).astype(np.int16).reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate = RATE
        frame.time_base = Fraction(1, RATE)
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main() -> None:
    parts: list[NDArray[np.float32]] = []
    for number, (language, sentence) in enumerate(SENTENCES, start=1):
        pause_s = PAUSE_S if number < len(SENTENCES) else LAST_PAUSE_S
        parts += [say(language, sentence), np.zeros(int(pause_s * RATE), np.float32)]
    samples = np.concatenate(parts)
    path = Path(__file__).with_name("speech.ogg")
    write(samples * np.float32(LOUDNESS / np.abs(samples).max()), path)
    sys.stdout.write(f"{path.name}: {len(samples) / RATE:.1f} s, {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
