"""The pages as a person uses them: by the words on their buttons, which come from the pages' own Finnish."""

from __future__ import annotations

import json
from typing import Any

from playwright.async_api import expect

from tests.e2e.kit.browser import Browser
from tests.e2e.kit.server import ROOT

_WORDS: dict[str, Any] = json.loads((ROOT / "web/src/i18n/fi.json").read_text(encoding="utf-8"))
PATIENCE_MS = 30_000

PICTURES = """count => [...document.querySelectorAll("video[data-slot]")]
    .filter((video) => video.videoWidth > 0 && video.checkVisibility({ visibilityProperty: true }))
    .length >= count"""


def word(name: str) -> str:
    """The page's words for ``name``, e.g. "kiosk.open"."""
    found: Any = _WORDS
    for part in name.split("."):
        found = found[part]
    assert isinstance(found, str), name
    return found


async def press(browser: Browser, name: str) -> None:
    """Press the button that says ``name``, when it is there and can be pressed."""
    button = browser.page.get_by_role("button", name=word(name), exact=True)
    await button.click(timeout=PATIENCE_MS)


async def visit(browser: Browser, link: str) -> None:
    # Another token alone is another fragment, which would not load the page anew.
    await browser.page.goto("about:blank")
    await browser.page.goto(link)


async def wait_for_pictures(browser: Browser, count: int) -> None:
    """Until at least ``count`` slots show a picture."""
    await browser.page.wait_for_function(PICTURES, arg=count, timeout=PATIENCE_MS)


async def end_lesson(kiosk: Browser) -> None:
    """End it for all, and confirm."""
    await press(kiosk, "lesson.end")
    await press(kiosk, "lesson.endConfirm")


async def expect_ended(browser: Browser) -> None:
    """The page says that the lesson is over."""
    heading = browser.page.get_by_role("heading", name=word("ended.title"))
    await expect(heading).to_be_visible(timeout=PATIENCE_MS)
