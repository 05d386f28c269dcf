"""The first lesson again over lines that are not good: packets lost in bursts, UDP blocked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.kit.far import BROWSER_FLAGS, far_server
from tests.e2e.kit.lesson import lesson_in
from tests.e2e.kit.media_files import Devices
from tests.line.loss import GilbertElliott
from tests.line.network import NO_UDP, Line

pytestmark = pytest.mark.browser


@pytest.mark.usefixtures("needs_namespaces")
async def test_a_lesson_holds_with_five_percent_of_packets_lost_in_bursts(
    tmp_path: Path, devices: tuple[Devices, ...]
) -> None:
    line = Line(delay_s=0.03, loss=GilbertElliott.bursts(0.05, 2.0), seed=5)
    async with (
        far_server(tmp_path, line) as far,
        lesson_in(far.server, devices, namespaces=[far.client] * 3, flags=BROWSER_FLAGS) as lesson,
    ):
        before = await far.leg.counters()
        seen = await lesson.observe_all()
        after = await far.leg.counters()
        for me, each in seen.items():
            print(me, {k: (len(v), v[0], v[-1]) for k, v in each.frames.items()}, each.bursts)
        print(before, after)


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
