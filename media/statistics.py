"""What goes on in all lessons, in one JSON-able value: the engine's counters under the names that we gave.

The engine counts by its own numbers (peer, source, slot); here they get the ids of endpoints and the kinds of
sources, and nothing else: no label, no site, no name of a person. Numbers that the engine adds later are
passed on under the engine's names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.values import EndpointId, LessonId
from media.engine import ShardStats
from media.plan import SourcePlan

_HALVES = {"video": "picture", "audio": "voice"}


@dataclass(frozen=True, slots=True)
class PeerNames:
    """What a peer's numbers in the engine stand for."""

    peer: int
    lesson: LessonId
    endpoint: EndpointId
    state: str
    """A value of media.peer.PeerState."""
    local: str | None
    """Our address of the selected ICE pair, without the port."""
    sources: Mapping[int, SourcePlan]
    """By the engine's source id."""


def arrange(
    shards: Sequence[ShardStats],
    io: Mapping[str, int],
    troubles: Mapping[str, int],
    peers: Iterable[PeerNames],
) -> dict[str, Any]:
    """The statistics of MediaService.statistics, which shows their shape.

    ``troubles`` are counted outside the shards. A peer that the engine doesn't count (yet, or any more) has
    null for what the engine knows and no counters; one that no lesson names (on its way out) is left out.
    """
    peers = list(peers)
    counted = {peer["peer"]: peer for shard in shards for peer in shard.counters.get("peers", [])}
    refs = {
        number: {"endpoint": peer.endpoint, "kind": plan.kind.value}
        for peer in peers
        for number, plan in peer.sources.items()
    }
    lessons: dict[str, dict[str, Any]] = {}
    for peer in peers:
        lessons.setdefault(peer.lesson, {})[peer.endpoint] = _peer(peer, counted.get(peer.peer, {}), refs)
    return {
        "shards": [
            {
                "shard": shard.shard,
                "peers": len(shard.counters.get("peers", [])),
                "counters": dict(shard.counters.get("counters", {})),
            }
            for shard in shards
        ],
        "io": dict(io),
        "troubles": dict(troubles),
        "lessons": lessons,
    }


def _peer(names: PeerNames, counted: Mapping[str, Any], refs: Mapping[int, dict[str, str]]) -> dict[str, Any]:
    told_apart = {"peer", "remote", "silent_ms", "round_trip_ms", "sources", "slots"}
    return {
        "state": names.state,
        "local": names.local,
        "remote": counted.get("remote"),
        "silent_ms": counted.get("silent_ms"),
        "round_trip_ms": counted.get("round_trip_ms"),
        "counters": {name: value for name, value in counted.items() if name not in told_apart},
        "sources": {
            plan.kind.value: {
                "codec": plan.codec.name,
                "layers": _layers(plan, [each for each in counted.get("sources", []) if each["source"] == n]),
            }
            for n, plan in names.sources.items()
        },
        "slots": _slots(counted.get("slots", []), refs),
    }


def _layers(plan: SourcePlan, counted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"level": plan.layers[each["layer"]].level.value}
        | {name: value for name, value in each.items() if name not in {"source", "layer"}}
        for each in sorted(counted, key=lambda each: int(each["layer"]))
    ]


def _slots(counted: list[dict[str, Any]], refs: Mapping[int, dict[str, str]]) -> list[dict[str, Any]]:
    slots: dict[int, dict[str, Any]] = {}
    for each in counted:
        slot = slots.setdefault(each["slot"], {"index": each["slot"], "picture": None, "voice": None})
        half = {name: value for name, value in each.items() if name not in {"slot", "media"}}
        for what in ("wanted", "playing"):
            number = each.get(what)
            # A source may be gone while its last packets are on the way.
            half[what] = None if number is None else refs.get(number)
        slot[_HALVES[each["media"]]] = half
    return [slots[index] for index in sorted(slots)]
