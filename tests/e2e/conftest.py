"""Files for the browsers' cameras and microphones, made once for the session: they are large."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.kit.media_files import PITCHES_HZ, Devices, write_devices
from tests.line.namespaces import why_not

LONGER_THAN_ANY_TEST_S = 90.0


@pytest.fixture(scope="session")
def devices() -> Iterator[tuple[Devices, ...]]:
    """One pair of files for each of three endpoints."""
    # Not pytest's own folder, which keeps those of three sessions: they'd be 3 GB.
    with tempfile.TemporaryDirectory(prefix="luokkasilta-") as folder:
        yield tuple(
            write_devices(Path(folder), source, LONGER_THAN_ANY_TEST_S) for source in range(len(PITCHES_HZ))
        )


@pytest.fixture
def needs_namespaces() -> None:
    """Skips where this machine can't have network namespaces joined by lines."""
    if reason := why_not():
        pytest.skip(f"no namespaces on this machine: {reason}")
