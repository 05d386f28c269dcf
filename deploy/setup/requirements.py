"""Print what pyproject.toml needs to be built, run and tested, one requirement a line, for pip."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    project = settings["project"]
    wanted = [
        *settings["build-system"]["requires"],
        *project["dependencies"],
        *project["optional-dependencies"]["dev"],
    ]
    sys.stdout.write("".join(f"{line}\n" for line in dict.fromkeys(wanted)))


if __name__ == "__main__":
    main()
