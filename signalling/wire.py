"""Translates what the bridge says (bridge.notices) to the messages of the wire. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UNSET, UnsetType

from bridge import notices
from bridge.errors import ErrorCode
from bridge.lessons import Lesson
from bridge.members import Member
from bridge.notices import Notice
from bridge.values import Contact, IceServer, RecordingState, SlotPlan, SourceKind, SourceRef
from signalling import messages as m


def to_wire(notice: Notice) -> m.ServerMessage | None:
    """The message that says it, or None for a farewell, which a close code says."""
    return _TRANSLATE[type(notice)](notice)


def _re(request: int | None) -> int | UnsetType:
    return UNSET if request is None else request


def _lesson(lesson: Lesson, recording: RecordingState) -> m.WireLesson:
    return m.WireLesson(
        id=lesson.id,
        title=lesson.title,
        course=lesson.course,
        state=lesson.state,
        recording=recording,
    )


def _ice_servers(servers: tuple[IceServer, ...]) -> tuple[m.WireIceServer, ...]:
    return tuple(
        m.WireIceServer(urls=server.urls, username=server.username, credential=server.credential)
        for server in servers
    )


def _contact(contact: Contact | None) -> m.WireContact | None:
    return None if contact is None else m.WireContact(text=contact.text, phone=contact.phone)


def _member(member: Member) -> m.WireMember:
    return m.WireMember(
        endpoint=member.endpoint,
        role=member.role,
        site=member.site,
        room=member.room,
        label=member.label,
        headcount=member.headcount,
        teaches=member.teaches,
        away=member.away,
        sources={kind.value: on for kind, on in member.sources.items()},
    )


def _ref(source: SourceRef | None) -> m.WireRef | None:
    return None if source is None else m.WireRef(endpoint=source.endpoint, kind=source.kind)


def _plays(plan: SlotPlan) -> tuple[m.WirePlay, ...]:
    return tuple(
        m.WirePlay(index=play.index, picture=_ref(play.picture), voice=_ref(play.voice))
        for play in plan.plays
    )


def _codecs(codecs: Mapping[SourceKind, str]) -> dict[str, str]:
    return {kind.value: codec for kind, codec in codecs.items()}


def _welcome(notice: notices.Welcome) -> m.Welcome:
    admitted, grant = notice.admitted, notice.admitted.grant
    return m.Welcome(
        re=_re(notice.re),
        version=m.VERSION,
        endpoint=notice.endpoint,
        lesson=_lesson(notice.lesson, notice.recording),
        you=m.WireYou(
            role=admitted.role,
            site=admitted.site,
            room=admitted.room,
            publish=tuple(kind for kind in SourceKind if kind in grant.publish),
            teaches=grant.teaches,
            may_open=grant.may_open,
            may_end=grant.may_end,
        ),
        slots=m.WireCounts(pairs=grant.slots.pairs, voices=grant.slots.voices),
        resume=notice.return_ticket.secret,
        resumable_s=notice.return_ticket.resumable_s,
        ice_servers=_ice_servers(notice.ice_servers),
        contact=_contact(notice.contact),
    )


def _snapshot_fields(snapshot: notices.Snapshot) -> dict[str, Any]:
    return {
        "lesson": _lesson(snapshot.lesson, snapshot.recording),
        "members": tuple(_member(member) for member in snapshot.members),
        "slots": _plays(snapshot.plan),
        "codecs": _codecs(snapshot.codecs),
        "revision": snapshot.revision,
    }


def _joined(notice: notices.Joined) -> m.Joined:
    return m.Joined(
        re=_re(notice.re),
        answer=notice.answer,
        sources=notice.sources,
        snapshot=m.WireSnapshot(**_snapshot_fields(notice.snapshot)),
        ice_servers=_ice_servers(notice.ice_servers),
    )


def _resumed(notice: notices.Resumed) -> m.Resumed:
    snapshot = m.WireSnapshot(**_snapshot_fields(notice.snapshot))
    return m.Resumed(
        re=_re(notice.re),
        endpoint=notice.endpoint,
        lesson=snapshot.lesson,
        joined=notice.joined,
        snapshot=snapshot,
        resume=notice.return_ticket.secret,
        resumable_s=notice.return_ticket.resumable_s,
        ice_servers=_ice_servers(notice.ice_servers),
    )


def _restarted(notice: notices.Restarted) -> m.Restarted:
    return m.Restarted(re=_re(notice.re), answer=notice.answer, ice_servers=_ice_servers(notice.ice_servers))


def _members(notice: notices.MembersChanged) -> m.Members:
    changed = tuple(_member(member) for member in notice.changed)
    return m.Members(changed=changed, gone=notice.gone, revision=notice.revision)


def _refused(notice: notices.Refused) -> m.Error:
    return m.Error(re=_re(notice.re), code=notice.code, text=notice.text, fatal=notice.fatal)


def _farewell(_notice: notices.Farewell) -> None:
    return None


_TRANSLATE: dict[type[Notice], Callable[[Any], m.ServerMessage | None]] = {
    notices.Welcome: _welcome,
    notices.Joined: _joined,
    notices.Resumed: _resumed,
    notices.Restarted: _restarted,
    notices.Snapshot: lambda notice: m.Snapshot(**_snapshot_fields(notice)),
    notices.LessonChanged: lambda notice: m.Lesson(lesson=_lesson(notice.lesson, notice.recording)),
    notices.MembersChanged: _members,
    notices.SlotsChanged: lambda notice: m.Slots(slots=_plays(notice.plan), revision=notice.revision),
    notices.CodecsChanged: lambda notice: m.Codecs(codecs=_codecs(notice.codecs)),
    notices.Done: lambda notice: m.Done(re=_re(notice.re)),
    notices.Refused: _refused,
    notices.Farewell: _farewell,
}

_CLOSE_CODES = {ErrorCode.MESSAGE_TOO_LARGE: 1009, ErrorCode.SERVER_STOPPING: 1001}


def close_code(final: Notice) -> int:
    """The WebSocket close code after a final notice (RFC 6455, section 7.4; PROTOCOL.md, section 6)."""
    if isinstance(final, notices.Refused):
        return _CLOSE_CODES.get(final.code, 4000)
    return 1000
