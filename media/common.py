"""Which codecs of pictures everyone in a lesson can show, so that a source which can change keeps to them.

    PeerPlan of whoever comes and goes --add, remove--> CommonCodecs --best--> the codec of a source

An endpoint lacks a codec when one of its pictures can't play it; one without pictures lacks none. What is
counted does not grow with the lesson, and who publishes is asked to change only when ``missing`` does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from media.plan import CodecName, CodecPlan, PeerPlan

_PICTURES: tuple[CodecName, ...] = ("vp8", "h264", "vp9", "av1")


class CommonCodecs:
    """Counts who lacks what."""

    def __init__(self) -> None:
        self._lack: Counter[CodecName] = Counter()

    @property
    def missing(self) -> frozenset[CodecName]:
        """Codecs that somebody lacks."""
        return frozenset(name for name, count in self._lack.items() if count)

    def add(self, plan: PeerPlan) -> None:
        """An endpoint has come."""
        self._lack.update(_lacking(plan))

    def remove(self, plan: PeerPlan) -> None:
        """An endpoint that was added has gone."""
        self._lack.subtract(_lacking(plan))

    def best(self, codecs: Sequence[CodecPlan]) -> CodecPlan:
        """Of a source's codecs, the preferred one first, the first that nobody lacks, else the one that the
        fewest lack. Raises ValueError for none."""
        return min(codecs, key=lambda codec: self._lack[codec.name])


def _lacking(plan: PeerPlan) -> set[CodecName]:
    pictures = [slot.picture for slot in plan.slots if slot.picture is not None]
    return {
        name
        for name in _PICTURES
        for picture in pictures
        if all(name != each.name for each in picture.codecs)
    }
