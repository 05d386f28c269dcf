"""The slots' rules, by example and by property."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from types import MappingProxyType

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.members import Member, same_room
from bridge.slots import LessonRules, Placing, Roster, assign
from bridge.values import GRANTS, EndpointId, Role, SlotCounts, SlotPlay, SourceKind, SourceRef

CAMERA, DOCUMENT, SCREEN = SourceKind.CAMERA, SourceKind.DOCUMENT, SourceKind.SCREEN
MIC, CONTENT = SourceKind.MIC, SourceKind.CONTENT
RULES = LessonRules()


def member(
    name: str,
    role: Role = Role.SCHOOL,
    *,
    site: str | None = None,
    room: str | None = None,
    on: tuple[SourceKind, ...] = (CAMERA, MIC),
    off: tuple[SourceKind, ...] = (),
    slots: tuple[int, ...] | None = None,
) -> Member:
    counts = GRANTS[role].slots
    return Member(
        endpoint=EndpointId(name),
        role=role,
        site=site or name,
        room=room,
        label=None,
        headcount=1,
        teaches=GRANTS[role].teaches,
        sources=MappingProxyType(dict.fromkeys(on, True) | dict.fromkeys(off, False)),
        counts=counts,
        slots=tuple(range(counts.pairs + counts.voices)) if slots is None else slots,
    )


def plays(placing: Placing) -> dict[int, tuple[str | None, str | None]]:
    """The slots that play something, as "endpoint kind"."""
    return {
        play.index: (said(play.picture), said(play.voice))
        for play in placing.plan.plays
        if play.picture is not None or play.voice is not None
    }


def said(ref: SourceRef | None) -> str | None:
    return None if ref is None else f"{ref.endpoint} {ref.kind}"


def place(
    members: list[Member], me: Member, previous: Placing | None = None, rules: LessonRules = RULES
) -> Placing:
    return assign(Roster.of(members), me, previous or Placing(), rules)


def place_by_voice(members: list[Member], me: Member, speakers: tuple[str, ...]) -> Placing:
    roster = Roster.by_voice(members, tuple(EndpointId(name) for name in speakers))
    return assign(roster, me, Placing(), RULES)


def test_teacher_first_then_in_the_order_of_joining() -> None:
    me = member("home", Role.HOME)
    teacher = member("kiosk", Role.KIOSK, on=(CAMERA, MIC, DOCUMENT, SCREEN, CONTENT))
    placing = place([member("a"), me, teacher, member("b")], me)
    assert plays(placing) == {
        0: ("kiosk camera", "kiosk mic"),
        1: ("kiosk document", None),
        2: ("kiosk screen", "kiosk content"),
        3: ("a camera", "a mic"),
        4: ("b camera", "b mic"),
    }


def test_every_slot_of_the_endpoint_is_in_the_plan_and_no_other() -> None:
    me = member("home", Role.HOME, slots=(1, 4, 6))
    placing = place([me, *(member(name) for name in "abcd")], me)
    assert [play.index for play in placing.plan.plays] == [1, 4, 6]
    assert plays(placing) == {1: ("a camera", "a mic"), 4: ("b camera", "b mic"), 6: (None, "c mic")}


def test_a_part_keeps_its_slot_when_others_come_and_go() -> None:
    me, a, b, c = member("home", Role.HOME), member("a"), member("b"), member("c")
    before = place([me, a, b], me)
    assert plays(before) == {0: ("a camera", "a mic"), 1: ("b camera", "b mic")}
    after = place([me, b, c], me, before)
    assert plays(after) == {0: ("c camera", "c mic"), 1: ("b camera", "b mic")}


def test_a_late_teacher_moves_nobody_while_there_is_room() -> None:
    me, a = member("home", Role.HOME), member("a")
    before = place([me, a], me)
    after = place([me, a, member("kiosk", Role.KIOSK)], me, before)
    assert plays(after) == {0: ("a camera", "a mic"), 1: ("kiosk camera", "kiosk mic")}


def test_a_late_teacher_takes_the_place_of_the_last_in_rank() -> None:
    me = member("home", Role.HOME)
    schools = [member(name) for name in "abcde"]
    before = place([me, *schools], me)
    after = place([me, *schools, member("kiosk", Role.KIOSK)], me, before)
    assert plays(after)[4] == ("kiosk camera", "kiosk mic")
    assert plays(after)[5] == (None, "e mic"), "who lost its pair is still heard"
    assert {i: plays(after)[i] for i in range(4)} == {i: plays(before)[i] for i in range(4)}


def test_a_camera_that_is_off_keeps_the_slot_and_its_voice() -> None:
    me, a, b = member("home", Role.HOME), member("a"), member("b")
    before = place([me, a, b], me)
    muted = a.switched(CAMERA, False)
    assert plays(place([me, muted, b], me, before))[0] == (None, "a mic")
    silent = muted.switched(MIC, False)
    away = place([me, silent, b, member("c")], me, before)
    assert plays(away) == {1: ("b camera", "b mic"), 2: ("c camera", "c mic")}
    back = place([me, a, b, member("c")], me, away)
    assert plays(back)[0] == ("a camera", "a mic")


def test_a_document_has_a_slot_only_while_it_is_on() -> None:
    me, a = member("home", Role.HOME), member("a", off=(DOCUMENT,))
    assert plays(place([me, a], me)) == {0: ("a camera", "a mic")}
    shared = place([me, a.switched(DOCUMENT, True)], me)
    assert plays(shared)[1] == ("a document", None)


def test_nothing_that_is_not_published_plays() -> None:
    me = member("home", Role.HOME)
    assert plays(place([me, member("a", on=(MIC,))], me)) == {0: (None, "a mic")}
    assert plays(place([me, member("a", on=())], me)) == {}


def test_voice_slots_go_to_those_that_are_heard_and_stay_with_them() -> None:
    me = member("home", Role.HOME, slots=(5, 6))
    a, b, c = member("a"), member("b", on=(CAMERA,), off=(MIC,)), member("c")
    before = place([me, a, b, c], me)
    assert plays(before) == {5: (None, "a mic"), 6: (None, "c mic")}
    after = place([me, a, b.switched(MIC, True), c], me, before)
    assert plays(after) == plays(before), "who holds a voice slot is not cut off by an earlier one"
    freed = place([me, a, b.switched(MIC, True), c.switched(MIC, False)], me, after)
    assert plays(freed) == {5: (None, "a mic"), 6: (None, "b mic")}


def test_a_voice_slot_goes_to_the_teacher_before_its_holder() -> None:
    me = member("home", Role.HOME, slots=(5, 6))
    before = place([me, member("a"), member("b")], me)
    after = place([me, member("a"), member("b"), member("kiosk", Role.KIOSK)], me, before)
    assert plays(after) == {5: (None, "a mic"), 6: (None, "kiosk mic")}


def test_who_gets_a_pair_leaves_its_voice_slot() -> None:
    me = member("home", Role.HOME)
    schools = [member(name) for name in "abcdef"]
    before = place([me, *schools], me)
    assert plays(before)[5] == (None, "f mic")
    after = place([me, *schools[1:]], me, before)
    assert plays(after)[0] == ("f camera", "f mic")
    assert 5 not in plays(after)


def test_one_slot_plays_the_teacher_and_without_one_who_speaks() -> None:
    me, voice_only = member("player", Role.GUEST, slots=(0,)), member("radio", Role.GUEST, slots=(5,))
    pupils = [member("a"), member("b"), member("c")]
    teacher = member("kiosk", Role.KIOSK, on=(CAMERA, MIC, DOCUMENT))
    speaking = ("c", "kiosk", "b")
    for present, speakers, expected in (
        (pupils, (), "a"),
        (pupils, ("c", "b"), "c"),
        ([*pupils, teacher], speaking, "kiosk"),
        ([*pupils, member("kiosk", Role.KIOSK, on=(CAMERA,), off=(MIC,))], speaking, "c"),
        ([*pupils, member("kiosk", Role.KIOSK, on=(CAMERA,), off=(MIC,))], (), "kiosk"),
        ([member("a"), member("c", on=(CAMERA,), off=(MIC,))], ("c", "a"), "a"),
        ([*pupils, member("x", site="player", room="7")], ("x", "b"), "x"),
    ):
        plan = plays(place_by_voice([*present, me], me, speakers))
        off = plan[0][1] is None
        assert plan == {0: (f"{expected} camera", None if off else f"{expected} mic")}, speakers
        if not off:
            assert plays(place_by_voice([*present, voice_only], voice_only, speakers)) == {
                5: (None, f"{expected} mic")
            }


def test_one_slot_does_not_play_the_own_room_because_it_speaks() -> None:
    me = member("player", site="Iisalmi", room="7", slots=(6,))
    present = [member("a"), member("b"), member("c", site="Iisalmi", room="7"), me]
    assert plays(place_by_voice(present, me, ("c", "b"))) == {6: (None, "b mic")}


def test_same_room() -> None:
    named = member("1", site="Iisalmi", room="204")
    assert same_room(named, member("2", Role.KIOSK, site="Iisalmi", room="204"))
    assert not same_room(named, member("2", site="Iisalmi", room="205"))
    assert not same_room(named, member("2", site="Kiuruvesi", room="204"))
    assert not same_room(named, member("2", site="Iisalmi"))
    unnamed = member("1", site="Iisalmi")
    assert same_room(unnamed, member("2", site="Iisalmi"))
    assert not same_room(unnamed, member("2", Role.KIOSK, site="Iisalmi"))
    home = member("1", Role.HOME, site="Vieremä")
    assert not same_room(home, member("2", Role.HOME, site="Vieremä"))
    assert same_room(home, home)


def test_own_room_is_seen_but_not_heard() -> None:
    me = member("tablet", site="Iisalmi", room="204")
    beside = member("camera", site="Iisalmi", room="204", on=(CAMERA, MIC, SCREEN, CONTENT))
    assert plays(place([me, beside], me)) == {0: ("camera camera", None), 1: ("camera screen", None)}
    mute = member("box", site="Iisalmi", room="204", on=(MIC,))
    assert plays(place([me, mute], me)) == {}, "there is nothing of it to play"


def test_without_the_rule_one_hears_oneself() -> None:
    me = member("home", Role.HOME)
    assert plays(place([me], me)) == {}
    assert plays(place([me], me, rules=LessonRules(exclude_own_room=False))) == {
        0: ("home camera", "home mic")
    }


# Properties


@st.composite
def members(draw: st.DrawFn) -> list[Member]:
    """In the order of joining; few sites and rooms, so that they meet."""
    kinds = st.dictionaries(st.sampled_from(SourceKind), st.booleans())
    made = []
    for number in range(draw(st.integers(1, 24))):
        counts = draw(st.builds(SlotCounts, st.integers(0, 8), st.integers(0, 3)))
        indices = range(counts.pairs + counts.voices)
        slots = draw(st.sets(st.sampled_from(indices)) if indices else st.just(set()))
        base = member(
            f"e{number}",
            draw(st.sampled_from(Role)),
            site=draw(st.sampled_from(("Iisalmi", "Vieremä", "Närpiö"))),
            room=draw(st.sampled_from((None, "204", "205"))),
        )
        sources = MappingProxyType(draw(kinds))
        made.append(replace(base, sources=sources, counts=counts, slots=tuple(sorted(slots))))
    return made


lessons = st.tuples(members(), st.randoms(use_true_random=False))
steady = settings(derandomize=True, max_examples=60, deadline=None)


def placed_refs(placing: Placing) -> list[SourceRef]:
    refs = [ref for play in placing.plan.plays for ref in (play.picture, play.voice)]
    return [ref for ref in refs if ref is not None]


@steady
@given(members())
def test_nobody_hears_its_own_room_or_sees_itself(present: list[Member]) -> None:
    by_name = {each.endpoint: each for each in present}
    for me in present:
        for play in place(present, me).plan.plays:
            if play.voice is not None:
                assert not same_room(me, by_name[play.voice.endpoint])
            if play.picture is not None:
                assert play.picture.endpoint != me.endpoint


@steady
@given(members())
def test_plans_stay_within_the_slots_and_name_each_once(present: list[Member]) -> None:
    for me in present:
        placing = place(present, me)
        assert [play.index for play in placing.plan.plays] == list(me.slots)
        for play in placing.plan.plays:
            assert play.index < me.counts.pairs or play.picture is None
            assert play.picture is None or play.picture.kind.is_picture
            assert play.voice is None or not play.voice.kind.is_picture


@steady
@given(members())
def test_no_source_twice_and_none_that_is_off(present: list[Member]) -> None:
    by_name = {each.endpoint: each for each in present}
    for me in present:
        refs = placed_refs(place(present, me))
        assert len(set(refs)) == len(refs)
        assert all(by_name[ref.endpoint].plays(ref.kind) for ref in refs)


@steady
@given(members())
def test_the_teacher_is_placed_before_anyone_else(present: list[Member]) -> None:
    """Nobody else has a pair while a teacher's camera that could be shown has none."""
    for me in present:
        placing = place(present, me)
        pairs = [i for i in placing.holders if i < me.counts.pairs]
        shown = {placing.holders[i] for i in pairs}
        teachers = [m for m in present if m.teaches and m.endpoint != me.endpoint and m.plays(CAMERA)]
        missing = [m for m in teachers if (m.endpoint, CAMERA) not in shown]
        by_name = {each.endpoint: each for each in present}
        if missing:
            assert all(by_name[endpoint].teaches for endpoint, _kind in shown)
        teaching = [i for i in pairs if by_name[placing.holders[i][0]].teaches]
        assert teaching == sorted(pairs)[: len(teaching)], "at first placing, the lowest slots"


