"""The configuration file: what it may say, what is refused and how, and that help tells all of it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.config import (
    Address,
    Config,
    Limits,
    Tls,
    parse_address,
    parse_announced,
    parse_media,
)
from bridge.errors import SetupError
from bridge.settings import TURN_TTL_S, explained, read_settings
from bridge.slots import LessonRules
from bridge.values import Contact, TurnConfig

EVERYTHING = """
data = "kept"

[http]
address = "[::]:443"
certificate = "tls/chain.pem"
key = "/etc/tls/key.pem"
behind_proxy = true

[media]
bind = ["192.0.2.1:10000", "[2001:db8::1]:10000"]
announce = ["198.51.100.7", "198.51.100.7:443", "2001:DB8:0::7", "[2001:db8::7]:443"]

[limits]
connections = 7
heartbeat_s = 3

[rules]
exclude_own_room = false

[turn]
urls = ["turn:turn.example.fi:3478", "turns:turn.example.fi:443?transport=tcp"]
secret = "shh"
ttl = 3600

[contact]
text = "Soita opettajalle."
phone = "+358 40 123 4567"
"""


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], Config]:
    def read(text: str) -> Config:
        file = tmp_path / "luokkasilta.toml"
        file.write_text(text, encoding="utf-8")
        return read_settings(file)

    return read


def test_everything_that_can_be_said(tmp_path: Path, read: Callable[[str], Config]) -> None:
    assert read(EVERYTHING) == Config(
        http=Address("::", 443),
        tls=Tls(tmp_path / "tls/chain.pem", Path("/etc/tls/key.pem")),
        behind_proxy=True,
        media=(Address("192.0.2.1", 10000), Address("2001:db8::1", 10000)),
        announce=("198.51.100.7", "198.51.100.7:443", "2001:db8::7", "[2001:db8::7]:443"),
        data=tmp_path / "kept",
        limits=Limits(connections=7, heartbeat_s=3.0),
        rules=LessonRules(exclude_own_room=False),
        turn=TurnConfig(
            ("turn:turn.example.fi:3478", "turns:turn.example.fi:443?transport=tcp"), "shh", 3600
        ),
        contact=Contact("Soita opettajalle.", "+358 40 123 4567"),
    )


def test_what_is_not_said_keeps_its_default(read: Callable[[str], Config]) -> None:
    assert read("") == Config()
    assert read("[limits]\nconnections = 7").limits == Limits(connections=7)
    with pytest.raises(dataclasses.FrozenInstanceError):
        read("").data = Path("elsewhere")  # type: ignore[misc]


def test_a_secret_may_be_in_a_file_of_its_own(tmp_path: Path, read: Callable[[str], Config]) -> None:
    (tmp_path / "turn.secret").write_text("shh\n")
    turn = read('[turn]\nurls = ["turn:a"]\nsecret_file = "turn.secret"').turn
    assert turn == TurnConfig(("turn:a",), "shh", TURN_TTL_S)
    assert "shh" not in repr(turn)
    assert "shh" not in repr(read(EVERYTHING))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour = 1", "unknown key colour"),
        ("[http]\ncolour = 1", "unknown key http.colour"),
        ("[limits]\nconection = 1", "unknown key limits.conection"),
        ("[turn]\npassword = 1", "unknown key turn.password"),
        ("[http.address]\nhost = 1", "http.address: expected `str`, got `object`"),
        ("data = 1", "data: a path in quotes"),
        ("data = ''", "data: a path in quotes"),
        ("http = 1", "http: expected `object`, got `int`"),
        ("[http]\naddress = 8080", "http.address: expected `str`, got `int`"),
        ("[http]\naddress = '8080'", "http.address: '8080' is not an address"),
        ("[http]\ncertificate = 'a'", "http.certificate and http.key go together"),
        ("[http]\nbehind_proxy = 1", "http.behind_proxy: expected `bool`, got `int`"),
        ("[media]\nbind = []", "media.bind: expected `array` of length >= 1"),
        ("[media]\nbind = 'a'", "media.bind: expected `array`, got `str`"),
        ("[media]\nbind = ['localhost:1']", "media.bind: 'localhost:1' is not an IP address"),
        ("[media]\nannounce = ['a']", "media.announce: 'a' is not an IP address"),
        ("[media]\nannounce = [1]", "media.announce[0]: expected `str`, got `int`"),
        ("[limits]\nconnections = 0", "limits.connections: expected `int` >= 1"),
        ("[limits]\nconnections = true", "limits.connections: expected `int`, got `bool`"),
        ("[limits]\nheartbeat_s = 0", "limits.heartbeat_s: expected `float` > 0"),
        ("[rules]\nexclude_own_room = 'no'", "rules.exclude_own_room: expected `bool`, got `str`"),
        ("[turn]\nsecret = 'shh'", "turn.urls is missing"),
        ("[turn]\nurls = ['turn:a']", "turn needs secret or secret_file"),
        ("[turn]\nurls = ['turn:a']\nsecret = 'shh'\nsecret_file = 'a'", "turn needs secret or secret_file"),
        ("[turn]\nurls = ['http://a']\nsecret = 'shh'", "turn.urls[0]"),
        ("[turn]\nurls = ['turn:a']\nsecret = 'shh'\nttl = 1", "turn.ttl"),
        ("[turn]\nurls = ['turn:a']\nsecret_file = 'luokkasilta.toml/a'", "turn.secret_file"),
        ("[contact]\nphone = '112'", "contact.text is missing"),
        ("[contact]\ntext = ''", "contact.text"),
        ("=", "is not TOML"),
        ("data = 'a'\ndata = 'b'", "is not TOML"),
        ("a = " + "[" * 5000, "is not TOML"),
    ],
)
def test_what_cannot_be_is_told_by_its_key(read: Callable[[str], Config], text: str, words: str) -> None:
    with pytest.raises(SetupError) as caught:
        read(text)
    assert caught.value.code in {"config-invalid", "config-unreachable"}
    assert words in caught.value.text
    assert "luokkasilta.toml" in caught.value.text
    assert "shh" not in caught.value.text
    assert "\n" not in caught.value.text


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "luokkasilta.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SetupError, match="is not TOML"):
        read_settings(file)


def test_help_explains_every_key_and_every_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--help"])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    keys = list(explained())
    assert {key for key, _, _ in keys} >= {f"limits.{field.name}" for field in dataclasses.fields(Limits)}
    for key, default, words in keys:
        assert words, f"{key} is not explained"
        line = f"  {key} = {default}\n" if default else f"  {key}\n"
        assert line in said
    config = Config()
    flags = said.partition("options:")[2].partition("keys of the configuration file")[0]
    for each in (config.http, *config.media, config.data):
        assert str(each) in flags
    paragraphs = re.split(r"^  (?=-)", flags, flags=re.MULTILINE)[2:]
    assert len(paragraphs) == 8
    for paragraph in paragraphs:
        # A default and, after it, its reason.
        assert re.search(r"\(default: [^,)]+, [^)]+\)", " ".join(paragraph.split())), paragraph


def test_addresses() -> None:
    assert parse_address("localhost:0") == Address("localhost", 0)
    assert str(parse_address("[::1]:8080")) == "[::1]:8080"
    assert parse_media("[::]:10000") == Address("::", 10000)
    assert parse_announced("[2001:db8::1]:443") == "[2001:db8::1]:443"
    for text in ("", ":", ":80", "a:", "::1:80", "[::1]", "[::1:80", "a:-1", "a:65536", "a:1e3", "[a]:1 "):
        with pytest.raises(ValueError, match="is not an"):
            parse_address(text) if text != "[a]:1 " else parse_media(text)
    for text in ("", "a", "192.0.2.1:", "192.0.2.1:0", "[192.0.2.1", "2001:db8::1:99999", "example.fi:443"):
        with pytest.raises(ValueError, match="is not an IP address"):
            parse_announced(text)


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.9.9.9:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("192.0.2.1:1", False),
        ("localhost.example:1", False),
    ],
)
def test_loopback(text: str, loopback: bool) -> None:
    assert parse_address(text).is_loopback is loopback
