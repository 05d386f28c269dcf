"""The check of conftest.py finds a blocking call of our own code, and nothing else."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.conftest import BlockingCalls

ROOT = Path(__file__).parent.parent


def run_as(name: str, source: str) -> None:
    """Run code as if it stood in a file of that name."""
    exec(compile(source, str(ROOT / name), "exec"), {})


async def test_finds_a_blocking_call_of_ours_on_the_loop(blocking_calls: BlockingCalls) -> None:
    run_as("bridge/made_up.py", "\nimport time\ntime.sleep(0)")
    assert blocking_calls.found == ["time.sleep at bridge/made_up.py:3"]
    blocking_calls.found.clear()


async def test_finds_one_made_through_a_library(blocking_calls: BlockingCalls) -> None:
    run_as("signalling/made_up.py", "import pathlib\npathlib.Path('/').joinpath('dev/null').read_text()")
    assert blocking_calls.found == ["open at signalling/made_up.py:2"]
    blocking_calls.found.clear()


async def test_leaves_a_thread_alone(blocking_calls: BlockingCalls) -> None:
    await asyncio.to_thread(run_as, "bridge/made_up.py", "import time\ntime.sleep(0)")
    assert blocking_calls.found == []


async def test_leaves_what_a_test_does_itself_alone(blocking_calls: BlockingCalls) -> None:
    time.sleep(0)  # noqa: ASYNC251 - the point
    assert blocking_calls.found == []


def test_leaves_code_without_a_loop_alone(blocking_calls: BlockingCalls) -> None:
    run_as("bridge/made_up.py", "import time\ntime.sleep(0)")
    assert blocking_calls.found == []
