"""The WebSocket as the protocol wants it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import WSCloseCode, web

from bridge.errors import ErrorCode
from signalling import messages as m

_TOO_LARGE = m.encode(
    m.Error(code=ErrorCode.MESSAGE_TOO_LARGE, text=f"a frame above {m.MESSAGE_MAX} bytes", fatal=True)
)


class LessonSocket(web.WebSocketResponse):
    """aiohttp's socket with our limit of a frame, whose excess is said in our words before it closes.

    Pings are ours to send and answer (``autoping`` off), so that they count in the rate limit. Nothing is
    compressed: a deflate state of 256 KiB for each endpoint of a large lesson costs more than it saves.
    """

    def __init__(self, closing_s: float) -> None:
        """``closing_s``: how long to wait for the client's close frame, seconds."""
        super().__init__(timeout=closing_s, autoping=False, compress=False, max_msg_size=m.MESSAGE_MAX)
        self._closing_s = closing_s

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True) -> bool:
        """As aiohttp's, which calls it with 1009 from inside ``receive`` when a frame is too large."""
        if code == WSCloseCode.MESSAGE_TOO_BIG and not self.closed:
            with suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(self._closing_s):
                    await self.send_str(_TOO_LARGE)
        return await super().close(code=code, message=message, drain=drain)