@steady
@given(members())
def test_the_same_lesson_gives_the_same_plan(present: list[Member]) -> None:
    for me in present:
        first = place(present, me)
        assert place(list(present), me) == first
        assert place(present, me, first) == first, "nothing changed, nothing moves"


@steady
@given(lessons)
def test_what_stays_in_a_plan_stays_in_its_slot(lesson: tuple[list[Member], Random]) -> None:
    """Whoever comes and goes: a part that has a pair before and after has the same one."""
    present, random = lesson
    me, others = present[0], present[1:]
    before = place(present, me)
    leaving = {m.endpoint for m in others if random.random() < 0.3}
    coming = [member(f"new{i}", Role.KIOSK if i == 0 else Role.SCHOOL) for i in range(3)]
    after = place([me, *(m for m in others if m.endpoint not in leaving), *coming], me, before)
    for half in (range(me.counts.pairs), range(me.counts.pairs, 100)):
        now = {key: index for index, key in after.holders.items() if index in half}
        was = {key: index for index, key in before.holders.items() if index in half}
        assert all(now[key] == was[key] for key in now.keys() & was.keys())


@steady
@given(members())
def test_a_newcomer_who_does_not_teach_takes_nothing_from_anyone(present: list[Member]) -> None:
    me = present[0]
    before = place(present, me)
    after = place([*present, member("new")], me, before)
    for was, now in zip(before.plan.plays, after.plan.plays, strict=True):
        assert now == was or was == SlotPlay(was.index)
