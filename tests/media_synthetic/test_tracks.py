"""What the synthetic classroom says, and that neither track drifts."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from media.synthetic.picture import Scene, Words
from media.synthetic.tracks import SPEECH_FRAME, SPEECH_RATE, PictureTrack, Schedule, SpeechTrack, read_speech

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def test_speech_is_speech() -> None:
    speech = read_speech().astype(np.float64) / 32768
    assert 20 < len(speech) / SPEECH_RATE < 40
    tenths = speech[: len(speech) // 4800 * 4800].reshape(-1, 4800)
    loud = np.sqrt((tenths**2).mean(axis=1)) > 0.02
    assert 0.4 < loud.mean() < 0.9, "mostly speech, and pauses between the sentences"
    runs = np.flatnonzero(np.diff(loud.astype(int)) == 1)
    assert len(runs) >= 6, "several sentences"
    assert not loud[-20:].any(), "silent at the end, so that the circle closes in silence"
    assert np.abs(speech).max() < 0.95


def test_schedule_does_not_drift_in_an_hour() -> None:
    schedule = Schedule(Fraction(12))
    now_s = 1000.0
    for expected in range(12 * 3600):
        number, wait_s = schedule.take(now_s)
        assert number == expected
        # Each frame costs something, and each sleep is a little long.
        now_s += wait_s + 0.003
    assert now_s - 1000.0 == pytest.approx(3600, abs=0.1)
    assert schedule.skipped == 0


def test_schedule_skips_what_it_could_not_send_in_time() -> None:
    schedule = Schedule(Fraction(50))
    assert schedule.take(5.0) == (0, 0.0)
    number, wait_s = schedule.take(6.0)
    assert number == 50
    assert wait_s == 0
    assert schedule.skipped == 49
    number, wait_s = schedule.take(6.0)
    assert number == 51
    assert wait_s == pytest.approx(0.02)


def test_schedule_catches_up_a_small_delay_without_skipping() -> None:
    schedule = Schedule(Fraction(50))
    schedule.take(5.0)
    assert [schedule.take(5.1)[0] for _ in range(3)] == [1, 2, 3]
    assert schedule.skipped == 0


async def test_speech_goes_in_a_circle() -> None:
    speech = np.arange(SPEECH_FRAME * 3 // 2, dtype=np.int16)
    track = SpeechTrack(speech)
    frames = [await track.recv() for _ in range(3)]
    heard = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
    assert np.array_equal(heard, np.concatenate([speech, speech]))
    assert [frame.pts for frame in frames] == [0, SPEECH_FRAME, 2 * SPEECH_FRAME]
    assert all(frame.sample_rate == SPEECH_RATE for frame in frames)


async def test_picture_track_gives_moving_frames_with_their_time() -> None:
    track = PictureTrack(Scene(Words("Course", "Title", "Site")), lambda: NOON)
    first, second = await track.recv(), await track.recv()
    assert (first.width, first.height, first.format.name) == (640, 360, "yuv420p")
    assert first.pts is not None
    assert second.pts is not None
    assert second.time_base is not None
    assert (second.pts - first.pts) * second.time_base == Fraction(1, 12)
    assert not np.array_equal(first.to_ndarray(), second.to_ndarray())


async def test_a_stopped_track_gives_nothing_more() -> None:
    track = SpeechTrack(np.zeros(SPEECH_FRAME, np.int16))
    await track.recv()
    track.stop()
    with pytest.raises(MediaStreamError):
        await track.recv()
