"""Bursts are found after what a lesson does to sound, and nothing else is taken for one."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from tests.e2e.kit.media_files import PITCHES_HZ, SOUND_RATE
from tests.e2e.kit.tone_bursts import BURST_S, Sound, find_bursts, make_bursts

SECONDS = 5
NOISE = np.random.default_rng(20261124)


def counts(samples: Sound) -> list[int]:
    return [len(bursts) for bursts in find_bursts(samples, SOUND_RATE, PITCHES_HZ).values()]


def noise(level: float) -> Sound:
    return NOISE.normal(0, level, SECONDS * SOUND_RATE).astype(np.float32)


@pytest.mark.parametrize("source", range(3))
def test_finds_each_pitch_alone(source: int) -> None:
    samples = make_bursts(SECONDS, SOUND_RATE, PITCHES_HZ[source], 0.31)
    assert counts(samples) == [SECONDS if each == source else 0 for each in range(3)]
    bursts = find_bursts(samples, SOUND_RATE, PITCHES_HZ)[PITCHES_HZ[source]]
    for second, burst in enumerate(bursts):
        assert burst.start_s == pytest.approx(second + 0.31, abs=0.04)
        assert burst.length_s == pytest.approx(BURST_S, abs=0.05)
        assert burst.level == pytest.approx(0.45, abs=0.1)


def test_finds_all_at_the_same_moment() -> None:
    together = sum((make_bursts(SECONDS, SOUND_RATE, pitch, 0.1) for pitch in PITCHES_HZ), start=noise(0.001))
    assert counts(together) == [SECONDS] * 3


@pytest.mark.parametrize(("level", "hiss"), [(0.05, 0.002), (1.0, 0.05), (0.3, 0.03)])
def test_finds_quiet_bursts_in_noise(level: float, hiss: float) -> None:
    bursts = level * make_bursts(SECONDS, SOUND_RATE, PITCHES_HZ[1], 0.1)
    assert counts((bursts + noise(hiss)).astype(np.float32)) == [0, SECONDS, 0]


def test_finds_clipped_bursts_at_their_pitch_only() -> None:
    bursts = np.clip(6 * make_bursts(SECONDS, SOUND_RATE, PITCHES_HZ[0], 0.1), -0.8, 0.8)
    assert counts(bursts) == [SECONDS, 0, 0]


def test_survives_opus() -> None:
    one, other = (make_bursts(SECONDS, SOUND_RATE, PITCHES_HZ[each], 0.31 * each) for each in range(2))
    heard = counts(_through_opus(one + other))
    assert heard[2] == 0
    assert all(count >= SECONDS - 1 for count in heard[:2])


def _through_opus(samples: Sound) -> Sound:
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.format, encoder.layout = SOUND_RATE, "s16", "mono"
    encoder.bit_rate = 24_000
    encoder.options = {"application": "voip"}
    decoder = av.CodecContext.create("opus", "r")
    decoded: list[Sound] = []
    for first in range(0, len(samples) - 959, 960):
        part = (samples[first : first + 960] * 32767).clip(-32768, 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, first, Fraction(1, SOUND_RATE)
        for packet in encoder.encode(frame):
            decoded += [each.to_ndarray()[0].astype(np.float32) for each in decoder.decode(packet)]
    return np.concatenate(decoded)


@pytest.mark.parametrize("level", [0.0, 0.01, 0.3])
def test_noise_is_no_burst(level: float) -> None:
    assert counts(noise(level)) == [0, 0, 0]


def test_steady_tone_is_no_burst() -> None:
    time_s = np.arange(SECONDS * SOUND_RATE) / SOUND_RATE
    assert counts((0.3 * np.sin(2 * np.pi * PITCHES_HZ[0] * time_s)).astype(np.float32)) == [0, 0, 0]


def test_click_is_no_burst() -> None:
    samples = np.zeros(SECONDS * SOUND_RATE, np.float32)
    samples[SOUND_RATE::SOUND_RATE] = 1
    assert counts(samples) == [0, 0, 0]


def test_bursts_of_another_pitch_are_not_taken_for_ours() -> None:
    assert counts(make_bursts(SECONDS, SOUND_RATE, 900.0, 0.1)) == [0, 0, 0]


def test_too_short_to_say_is_nothing() -> None:
    assert counts(np.zeros(10, np.float32)) == [0, 0, 0]
