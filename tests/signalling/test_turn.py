"""Timed TURN credentials, as coturn's ``use-auth-secret`` checks them."""

from __future__ import annotations

from bridge.values import EndpointId, IceServer, TurnConfig
from signalling.turn import TurnRest

URLS = ("turn:turn.example.fi:3478", "turns:turn.example.fi:443?transport=tcp")
ENDPOINT = EndpointId("Zm9vYmFy")


def test_the_credential_is_the_hmac_of_the_expiry_and_the_endpoint() -> None:
    servers = TurnRest(TurnConfig(URLS, "north", 3600)).for_endpoint(ENDPOINT, 1_800_000_000.9)
    # echo -n 1800003600:Zm9vYmFy | openssl dgst -sha1 -hmac north -binary | base64
    assert servers == (IceServer(URLS, "1800003600:Zm9vYmFy", "m4nl9FZWjXhiAc99IxlabuERncA="),)


def test_another_secret_another_credential() -> None:
    one, other = (
        TurnRest(TurnConfig(URLS, secret, 3600)).for_endpoint(ENDPOINT, 0.0)[0] for secret in ("a", "b")
    )
    assert one.username == other.username
    assert one.credential != other.credential


def test_without_servers_there_are_none() -> None:
    assert TurnRest(None).for_endpoint(ENDPOINT, 0.0) == ()
    assert TurnRest(TurnConfig((), "north", 3600)).for_endpoint(ENDPOINT, 0.0) == ()


def test_neither_secret_is_shown_in_a_log() -> None:
    config = TurnConfig(URLS, "north", 3600)
    (server,) = TurnRest(config).for_endpoint(ENDPOINT, 0.0)
    assert "north" not in repr(config)
    assert server.credential not in repr(server)
