"""Tokens: what is let in, and every way in which one is not a token of this server."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from bridge.errors import ErrorCode, RefusedError, SetupError
from bridge.values import LessonId, Role
from signalling.tokens import KEY_FILE, TOKEN_MAX, Tokens, load_key

KEY = bytes(range(32))
NOW = 1_800_000_000.0
TOKENS = Tokens(KEY)
GOOD = {
    "iss": "luokkasilta",
    "aud": "lesson",
    "iat": int(NOW),
    "exp": int(NOW) + 60,
    "jti": "x",
    "lesson": "abc",
    "role": "school",
    "site": "Iisalmi",
}


def encoded(claims: dict[str, object], key: bytes = KEY) -> str:
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(key), algorithms=["HS256"])


def refusal(token: str, now: float = NOW) -> ErrorCode:
    with pytest.raises(RefusedError) as caught:
        TOKENS.check(token, now)
    return caught.value.code


def test_a_token_carries_lesson_role_site_and_room() -> None:
    token = TOKENS.sign(LessonId("abc"), Role.SCHOOL, "Iisalmi", now=NOW, ttl_s=60, room="204")
    admitted = TOKENS.check(token, NOW + 59)
    assert (admitted.lesson, admitted.role, admitted.site, admitted.room) == (
        "abc",
        Role.SCHOOL,
        "Iisalmi",
        "204",
    )
    assert admitted.expires_at == NOW + 60


def test_no_two_tokens_are_one() -> None:
    tokens = {TOKENS.sign(LessonId("abc"), Role.HOME, "Vieremä", now=NOW) for _ in range(50)}
    assert len({TOKENS.check(token, NOW).token_id for token in tokens}) == 50


def test_a_token_ends_at_its_second() -> None:
    token = TOKENS.sign(LessonId("abc"), Role.SCHOOL, "Iisalmi", now=NOW, ttl_s=60)
    assert refusal(token, NOW + 60) is ErrorCode.TOKEN_EXPIRED


def test_the_good_claims_of_the_twins_are_good() -> None:
    assert TOKENS.check(encoded(GOOD), NOW).site == "Iisalmi"


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_every_claim_is_needed(missing: str) -> None:
    claims = {name: value for name, value in GOOD.items() if name != missing}
    assert refusal(encoded(claims)) is ErrorCode.TOKEN_INVALID


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("iss", "another"),
        ("aud", "library"),
        ("aud", ["lesson", "library"]),
        ("role", "teacher"),
        ("role", 1),
        ("exp", str(int(NOW) + 60)),
        ("exp", 2**60),
        ("exp", -1),
        ("exp", None),
        ("lesson", ""),
        ("lesson", ["abc"]),
        ("site", ""),
        ("site", "x" * 81),
        ("room", ""),
        ("room", 204),
        ("jti", {}),
    ],
)
def test_a_claim_of_another_kind_is_refused(claim: str, value: object) -> None:
    assert refusal(encoded({**GOOD, claim: value})) is ErrorCode.TOKEN_INVALID


def test_another_servers_key_is_refused() -> None:
    assert refusal(encoded(GOOD, key=bytes(32))) is ErrorCode.TOKEN_INVALID


def part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["none", "None", "HS384", "HS512", "RS256", "ES256", "", 1, None])
def test_a_token_does_not_choose_its_algorithm(algorithm: object) -> None:
    signature = encoded(GOOD).rpartition(".")[2]
    for tail in ("", signature):
        assert refusal(f"{part({'alg': algorithm})}.{part(GOOD)}.{tail}") is ErrorCode.TOKEN_INVALID


def test_a_stronger_hash_with_the_right_key_is_refused_too() -> None:
    token = jwt.encode({"alg": "HS512"}, GOOD, OctKey.import_key(KEY), algorithms=["HS512"])
    assert refusal(token) is ErrorCode.TOKEN_INVALID


def test_an_oversize_token_is_refused_unread() -> None:
    assert refusal("a" * (TOKEN_MAX + 1)) is ErrorCode.TOKEN_INVALID


def test_every_flipped_character_is_refused() -> None:
    token = encoded(GOOD)
    for at, character in enumerate(token[:-1]):
        twin = "A" if character != "A" else "B"
        assert refusal(token[:at] + twin + token[at + 1 :]) is ErrorCode.TOKEN_INVALID
        assert refusal(token[:at]) is ErrorCode.TOKEN_INVALID


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_no_text_is_more_than_refused(text: str) -> None:
    assert refusal(text) is ErrorCode.TOKEN_INVALID


@pytest.mark.parametrize(
    ("site", "ttl_s"), [("", 60.0), ("x" * 81, 60.0), ("Iisalmi", 0.0), ("Iisalmi", -5.0)]
)
def test_what_would_be_refused_is_not_signed(site: str, ttl_s: float) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is msgspec's
        TOKENS.sign(LessonId("abc"), Role.SCHOOL, site, now=NOW, ttl_s=ttl_s)


def operator_refusal(token: str, now: float = NOW) -> ErrorCode:
    with pytest.raises(RefusedError) as caught:
        TOKENS.check_operator(token, now)
    return caught.value.code


def test_an_operators_token_is_for_operators_alone() -> None:
    token = TOKENS.sign_operator(now=NOW, ttl_s=60)
    TOKENS.check_operator(token, NOW + 59)
    assert operator_refusal(token, NOW + 60) is ErrorCode.TOKEN_EXPIRED
    assert refusal(token) is ErrorCode.TOKEN_INVALID
    lesson = TOKENS.sign(LessonId("abc"), Role.KIOSK, "Närpiö", now=NOW, ttl_s=60)
    assert operator_refusal(lesson) is ErrorCode.NOT_GRANTED
    assert operator_refusal(lesson, NOW + 60) is ErrorCode.TOKEN_EXPIRED
    for bad in ("", "x.y.z", token[:-2], encoded({**GOOD, "aud": "operator"}, key=bytes(32))):
        assert operator_refusal(bad) is ErrorCode.TOKEN_INVALID
    with pytest.raises(ValueError, match="longer than 0"):
        TOKENS.sign_operator(now=NOW, ttl_s=0)


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    key = load_key(folder)
    assert load_key(folder) == key
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == [KEY_FILE], "no draft is left"


def test_a_key_that_others_can_read_or_that_is_cut_is_refused(tmp_path: Path) -> None:
    load_key(tmp_path)
    path = tmp_path / KEY_FILE
    path.chmod(0o644)
    with pytest.raises(SetupError, match="key-invalid"):
        load_key(tmp_path)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(SetupError, match="key-invalid"):
        load_key(tmp_path)
