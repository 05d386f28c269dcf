"""``python -m media.recording FOLDER OUT.mkv``: make the raw recording in FOLDER playable.

Prints one line. Exits with 0 when OUT.mkv is complete, 2 for wrong arguments, 3 where nothing was recorded,
else 1.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import av.logging

from media.recording.remux import NothingRecordedError, RemuxError, remux

NOTHING_RECORDED = 3
_NICE = 10
"""Lessons that are live come first."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m media.recording",
        description="Make a raw recording playable, without encoding it anew.",
    )
    parser.add_argument("folder", type=Path, help="the folder with the raw files of one lesson (*.part)")
    parser.add_argument("out", type=Path, help="the Matroska file to make; one that is there is replaced")
    arguments = parser.parse_args()
    os.umask(0o077)
    os.nice(_NICE)
    av.logging.set_level(None)
    try:
        report = remux(arguments.folder, arguments.out)
    except RemuxError as exc:
        sys.stderr.write(f"error: {exc}\n")
        return NOTHING_RECORDED if isinstance(exc, NothingRecordedError) else 1
    sys.stdout.write(f"{arguments.out}: {report}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
