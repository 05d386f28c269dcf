"""The synthetic classroom's picture moves, calmly, and says which course it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from media.synthetic.picture import HEIGHT, WIDTH, Picture, Scene, Words

WORDS = Words("RUB14 Nyheter och medier", "Vem skriver nyheterna?", "Närpiö")
START = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
LAKE = np.s_[240:360, :]
CARD = np.s_[36:205, 36:413]
DIAL = np.s_[40:172, 458:590]


def drawn(words: Words, elapsed_s: float) -> Picture:
    return Scene(words).draw(elapsed_s, START + timedelta(seconds=elapsed_s))


def difference(one: Picture, other: Picture) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def test_shape() -> None:
    picture = drawn(WORDS, 0)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture.dtype == np.uint8


def test_lake_and_clock_move_and_card_stands_still() -> None:
    before, after = drawn(WORDS, 5), drawn(WORDS, 6)
    assert difference(before[LAKE], after[LAKE]) > 0.5
    assert difference(before[DIAL], after[DIAL]) > 0.5
    assert np.array_equal(before[CARD], after[CARD])


def test_one_frame_is_a_small_change() -> None:
    before, after = drawn(WORDS, 5), drawn(WORDS, 5 + 1 / 12)
    assert 0 < difference(before, after) < 2


def test_never_the_same_within_the_hour() -> None:
    scene = Scene(WORDS)
    seen = {scene.draw(second, START + timedelta(seconds=second)).tobytes() for second in range(0, 3600, 30)}
    assert len(seen) == 120


def test_card_says_the_course() -> None:
    other = Words("MAA3 Geometria", WORDS.title, WORDS.site)
    assert difference(drawn(WORDS, 0)[CARD], drawn(other, 0)[CARD]) > 1


def test_long_words_stay_on_the_card() -> None:
    endless = Words("Ä" * 200, "W" * 200, "site " * 50)
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[CARD] = False
    assert np.array_equal(drawn(WORDS, 0)[outside], drawn(endless, 0)[outside])
    margin = drawn(endless, 0)[60:180, 388:404]
    assert (margin == margin[0, 0]).all(), "words run to the card's edge"


def test_the_sun_keeps_clear_of_card_and_clock() -> None:
    scene = Scene(WORDS)
    first = scene.draw(0, START)
    for second in range(0, 60, 5):
        picture = scene.draw(second, START)
        assert np.array_equal(picture[CARD], first[CARD])
        assert np.array_equal(picture[DIAL], first[DIAL])
