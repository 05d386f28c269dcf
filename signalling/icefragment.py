"""The pieces of SDP that WHIP's PATCH carries: application/trickle-ice-sdpfrag (RFC 8840 section 9). Pure.

parse        a client's fragment: its ICE credentials, how many candidates
offer_with   the offer of an ICE restart, from the one offer that was made and new credentials
of_answer    the fragment that answers it, from the answer that any endpoint would get
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LINES_MAX = 256
LINE_MAX = 1024

_LINE = re.compile(r"[a-z]=[^\x00-\x1f\x7f]*")
# RFC 8839 section 5.4, and 5.1 without the attributes that follow.
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PWD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_CANDIDATE = re.compile(
    r"[A-Za-z0-9+/]{1,32} [0-9]{1,5} [A-Za-z0-9-]{1,16} [0-9]{1,10} [^ ]{1,255} [0-9]{1,5}"
    r" typ [A-Za-z0-9-]{1,16}( .*)?"
)
_OF_AN_ANSWER = ("a=mid:", "a=ice-ufrag:", "a=ice-pwd:", "a=candidate:", "a=end-of-candidates")


class FragmentInvalidError(Exception):
    """A text that is no fragment, or none that one client with one transport can mean."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of one end of ICE (RFC 8839 section 5.4)."""

    ufrag: str
    pwd: str


@dataclass(frozen=True, slots=True)
class Fragment:
    credentials: Credentials | None
    candidates: int
    """Those that it brings. A server that is ICE-lite learns its peer from checks and needs none of them."""
    complete: bool
    """It says ``end-of-candidates``."""


def parse(text: str) -> Fragment:
    """Raises FragmentInvalidError, and nothing else, whatever the text."""
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    if len(lines) > LINES_MAX or any(len(line) > LINE_MAX for line in lines):
        raise FragmentInvalidError("too long")
    ufrags, pwds = set(), set()
    candidates, complete = 0, False
    for line in lines:
        if not _LINE.fullmatch(line):
            raise FragmentInvalidError("a line that is none of SDP")
        name, _, value = line[2:].partition(":") if line.startswith("a=") else ("", "", "")
        if name == "ice-ufrag":
            ufrags.add(value)
        elif name == "ice-pwd":
            pwds.add(value)
        elif name == "end-of-candidates":
            complete = True
        elif name == "candidate":
            if not _CANDIDATE.fullmatch(value):
                raise FragmentInvalidError("a malformed candidate")
            candidates += 1
    credentials = _credentials(ufrags, pwds)
    if credentials is None and not candidates and not complete:
        raise FragmentInvalidError("neither credentials nor candidates")
    return Fragment(credentials, candidates, complete)


def _credentials(ufrags: set[str], pwds: set[str]) -> Credentials | None:
    if not ufrags and not pwds:
        return None
    # There is one transport for all m-lines (BUNDLE).
    if len(ufrags) != 1 or len(pwds) != 1:
        raise FragmentInvalidError("not one pair of ICE credentials")
    (ufrag,), (pwd,) = ufrags, pwds
    if not _UFRAG.fullmatch(ufrag) or not _PWD.fullmatch(pwd):
        raise FragmentInvalidError("malformed ICE credentials")
    return Credentials(ufrag, pwd)


def credentials_of(offer: str) -> Credentials | None:
    """The first that an offer names; None where there are none."""
    ufrag = re.search(r"^a=ice-ufrag:(.*?)\r?$", offer, re.MULTILINE)
    pwd = re.search(r"^a=ice-pwd:(.*?)\r?$", offer, re.MULTILINE)
    return None if ufrag is None or pwd is None else Credentials(ufrag[1], pwd[1])


def offer_with(offer: str, credentials: Credentials) -> str:
    """The same offer with other ICE credentials: what the client would have written for a restart."""
    text = re.sub(
        r"^a=ice-ufrag:[^\r\n]*", lambda _: f"a=ice-ufrag:{credentials.ufrag}", offer, flags=re.MULTILINE
    )
    return re.sub(r"^a=ice-pwd:[^\r\n]*", lambda _: f"a=ice-pwd:{credentials.pwd}", text, flags=re.MULTILINE)


def of_answer(answer: str) -> str:
    """What an answer says of ICE: the session's lines, then those of the first m-line that is not refused."""
    session: list[str] = []
    first: list[str] = []
    in_media = refused = False
    for line in answer.splitlines():
        if line.startswith("m="):
            if first:
                break
            in_media, refused = True, line.split(" ", 2)[1] == "0"
            if not refused:
                first.append(line)
        elif not in_media and line.startswith(("a=ice-", "a=group:")):
            session.append(line)
        elif in_media and not refused and line.startswith(_OF_AN_ANSWER):
            first.append(line)
    return "\r\n".join([*session, *first]) + "\r\n"
