"""Where recordings lie.

<recordings>/<lesson>/<start>-<endpoint>-<kind>.part     raw files, while and after the lesson
<recordings>/<lesson>.mkv.partial                        being made
<recordings>/<lesson>.mkv                                complete
<recordings>/<lesson>.done/                              raw files that are being removed
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from bridge.values import EndpointId, LessonId

RAW_SUFFIX = ".part"
PARTIAL_SUFFIX = ".partial"
DONE_SUFFIX = ".done"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
"""No dot and no slash: a lesson's name never leads elsewhere, nor looks like another's finished folder."""


def raw_folder(recordings: Path, lesson: LessonId) -> Path:
    """Raises ValueError for an id that makes no name of a folder."""
    if not is_lesson(lesson):
        raise ValueError(f"lesson {lesson!r} can't be recorded: its id makes no name of a folder")
    return recordings / lesson


def is_lesson(name: str) -> bool:
    """Whether a folder of this name is one of a lesson."""
    return _NAME.fullmatch(name) is not None


def raw_name(start: datetime, endpoint: EndpointId, kind: str) -> str:
    """``start`` in UTC. Names sort by start."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", endpoint)[:64]
    return f"{start:%Y%m%dT%H%M%S.%f}Z-{safe}-{kind}{RAW_SUFFIX}"


def playable(recordings: Path, lesson: LessonId) -> Path:
    """The file to watch."""
    return recordings / f"{lesson}.mkv"
