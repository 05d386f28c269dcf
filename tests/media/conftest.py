"""What the tests of media begin with: a media service on a free loopback port, and a Chromium."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from media.service import MediaService
from tests.media.live import chromium


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Debian's chromium is not installed")
    async with chromium(program) as started:
        yield started


@pytest.fixture
async def service() -> AsyncIterator[MediaService]:
    media = MediaService(["127.0.0.1:0"])
    await media.start()
    yield media
    await media.stop()
