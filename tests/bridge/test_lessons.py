"""A lesson's one way through its states."""

from __future__ import annotations

import itertools

import pytest

from bridge.lessons import COURSE_MAX, TITLE_MAX, IllegalTransitionError, new_lesson
from bridge.values import LessonState
from tests.bridge.support import LESSON, NOON

WAITING, LIVE, ENDED = LessonState.WAITING, LessonState.LIVE, LessonState.ENDED


def test_a_new_lesson_waits() -> None:
    lesson = new_lesson("  Nyheter och medier ", "RUB14", NOON)
    assert (lesson.title, lesson.state, lesson.created_at) == ("Nyheter och medier", WAITING, NOON)
    assert lesson.id.isalnum()
    assert lesson.id != new_lesson("Nyheter och medier", "RUB14", NOON).id


def test_a_lesson_may_be_live_as_it_is_made_and_be_recorded() -> None:
    lesson = new_lesson("Nyheter och medier", "RUB14", NOON, record=True, live=True)
    assert (lesson.state, lesson.created_at, lesson.opened_at, lesson.record) == (LIVE, NOON, NOON, True)
    assert not new_lesson("Nyheter och medier", "RUB14", NOON).record


def test_what_may_still_come() -> None:
    live = LESSON.moved(LIVE, NOON)
    ended = live.moved(ENDED, NOON)
    assert LESSON.comes_before(live)
    assert live.comes_before(ended)
    assert not live.comes_before(LESSON)
    assert not ended.comes_before(ended)


@pytest.mark.parametrize(
    ("title", "course"),
    [
        ("", "A"),
        (" ", "A"),
        ("A", ""),
        ("x" * (TITLE_MAX + 1), "A"),
        ("A", "x" * (COURSE_MAX + 1)),
        ("a\tb", "A"),
    ],
)
def test_names_that_can_t_be_shown(title: str, course: str) -> None:
    with pytest.raises(ValueError, match="characters"):
        new_lesson(title, course, NOON)


def test_only_forward() -> None:
    legal = {(WAITING, LIVE), (WAITING, ENDED), (LIVE, ENDED)}
    for before, after in itertools.product(LessonState, repeat=2):
        lesson = LESSON
        if before is not WAITING:
            lesson = lesson.moved(before, NOON)
        if (before, after) in legal:
            assert lesson.moved(after, NOON).state is after
        else:
            with pytest.raises(IllegalTransitionError):
                lesson.moved(after, NOON)


def test_each_state_has_its_time() -> None:
    live = LESSON.moved(LIVE, NOON)
    assert (live.opened_at, live.ended_at) == (NOON, None)
    ended = live.moved(ENDED, NOON)
    assert (ended.opened_at, ended.ended_at) == (NOON, NOON)
