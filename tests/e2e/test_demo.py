"""``luokkasilta demo``: one browser is enough to see and hear something alive, and Ctrl-C ends all of it."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.kit.browser import Shown, open_browser
from tests.e2e.kit.media_files import SOUND_RATE
from tests.e2e.kit.pages import press, visit, wait_for_pictures
from tests.e2e.kit.server import ROOT, descendants, faults_in, lines_of, living, stop_process
from tests.e2e.kit.tone_bursts import Sound

LINK = re.compile(r"http://127\.0\.0\.1:\d+/(kiosk|school|home)#t=\S+")


def loud_share(sound: Sound) -> float:
    """Of tenths of a second, how many have speech in them."""
    tenth = SOUND_RATE // 10
    pieces = sound[: len(sound) // tenth * tenth].reshape(-1, tenth).astype(np.float64)
    return float((np.sqrt((pieces**2).mean(axis=1)) > 0.01).mean())


def movement(shown: list[Shown]) -> list[float]:
    """Mean difference between one look and the next, in 255ths."""
    pairs = pairwise(shown)
    return [float(np.abs(after.grey.astype(int) - before.grey).mean()) for before, after in pairs]


@pytest.mark.browser
async def test_demo_is_alive_and_stops(tmp_path: Path) -> None:
    log = tmp_path / "demo.log"
    arguments = ["--http", "127.0.0.1:0", "--media", "0.0.0.0:0", "--data", str(tmp_path / "data")]
    with log.open("wb") as complaints:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bridge.cli", "demo", *arguments, cwd=ROOT, stdout=PIPE, stderr=complaints
        )
        try:
            links: dict[str, str] = {}
            async with asyncio.timeout(30):
                async for line in lines_of(process):
                    if match := LINK.search(line):
                        links[match[1]] = match[0]
                    if len(links) == 3:
                        break
            assert set(links) == {"kiosk", "school", "home"}, log.read_text()

            async with open_browser("visitor") as visitor:
                await visit(visitor, links["home"])
                await press(visitor, "home.join")
                await wait_for_pictures(visitor, 1)
                shown, sound = await asyncio.gather(visitor.look(10, 300), visitor.listen(8))
                assert {each.kind for each in shown} == {"camera"}
                assert len({each.slot for each in shown}) == 1
                moved = movement(shown)
                assert np.median(moved) > 0.05, f"the picture stands still: {moved}"
                assert shown[-1].grey.std() > 20, "the picture is of one colour"
                # The longest pause of the speech is 3 s of these 8.
                assert loud_share(sound) > 0.2, "the classroom says nothing"
                assert not visitor.faults

            children = descendants(process.pid)
            assert children, "the synthetic classroom is a process of its own"
        finally:
            code = await stop_process(process)
    assert code == 0
    assert not children & living().keys(), "a child was left behind"
    assert not faults_in(log.read_text())
