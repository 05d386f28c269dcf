"""A camera and a microphone that a page makes itself, where the browser can't play files as its devices."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.kit.media_files import FRAMES_PER_SECOND, HEIGHT, WIDTH
from tests.e2e.kit.picture_code import CELL, COLUMNS, PLACES, ROWS, Code, word_of
from tests.e2e.kit.tone_bursts import BURST_S

_HERE = Path(__file__).parent
_LONGEST_S = 90


def own_devices(source: int, frames_per_second: int = FRAMES_PER_SECOND) -> str:
    """A function in JavaScript that gives the page a camera with the code of ``source``, which counts its
    frames, and a microphone with a burst of the browser's own fake tone each second."""
    wish = {
        "width": WIDTH,
        "height": HEIGHT,
        "perSecond": frames_per_second,
        "words": [word_of(Code(source, frame)) for frame in range(_LONGEST_S * frames_per_second)],
        "columns": COLUMNS,
        "rows": ROWS,
        "cell": CELL,
        "places": PLACES,
        "burstS": BURST_S,
    }
    # The file begins with a comment, which a call can't follow.
    script = "\n".join(
        line for line in (_HERE / "own_devices.js").read_text().splitlines() if not line.startswith("//")
    )
    return f"() => {{ {script}({json.dumps(wish)}); }}"
