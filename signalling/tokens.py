"""Tokens: who may come into which lesson, from where (PROTOCOL.md, section 2; RFC 7519, RFC 8725).

One key signs and checks; it is made once, in the data folder. The clock is an argument: POSIX seconds.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from bridge.errors import ErrorCode, RefusedError, SetupError
from bridge.values import LessonId, Pass, Role

KEY_FILE = "secret.key"
KEY_BYTES = 32
"""As long as the hash of HS256 (RFC 7518, section 3.2)."""
TOKEN_MAX = 2048
"""Characters. Ours are about 500 with the longest names; nothing longer is worth a signature check."""
NAME_MAX = 80
DEFAULT_TTL_S = 3600

_ALGORITHM = "HS256"
_ISSUER = "luokkasilta"
_AUDIENCE = "lesson"
_OPERATORS = "operator"
_LATEST = 2**53

C = TypeVar("C", bound=msgspec.Struct)

_Seconds = Annotated[int, msgspec.Meta(ge=0, le=_LATEST)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_MAX)]


class _Claims(msgspec.Struct, frozen=True):
    iss: Literal["luokkasilta"]
    aud: Literal["lesson"]
    iat: _Seconds
    exp: _Seconds
    jti: _Id
    lesson: _Id
    role: Role
    site: _Name
    room: _Name | None = None


class _OperatorClaims(msgspec.Struct, frozen=True):
    iss: Literal["luokkasilta"]
    aud: Literal["operator"]
    iat: _Seconds
    exp: _Seconds
    jti: _Id


class Tokens:
    """Signs and checks the tokens of one server."""

    def __init__(self, key: bytes) -> None:
        """``key``: at least KEY_BYTES secret bytes."""
        if len(key) < KEY_BYTES:
            raise ValueError(f"a signing key has at least {KEY_BYTES} bytes")
        self._key = OctKey.import_key(key)

    def sign(
        self,
        lesson: LessonId,
        role: Role,
        site: str,
        *,
        now: float,
        ttl_s: float = DEFAULT_TTL_S,
        room: str | None = None,
    ) -> str:
        """A token that is valid from ``now`` for ``ttl_s`` seconds.

        Raises ValueError for a time to live that is not positive, and for names that are empty or longer than
        NAME_MAX characters.
        """
        names: dict[str, object] = {"lesson": lesson, "role": role.value, "site": site}
        if room is not None:
            names["room"] = room
        return self._encode(_claims(_AUDIENCE, now, ttl_s) | names, _Claims)

    def sign_operator(self, *, now: float, ttl_s: float = DEFAULT_TTL_S) -> str:
        """A token for whoever watches over the server (metrics, statistics); it opens no lesson.

        Raises ValueError for a time to live that is not positive.
        """
        return self._encode(_claims(_OPERATORS, now, ttl_s), _OperatorClaims)

    def _encode(self, claims: dict[str, object], kind: type[msgspec.Struct]) -> str:
        try:
            msgspec.convert(claims, kind)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None
        return jwt.encode({"alg": _ALGORITHM}, claims, self._key, algorithms=[_ALGORITHM])

    def check(self, token: str, now: float) -> Pass:
        """The pass that a token stands for. Raises RefusedError: ``token-invalid``, ``token-expired``."""
        claims = self._decode(token, _Claims)
        if now >= claims.exp:
            raise RefusedError(ErrorCode.TOKEN_EXPIRED, "the token's time is over")
        return Pass(
            token_id=claims.jti,
            lesson=LessonId(claims.lesson),
            role=claims.role,
            site=claims.site,
            room=claims.room,
            expires_at=float(claims.exp),
        )

    def check_operator(self, token: str, now: float) -> None:
        """Accept an operator's token. Raises RefusedError: ``token-invalid``, ``token-expired``, and
        ``not-granted`` for the token of an endpoint."""
        try:
            claims = self._decode(token, _OperatorClaims)
        except RefusedError:
            self.check(token, now)
            raise RefusedError(ErrorCode.NOT_GRANTED, "a token for a lesson is none for operators") from None
        if now >= claims.exp:
            raise RefusedError(ErrorCode.TOKEN_EXPIRED, "the token's time is over")

    def _decode(self, token: str, kind: type[C]) -> C:
        """Raises RefusedError: ``token-invalid``."""
        if len(token) > TOKEN_MAX:
            raise RefusedError(ErrorCode.TOKEN_INVALID, "longer than any token of this server")
        try:
            # The list of algorithms keeps the token from choosing its own (RFC 8725, section 3.1).
            decoded = jwt.decode(token, self._key, algorithms=[_ALGORITHM])
            return msgspec.convert(decoded.claims, kind)
        except (JoseError, msgspec.ValidationError, ValueError, TypeError, RecursionError) as error:
            # The reason is for the log alone: its text may repeat what a stranger sent.
            raise RefusedError(ErrorCode.TOKEN_INVALID, "not a token of this server") from error


def _claims(audience: str, now: float, ttl_s: float) -> dict[str, object]:
    """Those of every token. Raises ValueError for a time to live that is not positive."""
    if ttl_s <= 0:
        raise ValueError("a token lives longer than 0 s")
    return {
        "iss": _ISSUER,
        "aud": audience,
        "iat": int(now),
        "exp": int(now + ttl_s),
        "jti": secrets.token_urlsafe(12),
    }


def load_key(folder: Path) -> bytes:
    """The signing key of a data folder, made at the first call. It blocks: call it in a thread.

    Raises SetupError: ``key-unreachable`` when the file can't be read or made, ``key-invalid`` when it is not
    a key, or readable by others.
    """
    path = folder / KEY_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make_key(path)
        mode = path.stat().st_mode
        key = path.read_bytes()
    except OSError as error:
        raise SetupError(
            "key-unreachable", f"the signing key {path} can't be used: {error.strerror}"
        ) from error
    if mode & 0o077:
        raise SetupError(
            "key-invalid", f"the signing key {path} can be read by others; its mode must be 0600"
        )
    if len(key) != KEY_BYTES:
        raise SetupError("key-invalid", f"the signing key {path} is not {KEY_BYTES} bytes long")
    return key


def _make_key(path: Path) -> None:
    """Whole or not at all, and the first of two processes wins."""
    draft = path.with_name(f".{KEY_FILE}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
