"""What Prometheus is told (its text format): numbers of this process, without names or labels of people.

Every label has few values, all known beforehand: a role, an error code, a shard, a name of a counter. What an
endpoint does by itself is in ``/api/statistics``.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from bridge.overview import Overview
from bridge.values import Role
from signalling.totals import PeerTotals

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
JOIN_BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""A negotiation takes milliseconds; above a second a join is what a teacher waits for."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is so at the moment of a scrape; ``media`` is None when the engine gave no counters."""

    lessons: Overview
    connections: int
    strangers: int
    http_connections: int
    outbox_dropped: int
    outbox_overflows: int
    unread: int
    refused_connections: Mapping[str, int] = field(default_factory=dict)
    media: Mapping[str, Any] | None = None


class Metrics:
    """Keeps what is counted as it happens, and writes it with what is so at the moment."""

    def __init__(self) -> None:
        self._refused: Counter[str] = Counter()
        self._repair = PeerTotals()
        self._registry = CollectorRegistry()
        self._process: CollectorRegistry | None = None
        self._joins = Histogram(
            "luokkasilta_join_seconds",
            "From the arrival of a join until its answer has left.",
            buckets=JOIN_BUCKETS_S,
            registry=self._registry,
        )

    def refused(self, reason: str) -> None:
        """A client was told this error code, or turned away for this reason."""
        self._refused[reason] += 1

    def joined(self, seconds: float) -> None:
        """A join was answered well, so long after it came."""
        self._joins.observe(seconds)

    async def write(self, moment: Moment) -> bytes:
        """The text format, version 0.0.4."""
        gathered = CollectorRegistry()
        repair = None if moment.media is None else self._repair.look(moment.media)
        gathered.register(_Gathered(tuple(_families(moment, self._refused, repair))))
        # In a thread: the collectors of the process read from /proc, first when they are made.
        return await asyncio.to_thread(self._generate, gathered)

    def _generate(self, gathered: CollectorRegistry) -> bytes:
        if self._process is None:
            self._process = CollectorRegistry()
            for collector in (ProcessCollector, PlatformCollector, GCCollector):
                collector(registry=self._process)
        return b"".join(map(generate_latest, (gathered, self._registry, self._process)))


class _Gathered(Collector):
    def __init__(self, families: tuple[Metric, ...]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _families(
    moment: Moment, refused: Mapping[str, int], of_peers: Mapping[str, int] | None
) -> Iterable[Metric]:
    lessons = moment.lessons
    yield GaugeMetricFamily(
        "luokkasilta_lessons_live", "Lessons with endpoints in this process.", len(lessons.lessons)
    )
    roles = Counter(each.role for lesson in lessons.lessons for each in lesson.endpoints)
    yield _labelled(
        GaugeMetricFamily("luokkasilta_endpoints", "Endpoints in lessons.", labels=["role"]),
        {role.value: roles[role] for role in Role},
    )
    yield _labelled(
        GaugeMetricFamily(
            "luokkasilta_connections", "WebSockets, before and after their token.", labels=["state"]
        ),
        {"stranger": moment.strangers, "known": moment.connections - moment.strangers},
    )
    yield GaugeMetricFamily(
        "luokkasilta_http_connections", "TCP connections, WebSockets too.", moment.http_connections
    )
    yield _labelled(
        CounterMetricFamily(
            "luokkasilta_refused", "What clients were refused, by code or limit.", labels=["reason"]
        ),
        Counter(refused) + Counter(moment.refused_connections),
    )
    for name, words, value in (
        ("http_unread", "Connections cut because an answer was not read.", moment.unread),
        ("outbox_dropped", "News that slow readers were not sent.", moment.outbox_dropped),
        ("outbox_overflows", "Times an outbox was full.", moment.outbox_overflows),
        ("inbox_refused", "Requests refused because a Classroom's inbox was full.", lessons.inbox_refused),
        ("inbox_dropped", "News of sources dropped by a full inbox.", lessons.inbox_dropped),
    ):
        yield CounterMetricFamily(f"luokkasilta_{name}", words, value=value)
    yield from _engine_families(moment.media, of_peers or {})


def _engine_families(media: Mapping[str, Any] | None, of_peers: Mapping[str, int]) -> Iterable[Metric]:
    """Nothing but ``up`` when the engine does not answer."""
    yield GaugeMetricFamily(
        "luokkasilta_engine_up", "Every shard of the engine answers.", int(media is not None)
    )
    if media is None:
        return
    shards = CounterMetricFamily(
        "luokkasilta_engine_shard", "Counters of the engine's shards.", labels=["shard", "counter"]
    )
    peers = GaugeMetricFamily("luokkasilta_engine_peers", "Peers of the engine's shards.", labels=["shard"])
    for shard in media.get("shards", ()):
        for name, value in shard["counters"].items():
            shards.add_metric([str(shard["shard"]), name], value)
        peers.add_metric([str(shard["shard"])], shard["peers"])
    yield shards
    yield peers
    for name, words, values in (
        ("io", "Datagrams and connections of all threads, taken and dropped.", media.get("io", {})),
        ("troubles", "Events dropped; shards, writers and commands failed.", media.get("troubles", {})),
        ("peer", "What all peers counted: NACKs, retransmissions, key frames, refusals.", of_peers),
    ):
        family = CounterMetricFamily(f"luokkasilta_engine_{name}", words, labels=["counter"])
        yield _labelled(family, values)


def _labelled(family: Any, values: Mapping[str, int]) -> Metric:
    for label, value in values.items():
        family.add_metric([label], value)
    assert isinstance(family, Metric)
    return family
