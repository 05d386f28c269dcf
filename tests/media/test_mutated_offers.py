"""Recorded offers with random damage, for a join and for a restart: a refusal or a sound answer, and soon."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.ports import MediaRefusedError
from media import sdp
from media.negotiation import negotiate
from media.restart import FreshIce, restart
from tests.media.support import LOCAL, OFFERS, Recorded, recorded

RECORDS = [recorded(path) for path in OFFERS]
FRESH = FreshIce("newUFRAG", "newPASSWORD/0123456789ab", LOCAL.candidates)
LIMIT_S = 0.5
"""Of processor time for one offer, ten times what the largest sound one takes."""

_values = st.one_of(
    st.text(max_size=30),
    st.integers(-(1 << 70), 1 << 70).map(str),
    st.sampled_from(
        ["", "0", "-0", "1e9", "65536", "4294967295", "4294967296", "9" * 5000, "\x00", "\u0661"]
    ),
    st.sampled_from(
        ["a=", "m=", "FID", "apt=apt", "%s", "h;m;l", "~", "*", "42e01f", "packetization-mode=1;" * 50]
    ),
)


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """``text`` after one to eight accidents."""
    lines = text.split("\r\n")
    for _ in range(draw(st.integers(1, 8))):
        if not lines:
            break
        at, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        match draw(
            st.sampled_from(["lose", "double", "swap", "move section", "value", "value", "cut", "flood"])
        ):
            case "lose":
                del lines[at : at + draw(st.integers(1, 5))]
            case "double":
                lines[at:at] = [lines[at]] * draw(st.integers(1, 200))
            case "swap":
                lines[at], lines[other] = lines[other], lines[at]
            case "move section":
                sections = re.split("(?m)^(?=m=)", "\r\n".join(lines))
                sections.append(sections.pop(draw(st.integers(0, len(sections) - 1))))
                lines = "".join(sections).split("\r\n")
            case "value":
                words = re.split(r"([ :=/;])", lines[at])
                words[draw(st.integers(0, len(words) - 1))] = draw(_values)
                lines[at] = "".join(words)
            case "cut":
                lines = "\r\n".join(lines)[: -draw(st.integers(1, 400))].split("\r\n")
            case "flood":
                # As much of one line as an offer may have, and sometimes more.
                room = sdp.MAX_CHARACTERS - sum(len(line) + 2 for line in lines)
                room += draw(st.sampled_from([0, 0, 0, 2000]))
                lines[at:at] = [lines[at]] * max(0, room // (len(lines[at]) + 2))
    return "\r\n".join(lines)


def _refused_soon(work: Callable[[], object]) -> bool:
    """True if ``work`` was refused, with a code and a short text. Anything but MediaRefusedError raises."""
    before = time.process_time()
    refusal: MediaRefusedError | None = None
    try:
        work()
    except MediaRefusedError as refused:
        refusal = refused
    assert time.process_time() - before < LIMIT_S
    if refusal is None:
        return False
    assert refusal.code in {"sdp-invalid", "sdp-unsupported", "not-granted"}
    assert refusal.text
    assert len(refusal.text) < 200
    return True


_records = st.sampled_from(RECORDS)


@settings(derandomize=True, max_examples=400, deadline=None)
@given(record=_records, data=st.data())
def test_a_join_is_refused_or_answered(record: Recorded, data: st.DataObject) -> None:
    text = data.draw(damaged(record.offer.sdp))
    offer = replace(record.offer, sdp=text)
    if _refused_soon(lambda: negotiate(offer, record.grant, LOCAL)):
        return
    negotiated = negotiate(offer, record.grant, LOCAL)
    assert len(sdp.parse(negotiated.answer).media) == len(sdp.parse(text).media)
    # What could be joined with can be restarted.
    renewed = re.sub(r"a=ice-(ufrag|pwd):\S+", lambda found: f"{found[0]}x", text)
    assert restart(negotiated.agreement, renewed, FRESH).ice is not None


@settings(derandomize=True, max_examples=400, deadline=None)
@given(record=_records, data=st.data())
def test_a_restart_is_refused_or_answered(record: Recorded, data: st.DataObject) -> None:
    joined = negotiate(record.offer, record.grant, LOCAL)
    renewed = re.sub(r"a=ice-(ufrag|pwd):\S+", lambda found: f"{found[0]}x", record.offer.sdp)
    text = data.draw(damaged(renewed))
    if _refused_soon(lambda: restart(joined.agreement, text, FRESH)):
        return
    restarted = restart(joined.agreement, text, FRESH)
    expected = joined.answer.replace(LOCAL.ice_ufrag, FRESH.ufrag).replace(LOCAL.ice_pwd, FRESH.pwd)
    assert restarted.answer == expected.replace("o=- 42 1 ", "o=- 42 2 "), "nothing else may change"


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_a_sound_offer_takes_a_tenth_of_the_limit(record: Recorded) -> None:
    joined = negotiate(record.offer, record.grant, LOCAL)
    renewed = re.sub(r"a=ice-(ufrag|pwd):\S+", lambda found: f"{found[0]}x", record.offer.sdp)
    for work in (
        lambda: negotiate(record.offer, record.grant, LOCAL),
        lambda: restart(joined.agreement, renewed, FRESH),
    ):
        times = []
        for _ in range(3):
            before = time.process_time()
            work()
            times.append(time.process_time() - before)
        assert min(times) < LIMIT_S / 10
