"""Short tones, one pitch per endpoint, and finding them in what somebody hears.

Bursts, because a browser's noise suppression takes a steady tone away in a few seconds (BROWSERS.md, 8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BURST_S = 0.2
PERIOD_S = 1.0
_EDGE_S = 0.01
_LEVEL = 0.5

_WINDOW_S = 0.04
_HOP_S = 0.01
_BESIDE_HZ = 150.0
"""Where a tone's window has nothing left; a click or a voice is as loud there as at the pitch."""
_LEAST_LEVEL = 0.004
"""Amplitude, of full scale: -48 dB, far below any burst and far above the codec's own noise."""
_OVER_BESIDE = 4.0
_OVER_FLOOR = 6.0
_SHORTEST_S = 0.08
_LONGEST_S = 0.5
_BRIDGED_S = 0.05

Sound = NDArray[np.float32]
"""(samples,), mono, -1 to 1."""


@dataclass(frozen=True, slots=True)
class Burst:
    """One burst as heard; times in seconds from the beginning of the samples."""

    start_s: float
    length_s: float
    level: float
    """Mean amplitude, of full scale."""


def make_bursts(seconds: float, rate: int, pitch_hz: float, phase_s: float) -> Sound:
    """A burst each second, the first at ``phase_s``."""
    time_s = np.arange(int(seconds * rate)) / rate
    within_s = (time_s - phase_s) % PERIOD_S
    edge = np.clip(np.minimum(within_s, BURST_S - within_s) / _EDGE_S, 0, 1)
    tone = _LEVEL * np.sin(2 * np.pi * pitch_hz * time_s) * np.sin(edge * np.pi / 2) ** 2
    return np.asarray(tone, np.float32)


def find_bursts(samples: Sound, rate: int, pitches_hz: Sequence[float]) -> dict[float, list[Burst]]:
    """The bursts of each pitch, oldest first. Pitches are to be at least 300 Hz apart."""
    frames = _frames(samples, rate)
    found: dict[float, list[Burst]] = {}
    for pitch_hz in pitches_hz:
        level = _amplitude(frames, rate, pitch_hz)
        beside = np.maximum(
            _amplitude(frames, rate, pitch_hz - _BESIDE_HZ), _amplitude(frames, rate, pitch_hz + _BESIDE_HZ)
        )
        floor = np.median(level) if len(level) else 0.0
        heard = (level > _LEAST_LEVEL) & (level > _OVER_BESIDE * beside) & (level > _OVER_FLOOR * floor)
        found[pitch_hz] = _runs(heard, level)
    return found


def _frames(samples: Sound, rate: int) -> NDArray[np.float64]:
    """(frames, window): overlapping pieces under a Hann window that keeps a tone's amplitude."""
    window, hop = int(_WINDOW_S * rate), int(_HOP_S * rate)
    if len(samples) < window:
        return np.empty((0, window))
    pieces = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), window)[::hop]
    shape = np.hanning(window)
    return np.asarray(pieces * (shape * 2 / shape.sum()), np.float64)


def _amplitude(frames: NDArray[np.float64], rate: int, pitch_hz: float) -> NDArray[np.float64]:
    """How loud ``pitch_hz`` is in each frame: one bin of a Fourier transform, at that very frequency."""
    time_s = np.arange(frames.shape[1]) / rate
    wave = np.exp(-2j * np.pi * pitch_hz * time_s)
    return np.asarray(np.abs(frames @ wave), np.float64)


def _runs(heard: NDArray[np.bool_], level: NDArray[np.float64]) -> list[Burst]:
    """Runs of ``heard`` that are as long as a burst, short gaps bridged."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], heard, [False]]).astype(int)))
    spans = [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and (start - joined[-1][1]) * _HOP_S <= _BRIDGED_S:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return [
        Burst(start * _HOP_S, (end - start) * _HOP_S, float(level[start:end].mean()))
        for start, end in joined
        if _SHORTEST_S <= (end - start) * _HOP_S <= _LONGEST_S
    ]
