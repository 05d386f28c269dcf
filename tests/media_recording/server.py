"""A server of one recorded lesson as a process of its own, so that a test can kill it; told by lines of JSON.

    {"endpoint", "sdp", "sources"} --> {"answer"}
    {"end": true} --> {"finished", "failed"}, when the recording is playable

``python -m tests.media_recording.server RECORDINGS``
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

from bridge.values import GRANTS, EndpointId, LessonId, Offer, OfferedSource, Role, SourceKind
from media.recording.service import RecordingService
from media.service import MediaService

LESSON = LessonId("lesson")


async def main(recordings: Path) -> None:
    service = MediaService(["127.0.0.1:0"], recordings=recordings)
    await service.start()
    finisher = RecordingService(recordings, service.sync_recordings)
    failures: list[str] = []
    lesson = service.open(LESSON, lambda event: failures.append(repr(event)), record=True)
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        told: dict[str, Any] = json.loads(line)
        if "end" in told:
            lesson.close()
            finisher.finish(LESSON)
            await finisher.idle()
            say(finished=finisher.finished, failed=finisher.failed, events=failures)
            continue
        sources = tuple(OfferedSource(SourceKind(each["kind"]), each["mid"]) for each in told["sources"])
        grant = GRANTS[Role(told.get("role", "kiosk"))]
        admission = lesson.admit(EndpointId(told["endpoint"]), Offer(told["sdp"], sources, ()), grant)
        say(answer=admission.answer)
    await finisher.stop()
    await service.stop()


def say(**words: object) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main(Path(sys.argv[1])))
