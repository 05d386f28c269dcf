"""Timed TURN credentials (draft-uberti-behave-turn-rest-00): no accounts, one shared secret."""

from __future__ import annotations

import base64
import hashlib
import hmac

from bridge.values import EndpointId, IceServer, TurnConfig


class TurnRest:
    """Implements bridge.ports.IceServers for the TURN servers of a configuration.

    The user name is ``EXPIRY:ENDPOINT`` (POSIX seconds, the endpoint's id, which is no personal data), the
    credential the base64 of its HMAC-SHA1 under the shared secret (section 2.2 of the draft).
    """

    def __init__(self, config: TurnConfig | None) -> None:
        """``None``, or a configuration without URLs: there are no TURN servers."""
        self._config = config

    def for_endpoint(self, endpoint: EndpointId, now: float) -> tuple[IceServer, ...]:
        config = self._config
        if config is None or not config.urls:
            return ()
        username = f"{int(now) + config.ttl_s}:{endpoint}"
        mac = hmac.new(config.secret.encode(), username.encode(), hashlib.sha1)
        return (IceServer(config.urls, username, base64.b64encode(mac.digest()).decode("ascii")),)
