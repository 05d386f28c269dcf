"""The HTTP of one session, as a client does it. It blocks.

The standard library alone: the system's Python runs it too. Nothing of the server's code is used here.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from urllib.parse import urljoin

FRAGMENT = "application/trickle-ice-sdpfrag"
PATIENCE_S = 20.0


class Session:
    """Made by its POST; then ``url``, ``etag`` and ``answer`` are there."""

    def __init__(self, endpoint: str, token: str, offer: str) -> None:
        """Raises RuntimeError for any answer but 201."""
        self._token = token
        status, headers, self.answer = self._ask("POST", endpoint, offer, {"Content-Type": "application/sdp"})
        if status != 201:
            raise RuntimeError(f"POST {status}: {self.answer}")
        self.url = urljoin(endpoint, headers["Location"])
        self.etag = headers["ETag"]

    def patch(self, fragment: str, if_match: str) -> tuple[int, str]:
        """Status and body; ``etag`` is that of the answer."""
        sent = {"Content-Type": FRAGMENT, "If-Match": if_match}
        status, headers, body = self._ask("PATCH", self.url, fragment, sent)
        self.etag = headers.get("ETag", self.etag)
        return status, body

    def delete(self) -> int:
        return self._ask("DELETE", self.url, None, {})[0]

    def _ask(
        self, method: str, url: str, body: str | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], str]:
        data = None if body is None else body.encode()
        sent = {"Authorization": f"Bearer {self._token}", **headers}
        request = urllib.request.Request(url, data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
                return response.status, dict(response.headers), response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read().decode()
