"""How the engine under test was built: a figure of a debug build would say nothing."""

from __future__ import annotations

import tomllib

from media import _engine
from tests.e2e.kit.server import ROOT


def describe() -> str:
    """The profile that the extension tells, the manifest's words on it, and the hash of its sources.

    Raises RuntimeError where the extension is not a release build.
    """
    if not _engine.BUILD_PROFILE.startswith("release, "):
        raise RuntimeError(f"the extension is a {_engine.BUILD_PROFILE} build: make extension")
    manifest = tomllib.loads((ROOT / "media" / "rust" / "Cargo.toml").read_text())
    profile = ", ".join(f"{key} = {value}" for key, value in manifest["profile"]["release"].items())
    return f"{_engine.BUILD_PROFILE} ({profile}), sources {_engine.SOURCE_HASH[:12]}"
