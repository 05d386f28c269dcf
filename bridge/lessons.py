"""A lesson as it is kept: its values, its one way through its states, and the port of its store."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from bridge.values import LessonId, LessonState

TITLE_MAX = 120
COURSE_MAX = 40
"""Characters; a title that is longer does not fit a kiosk's card."""

_ID_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""What can be read aloud, typed as an argument, and put in a link; without i, l, o, 0 and 1."""
_ID_LENGTH = 12
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", re.ASCII)

_NEXT: dict[LessonState, frozenset[LessonState]] = {
    LessonState.WAITING: frozenset({LessonState.LIVE, LessonState.ENDED}),
    LessonState.LIVE: frozenset({LessonState.ENDED}),
    LessonState.ENDED: frozenset(),
}


class LessonUnknownError(Exception):
    """The store holds no lesson of that id."""


class LessonTakenError(Exception):
    """The store holds a lesson of that id already."""


class IllegalTransitionError(Exception):
    """A lesson would have gone back to a state, or on from its end."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One live, scheduled event of a course. The times are UTC."""

    id: LessonId
    title: str
    course: str
    """The course's code, e.g. "RUB14"."""
    state: LessonState
    created_at: datetime
    opened_at: datetime | None = None
    ended_at: datetime | None = None
    record: bool = False
    """The teacher's sources are kept (D7); everyone is told so. Said when the lesson is made, and final."""

    def comes_before(self, other: Lesson) -> bool:
        """Whether ``other`` is this lesson in a state that may still come."""
        return other.state in _NEXT[self.state]

    def moved(self, state: LessonState, at: datetime) -> Lesson:
        """The lesson in its next state, entered at ``at`` (UTC). Raises IllegalTransitionError.

        A waiting lesson may end without having been live: it was called off.
        """
        if state not in _NEXT[self.state]:
            raise IllegalTransitionError(f"lesson {self.id}: {self.state} -> {state}")
        if state is LessonState.LIVE:
            return replace(self, state=state, opened_at=at)
        return replace(self, state=state, ended_at=at)


def parse_lesson_id(text: str) -> LessonId:
    """An id that somebody chose; it stands in links and names a folder. Raises ValueError."""
    if _ID.fullmatch(text) is None:
        raise ValueError(
            f"{text!r} is not a lesson id: 1 to 32 of a-z, A-Z, 0-9, hyphen and underscore, the first no sign"
        )
    return LessonId(text)


def new_lesson(title: str, course: str, at: datetime, *, record: bool = False, live: bool = False) -> Lesson:
    """A lesson with a fresh id: waiting, or ``live`` at once, as if its teacher had opened it as it was made.

    Raises ValueError for a title or a course that can't be shown.
    """
    title, course = title.strip(), course.strip()
    for what, text, longest in (("title", title, TITLE_MAX), ("course code", course, COURSE_MAX)):
        if not 1 <= len(text) <= longest or not text.isprintable():
            raise ValueError(f"a {what} has 1 to {longest} characters, all of them printable")
    lesson_id = LessonId("".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH)))
    lesson = Lesson(lesson_id, title, course, LessonState.WAITING, at, record=record)
    return lesson.moved(LessonState.LIVE, at) if live else lesson


class LessonStore(Protocol):
    """Where lessons are kept between runs of the program. Every method may raise SetupError."""

    async def add(self, lesson: Lesson) -> None:
        """Keep a new lesson. Raises LessonTakenError."""

    async def get(self, lesson: LessonId) -> Lesson:
        """Raises LessonUnknownError."""

    async def get_all(self, lessons: Collection[LessonId]) -> tuple[Lesson, ...]:
        """Those of them that are there, in any order, by one question to the store."""

    async def list(self) -> tuple[Lesson, ...]:
        """All lessons, oldest first."""

    async def set_state(self, lesson: LessonId, state: LessonState, at: datetime) -> Lesson:
        """Move the lesson on and give it back. Raises LessonUnknownError, IllegalTransitionError."""
