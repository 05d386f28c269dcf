"""The secrets by which an endpoint comes back (PROTOCOL.md, section 1). Pure; time is an argument.

An endpoint has one secret at a time. Using it gives the next one, and the used one is void as soon as the
client shows that it has read the next: a line that fails twice in a row may swallow the answer, and the
client would stand outside with a secret that nobody knows.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from hashlib import sha256

from bridge.values import EndpointId

SECRET_BYTES = 32


@dataclass(slots=True)
class _Known:
    newest: bytes
    used: bytes | None = None
    used_until: float = 0.0


class Resumption:
    """The secrets of one lesson's endpoints: two at most of each, kept as their SHA-256.

    A look-up by hash leaks no timing that helps to guess a secret, and whoever reads the memory gains none.
    """

    def __init__(self, overlap_s: float) -> None:
        """``overlap_s``: how long a used secret may be used again, seconds."""
        self._overlap_s = overlap_s
        self._owners: dict[bytes, EndpointId] = {}
        self._known: dict[EndpointId, _Known] = {}

    def __len__(self) -> int:
        """How many secrets are kept."""
        return len(self._owners)

    def issue(self, endpoint: EndpointId) -> str:
        """The first secret of an endpoint: 256 random bits, in 43 characters (RFC 4648, section 5)."""
        self.forget(endpoint)
        secret = secrets.token_urlsafe(SECRET_BYTES)
        self._known[endpoint] = _Known(_digest(secret))
        self._owners[_digest(secret)] = endpoint
        return secret

    def owner(self, secret: str, now: float) -> EndpointId | None:
        """Whose it is, or None for one that is unknown or used up. ``now`` in seconds, never going back."""
        digest = _digest(secret)
        endpoint = self._owners.get(digest)
        if endpoint is None:
            return None
        known = self._known[endpoint]
        if known.used == digest and now >= known.used_until:
            self.confirm(endpoint)
            return None
        return endpoint

    def renew(self, secret: str, now: float) -> str:
        """The next secret of the endpoint whose secret this is. Raises LookupError for nobody's."""
        endpoint = self.owner(secret, now)
        if endpoint is None:
            raise LookupError("nobody's secret")
        following = self.issue(endpoint)
        known = self._known[endpoint]
        known.used, known.used_until = _digest(secret), now + self._overlap_s
        self._owners[known.used] = endpoint
        return following

    def confirm(self, endpoint: EndpointId) -> None:
        """The client has its newest secret: the used one is void. A no-op when there is none."""
        known = self._known.get(endpoint)
        if known is not None and known.used is not None:
            del self._owners[known.used]
            known.used = None

    def forget(self, endpoint: EndpointId) -> None:
        """All of its secrets are void. A no-op for one without."""
        known = self._known.pop(endpoint, None)
        if known is not None:
            for digest in (known.newest, known.used):
                if digest is not None:
                    del self._owners[digest]


def _digest(secret: str) -> bytes:
    # A secret from the wire may hold half a surrogate pair, which is no UTF-8.
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()
