"""For all tests: a call that blocks the event loop fails the test that made it."""

from __future__ import annotations

import asyncio
import linecache
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

_ROOT = Path(__file__).parent.parent
_OURS = tuple(f"{_ROOT / package}/" for package in ("bridge", "signalling", "media"))
_BLOCKING = frozenset(
    {"open", "time.sleep", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.link", "shutil.copyfile"}
    | {"subprocess.Popen", "socket.getaddrinfo", "sqlite3.connect"}
)
"""Audit events (PEP 578), and time.sleep, which has none in Python 3.11. They tell what was called, not how
long it took: a busy machine changes nothing."""


class BlockingCalls:
    """What the program's own code called on a running event loop since the test began."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.watching = False

    def hook(self, event: str, _arguments: object) -> None:
        if not self.watching or event not in _BLOCKING:
            return
        if threading.current_thread() is not threading.main_thread() or asyncio._get_running_loop() is None:
            return
        caller = _caller(sys._getframe(1))
        if caller is not None:
            self.found.append(f"{event} at {caller}")


def _caller(frame: FrameType | None) -> str | None:
    """Where our code made the call; None for an import, for the source lines of a logged traceback, and for
    what is not our code's doing."""
    ours: str | None = None
    while frame is not None and frame.f_code.co_filename != asyncio.events.__file__:
        name = frame.f_code.co_filename
        if "importlib" in name or name == linecache.__file__:
            return None
        if ours is None and name.startswith(_OURS):
            ours = f"{Path(name).relative_to(_ROOT)}:{frame.f_lineno}"
        frame = frame.f_back
    return ours


_calls = BlockingCalls()
sys.addaudithook(_calls.hook)


@pytest.fixture(autouse=True)
def blocking_calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[BlockingCalls]:
    real_sleep = time.sleep

    def sleep(seconds: float) -> None:
        _calls.hook("time.sleep", seconds)
        real_sleep(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    _calls.found.clear()
    _calls.watching = True
    yield _calls
    _calls.watching = False
    if _calls.found:
        pytest.fail("blocking calls on the event loop: " + "; ".join(_calls.found))
