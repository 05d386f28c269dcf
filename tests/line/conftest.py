"""A network for the tests of the line itself."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.line.namespaces import why_not
from tests.line.network import Network, open_network


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    if reason := why_not():
        pytest.skip(f"no namespaces on this machine: {reason}")
    async with open_network() as made:
        yield made
