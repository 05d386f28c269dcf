"""The configuration file: TOML, read strictly into Config. What it does not say keeps its default.

    [http]  [media]  data  [limits]  [rules]  [turn]  [contact]

A key that is not known is refused by its name, a value of the wrong type by its key; paths are taken from the
folder that the file is in. The descriptions of the fields below are what ``serve --help`` says of them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

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
from bridge.slots import LessonRules
from bridge.values import Contact, TurnConfig

T = TypeVar("T")
V = TypeVar("V")

TURN_TTL_S = 12 * 3600

_Text = Annotated[str, Meta(min_length=1, max_length=500)]
_Url = Annotated[str, Meta(pattern=r"^(stun|stuns|turn|turns):\S+$", max_length=300)]
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_MISSING = re.compile(r"Object missing required field `(.*)`")


class _Http(Struct, frozen=True, forbid_unknown_fields=True):
    address: Annotated[str, Meta(description="as --http")] | UnsetType = UNSET
    certificate: Annotated[_Text, Meta(description="as --certificate")] | UnsetType = UNSET
    key: Annotated[_Text, Meta(description="as --key")] | UnsetType = UNSET
    behind_proxy: Annotated[bool, Meta(description="as --behind-proxy")] = False


class _Media(Struct, frozen=True, forbid_unknown_fields=True):
    bind: Annotated[list[str], Meta(min_length=1, description="as --media, a list")] | UnsetType = UNSET
    announce: Annotated[list[str], Meta(description="as --announce, a list")] = []


class _Turn(Struct, frozen=True, forbid_unknown_fields=True):
    urls: Annotated[
        list[_Url],
        Meta(min_length=1, description="of the TURN server, for networks that let nothing else out"),
    ]
    secret: (
        Annotated[_Text, Meta(description="shared with the TURN server, for credentials by time")] | UnsetType
    ) = UNSET
    secret_file: Annotated[_Text, Meta(description="a file that holds it, instead")] | UnsetType = UNSET
    ttl: Annotated[
        int, Meta(ge=60, le=7 * 86400, description="seconds a credential is good; a school day and more")
    ] = TURN_TTL_S


class _Contact(Struct, frozen=True, forbid_unknown_fields=True):
    text: Annotated[_Text, Meta(description="what to do when there is no line; pages show it")]
    phone: Annotated[str, Meta(max_length=40, description="whom to call then")] = ""


def _section(values: type) -> type[Struct]:
    """The section that fills a dataclass: its fields, with their types and defaults."""
    hints = get_type_hints(values, include_extras=True)
    members = [(field.name, hints[field.name], field.default) for field in fields(values)]
    return msgspec.defstruct(values.__name__, members, frozen=True, forbid_unknown_fields=True)


_SECTIONS: dict[str, type[Struct]] = {
    "http": _Http,
    "media": _Media,
    "limits": _section(Limits),
    "rules": _section(LessonRules),
    "turn": _Turn,
    "contact": _Contact,
}
_REASONS = {
    "data": "as --data",
    "rules.exclude_own_room": "a room is not sent its own picture and sound; false is for tests",
}


def read_settings(path: Path) -> Config:
    """The configuration that a file gives. It blocks.

    Raises SetupError, whose text names the file and the key: ``config-unreachable`` when the file, or that of
    a secret, can't be read, ``config-invalid`` when it is not TOML or says what can't be.
    """
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SetupError("config-unreachable", f"{path} can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SetupError("config-invalid", f"{path} is not TOML: {_one_line(error)}") from error
    try:
        return _config_of(said, path.parent)
    except ValueError as error:
        raise SetupError("config-invalid", f"{path}: {_one_line(error)}") from error


def explained() -> Iterator[tuple[str, str, str]]:
    """Every key of the file: its name, its default as text ("" where there is none), what it is."""
    yield "data", "", _REASONS["data"]
    for name, kind in _SECTIONS.items():
        hints = get_type_hints(kind, include_extras=True)
        for field in msgspec.structs.fields(kind):
            key = f"{name}.{field.name}"
            words = _REASONS.get(key) or " ".join(_descriptions(hints[field.name]))
            default = field.default
            plain = isinstance(default, bool | int | float)
            yield key, msgspec.json.encode(default).decode() if plain else "", words


def _config_of(said: dict[str, Any], folder: Path) -> Config:
    """Raises ValueError, with the key, and SetupError for a secret's file."""
    unknown = sorted(said.keys() - _SECTIONS.keys() - {"data"})
    if unknown:
        raise ValueError(f"unknown key {unknown[0]}")
    data = said.get("data", UNSET)
    if data is not UNSET and (not isinstance(data, str) or not data):
        raise ValueError("data: a path in quotes is expected")
    http, media = _read("http", _Http, said), _read("media", _Media, said)
    defaults = Config()
    return Config(
        http=_given(http.address, "http.address", parse_address, defaults.http),
        tls=_tls_of(http, folder),
        behind_proxy=http.behind_proxy,
        media=_bound(media) or defaults.media,
        announce=tuple(_parsed("media.announce", parse_announced, each) for each in media.announce),
        data=defaults.data if data is UNSET else folder / data,
        limits=Limits(**_values("limits", said)),
        rules=LessonRules(**_values("rules", said)),
        turn=_turn_of(_read("turn", _Turn, said), folder) if "turn" in said else None,
        contact=_contact_of(_read("contact", _Contact, said)) if "contact" in said else None,
    )


