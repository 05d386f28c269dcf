"""Counters of peers that outlive their peers, so that Prometheus sees them grow and never fall."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

OF_PEER = (
    "nacked",
    "resent",
    "not_resent",
    "key_frames_wanted",
    "key_frame_requests_sent",
    "unauthenticated",
    "replayed",
    "checks_refused",
)
OF_LAYER = ("asked_again", "repaired", "given_up")


class PeerTotals:
    """Adds up, at every look, what the peers have counted since the look before.

    What a peer counts after the last look at it is not seen: a scrape's interval of one peer at most.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], Counter[str]] = {}
        self._totals: Counter[str] = Counter(dict.fromkeys((*OF_PEER, *OF_LAYER), 0))

    def look(self, media: Mapping[str, Any]) -> Mapping[str, int]:
        """``media``: as media.service.MediaService.statistics. Gives the totals."""
        now = {
            (lesson, endpoint): _counted(peer)
            for lesson, endpoints in media.get("lessons", {}).items()
            for endpoint, peer in endpoints.items()
        }
        for key, counted in now.items():
            # Subtraction keeps what is positive: an endpoint that was let go and came back began at 0.
            self._totals.update(counted - self._seen.get(key, Counter()))
        self._seen = now
        return self._totals


def _counted(peer: Mapping[str, Any]) -> Counter[str]:
    found: Counter[str] = Counter()
    for names, counters in (
        (OF_PEER, peer.get("counters", {})),
        *((OF_LAYER, each) for each in _layers(peer)),
    ):
        for name in names:
            found[name] += counters.get(name, 0)
    return found


def _layers(peer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for source in peer.get("sources", {}).values():
        yield from source.get("layers", ())
