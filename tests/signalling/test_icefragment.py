"""application/trickle-ice-sdpfrag: what is read of it, what is written, and what garbage does (nothing)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalling.icefragment import (
    LINE_MAX,
    LINES_MAX,
    Credentials,
    Fragment,
    FragmentInvalidError,
    credentials_of,
    of_answer,
    offer_with,
    parse,
)

PWD = "asd88fgpdd777uzjYhagZgx/"
OURS = Credentials("8hhY", PWD)
HEAD = f"a=ice-ufrag:8hhY\r\na=ice-pwd:{PWD}\r\n"
LINE = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
CANDIDATE = "a=candidate:1 1 UDP 2130706431 2001:db8::1 5000 typ host\r\n"
TCP = "a=candidate:3 1 tcp 1671430143 198.51.100.1 9 typ host tcptype active generation 0 ufrag 8hhY\r\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD + LINE + CANDIDATE + TCP + "a=end-of-candidates\r\n", Fragment(OURS, 2, complete=True)),
        (LINE + HEAD + CANDIDATE, Fragment(OURS, 1, complete=False)),
        (HEAD + "a=ice-options:trickle ice2\r\n", Fragment(OURS, 0, complete=False)),
        (LINE + CANDIDATE, Fragment(None, 1, complete=False)),
        (HEAD + LINE + HEAD + CANDIDATE, Fragment(OURS, 1, complete=False)),
        ((HEAD + CANDIDATE).replace("\r\n", "\n"), Fragment(OURS, 1, complete=False)),
        ((HEAD + CANDIDATE).removesuffix("\r\n"), Fragment(OURS, 1, complete=False)),
        ("a=end-of-candidates", Fragment(None, 0, complete=True)),
        (HEAD + "a=x-unknown:what ever\r\nb=AS:1\r\n", Fragment(OURS, 0, complete=False)),
    ],
)
def test_what_a_fragment_says(text: str, expected: Fragment) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\r\n",
        "garbage",
        LINE,
        HEAD + "\r\n" + CANDIDATE,
        "a=ice-ufrag:8hhY\r\n",
        f"a=ice-pwd:{PWD}\r\n",
        HEAD + "a=ice-ufrag:other\r\n",
        HEAD.replace("8hhY", "8hh"),
        HEAD.replace("8hhY", "8h hY"),
        HEAD.replace(PWD, "short"),
        HEAD + "a=candidate:\r\n",
        HEAD + "a=candidate:1 1 UDP x 192.0.2.1 5000 typ host\r\n",
        HEAD + "a=candidate:1 1 UDP 1 192.0.2.1 5000 host\r\n",
        HEAD + "a=candidate:1 1 UDP 1 192.0.2.1 5000 typ host\x00\r\n",
        HEAD + "a=x:" + "x" * LINE_MAX,
        HEAD + "a=x\r\n" * LINES_MAX,
        HEAD.replace("\r\n", "\r"),
    ],
)
def test_what_is_no_fragment(text: str) -> None:
    with pytest.raises(FragmentInvalidError):
        parse(text)


_PIECES = st.sampled_from(
    [HEAD, LINE, CANDIDATE, TCP, "a=end-of-candidates\r\n", "a=", "\r\n", "a=candidate:"]
)


@given(st.one_of(st.text(), st.lists(_PIECES, max_size=20).map("".join)))
def test_any_text_is_a_fragment_or_refused(text: str) -> None:
    try:
        fragment = parse(text)
    except FragmentInvalidError:
        return
    assert fragment.credentials is not None or fragment.candidates or fragment.complete


OFFER = (
    "v=0\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=ice-ufrag:old1\r\na=ice-pwd:"
    + "o" * 22
    + "\r\na=sendonly\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=ice-ufrag:old1\r\na=ice-pwd:"
    + "o" * 22
    + "\r\n"
)


def test_the_offer_of_a_restart_has_other_credentials_and_nothing_else_changed() -> None:
    assert credentials_of(OFFER) == Credentials("old1", "o" * 22)
    changed = offer_with(OFFER, OURS)
    assert credentials_of(changed) == OURS
    assert "old1" not in changed
    assert offer_with(changed, Credentials("old1", "o" * 22)) == OFFER
    assert credentials_of("v=0\r\n") is None


@given(st.from_regex(r"[A-Za-z0-9+/]{4,256}", fullmatch=True))
def test_any_credentials_can_be_put_in(ufrag: str) -> None:
    assert credentials_of(offer_with(OFFER, Credentials(ufrag, PWD))) == Credentials(ufrag, PWD)


def test_the_fragment_of_an_answer_is_its_ice_and_can_be_read() -> None:
    answer = (
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\na=ice-lite\r\na=ice-options:ice2\r\na=group:BUNDLE 1 2\r\n"
        "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=inactive\r\n"
        f"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtcp:9 IN IP4 0.0.0.0\r\n{CANDIDATE}"
        f"a=end-of-candidates\r\n{HEAD}"
        "a=setup:passive\r\na=mid:1\r\n"
        f"m=video 9 UDP/TLS/RTP/SAVPF 96\r\n{CANDIDATE}{HEAD}a=mid:2\r\n"
    )
    fragment = of_answer(answer)
    assert fragment == (
        "a=ice-lite\r\na=ice-options:ice2\r\na=group:BUNDLE 1 2\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
        f"{CANDIDATE}a=end-of-candidates\r\n{HEAD}a=mid:1\r\n"
    )
    assert parse(fragment) == Fragment(OURS, 1, complete=True)