def _read(name: str, kind: type[T], said: dict[str, Any]) -> T:
    try:
        return msgspec.convert(said.get(name, {}), kind)
    except msgspec.ValidationError as error:
        raise ValueError(_in_words(name, str(error))) from None


def _values(name: str, said: dict[str, Any]) -> dict[str, Any]:
    return msgspec.structs.asdict(_read(name, _SECTIONS[name], said))


def _in_words(section: str, text: str) -> str:
    """What msgspec says of a value at "$.a", as a line about the key "section.a"."""
    problem, _, place = text.partition(" - at `$")
    key = section + place.rstrip("`")
    for pattern, words in ((_UNKNOWN, "unknown key {}"), (_MISSING, "{} is missing")):
        if match := pattern.fullmatch(problem):
            return words.format(f"{key}.{match[1]}")
    return f"{key}: {problem[0].lower()}{problem[1:]}"


def _tls_of(http: _Http, folder: Path) -> Tls | None:
    given = [folder / each for each in (http.certificate, http.key) if isinstance(each, str)]
    if len(given) == 1:
        raise ValueError("http.certificate and http.key go together")
    return Tls(*given) if given else None


def _bound(media: _Media) -> tuple[Address, ...]:
    if isinstance(media.bind, UnsetType):
        return ()
    return tuple(_parsed("media.bind", parse_media, each) for each in media.bind)


def _turn_of(turn: _Turn, folder: Path) -> TurnConfig:
    secret, place = turn.secret, turn.secret_file
    if isinstance(secret, str) is isinstance(place, str):
        raise ValueError("turn needs secret or secret_file, one of them")
    if isinstance(place, str):
        try:
            secret = (folder / place).read_text(encoding="utf-8").strip()
        except OSError as error:
            text = f"turn.secret_file: {folder / place} can't be read: {error.strerror}"
            raise SetupError("config-unreachable", text) from error
        except UnicodeDecodeError:
            raise ValueError(f"turn.secret_file: {folder / place} is not text") from None
        if not secret:
            raise ValueError(f"turn.secret_file: {folder / place} is empty")
    return TurnConfig(tuple(turn.urls), str(secret), turn.ttl)


def _contact_of(contact: _Contact) -> Contact:
    return Contact(contact.text, contact.phone)


def _given(value: str | UnsetType, key: str, parse: Callable[[str], V], default: V) -> V:
    return default if isinstance(value, UnsetType) else _parsed(key, parse, value)


def _parsed(key: str, parse: Callable[[str], V], text: str) -> V:
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _descriptions(hint: object) -> Iterator[str]:
    """Those of every Meta in an annotation, however deep in unions and aliases."""
    for part in get_args(hint):
        if isinstance(part, Meta):
            if part.description is not None:
                yield part.description
        else:
            yield from _descriptions(part)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or "nested too deep"
