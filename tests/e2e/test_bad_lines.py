"""The first lesson again over lines that are not good: packets lost in bursts, UDP blocked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.kit.far import BROWSER_FLAGS, far_server
from tests.e2e.kit.lesson import lesson_in
from tests.e2e.kit.media_files import Devices
from tests.e2e.kit.observation import LISTEN_S, LOOKS, longest_still_s, pace
from tests.e2e.kit.turn import why_no_turn
from tests.line.loss import GilbertElliott
from tests.line.network import NO_UDP, Line

pytestmark = pytest.mark.browser

LONGEST_STILL_S = 1.2
"""Looks are 0.2 s apart, more on a busy machine; a picture that waits for a key frame stands for seconds."""
LEAST_PACE = 0.85
"""Of the source's own time: what stands still and does not catch up shows here."""


@pytest.mark.usefixtures("needs_namespaces")
async def test_a_lesson_holds_with_five_percent_of_packets_lost_in_bursts(
    tmp_path: Path, devices: tuple[Devices, ...]
) -> None:
    """Each packet of sound and picture crosses the line twice: sent once, a tenth of them is lost."""
    line = Line(delay_s=0.03, loss=GilbertElliott.bursts(0.05, 2.0), seed=5)
    async with (
        far_server(tmp_path, line) as far,
        lesson_in(far.server, devices, namespaces=[far.client] * 3, flags=BROWSER_FLAGS) as lesson,
    ):
        before = await far.leg.counters()
        seen = await lesson.observe_all()
        after = await far.leg.counters()
        for way in ("down", "up"):
            early, late = getattr(before, way), getattr(after, way)
            assert 0.02 < (late.lost - early.lost) / (late.offered - early.offered) < 0.08
        assert after.missed == 0, "only the seeded loss took packets"
        for me, observation in seen.items():
            for other, sightings in observation.sightings.items():
                figures = f"{me} of {other}: {longest_still_s(sightings):.2f} s, pace {pace(sightings):.2f}"
                print(f"{figures}, {observation.bursts[other]} bursts")
                assert len(sightings) >= LOOKS * 0.8, figures
                assert longest_still_s(sightings) <= LONGEST_STILL_S, figures
                assert pace(sightings) >= LEAST_PACE, figures
                assert observation.bursts[other] >= LISTEN_S - 1, figures


@pytest.mark.usefixtures("needs_namespaces")
async def test_a_lesson_goes_by_tcp_where_udp_is_blocked(
    tmp_path: Path, devices: tuple[Devices, ...]
) -> None:
    line = Line(blocked=NO_UDP)
    async with (
        far_server(tmp_path, line) as far,
        lesson_in(far.server, devices, namespaces=[far.client] * 3, flags=BROWSER_FLAGS) as lesson,
    ):
        await lesson.observe_all()
        counters = await far.leg.counters()
        assert counters.up.blocked > 0, "the browsers tried UDP first"


@pytest.mark.usefixtures("needs_namespaces")
@pytest.mark.skipif(why_no_turn() is not None, reason=f"no TURN server here: {why_no_turn()}")
async def test_a_lesson_goes_through_a_relay_over_tls(tmp_path: Path, devices: tuple[Devices, ...]) -> None:
    """The last resort: UDP is blocked, and policy `relay` keeps the browsers from trying TCP by ICE."""
    async with (
        far_server(tmp_path, Line(blocked=NO_UDP), turn=True, turn_urls=("tls",)) as far,
        lesson_in(
            far.server,
            devices,
            namespaces=[far.client] * 3,
            flags=BROWSER_FLAGS,
            switches="&transport=relay",
        ) as lesson,
    ):
        await lesson.observe_all()
        assert far.turn is not None
        assert far.turn.allocations() >= 3
