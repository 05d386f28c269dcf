"""How the engine under test was built: a figure of a debug build would say nothing."""

from __future__ import annotations

import tomllib

from media import _engine
from tests.e2e.kit.server import ROOT


def describe() -> str:
    """The release profile of the workspace and the hash of the sources that the extension was built from.

    Raises RuntimeError where the extension is a debug build.
    """
    symbols = (ROOT / "media" / "_engine.abi3.so").stat().st_size
    # A release build is below 20 MB, a debug build above 60 MB; the extension itself doesn't say.
    if symbols > 40_000_000:
        raise RuntimeError("the extension is a debug build: make extension")
    manifest = tomllib.loads((ROOT / "media" / "rust" / "Cargo.toml").read_text())
    profile = ", ".join(f"{key} = {value}" for key, value in manifest["profile"]["release"].items())
    return f"release ({profile}), sources {_engine.SOURCE_HASH[:12]}"
