"""A running Classroom with recording media, and its endpoints by name."""

from __future__ import annotations

import asyncio

from bridge.classroom import Classroom
from bridge.inbox import Disconnected, Enter, Join, Open, Resume
from bridge.lessons import Lesson
from bridge.notices import Done, Joined, Refused, Resumed, Welcome
from bridge.ports import IceServers
from bridge.slots import LessonRules
from bridge.values import ConnectionId, Contact, EndpointId, Offer, Pass, Role
from tests.bridge.support import (
    LESSON,
    NOON,
    PATIENCE_S,
    KeepingOutbox,
    MemoryStore,
    RecordingMedia,
    RecordingMediaService,
    make_offer,
    make_pass,
)


class Room:
    """A running Classroom, and its endpoints by name."""

    def __init__(
        self,
        limit: int = 1000,
        rules: LessonRules | None = None,
        lesson: Lesson = LESSON,
        resumable_s: float = 3600.0,
        ice_servers: IceServers | None = None,
        contact: Contact | None = None,
        media: type[RecordingMedia] = RecordingMedia,
    ) -> None:
        self.store = MemoryStore({lesson.id: lesson})
        self.clock = 0.0
        self.service = RecordingMediaService(media)
        self.closed: list[Classroom] = []
        self.classroom = Classroom(
            lesson,
            store=self.store,
            open_media=self.service.open,
            rules=rules or LessonRules(),
            limit=limit,
            now=lambda: NOON,
            on_closed=self.closed.append,
            resumable_s=resumable_s,
            ice_servers=ice_servers,
            contact=contact,
            monotonic=lambda: self.clock,
        )
        self.task = asyncio.create_task(self.classroom.run())

    @property
    def media(self) -> RecordingMedia:
        return self.service.last

    async def enter(
        self,
        name: str,
        role: Role,
        site: str | None = None,
        room: str | None = None,
        replaces: str | None = None,
    ) -> Endpoint:
        endpoint = Endpoint(self, EndpointId(name), role, site or name)
        admitted = make_pass(role, site or name, room)
        self.classroom.post(Enter(endpoint.connection, 1, admitted, endpoint.outbox, replaces))
        endpoint.secret = (await endpoint.outbox.wait_for(Welcome)).return_ticket.secret
        return endpoint

    async def joined(
        self, name: str, role: Role, site: str | None = None, room: str | None = None
    ) -> Endpoint:
        endpoint = await self.enter(name, role, site, room)
        await endpoint.join()
        return endpoint

    async def opened(self) -> Endpoint:
        """The lesson is live and its teacher has joined."""
        teacher = await self.enter("kiosk", Role.KIOSK)
        self.classroom.post(Open(teacher.connection, 2))
        await teacher.outbox.wait_for(Done)
        await teacher.join()
        return teacher


class Endpoint:
    def __init__(self, room: Room, endpoint: EndpointId, role: Role, site: str) -> None:
        self.id = endpoint
        self.connection = ConnectionId(endpoint)
        self.secret = ""
        self.role = role
        self.site = site
        self.outbox = KeepingOutbox()
        self._room = room

    def ask_to_join(self, offer: Offer | None = None, label: str | None = None, headcount: int = 1) -> None:
        self._room.classroom.post(Join(self.connection, 7, label, headcount, offer or make_offer(self.role)))

    async def join(self) -> Joined:
        self.ask_to_join()
        return await self.outbox.wait_for(Joined)

    async def refused(self) -> Refused:
        return await self.outbox.wait_for(Refused)

    def is_cut(self) -> None:
        """Its connection is gone, without a word."""
        self._room.classroom.post(Disconnected(self.connection))

    def ask_to_resume(
        self, name: str, secret: str | None = None, admitted: Pass | None = None
    ) -> asyncio.Future[None]:
        """Over a new connection of this name."""
        self.outbox = KeepingOutbox()
        self.connection = ConnectionId(name)
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        admitted = admitted or make_pass(self.role, self.site)
        secret = self.secret if secret is None else secret
        self._room.classroom.post(Resume(self.connection, 5, admitted, self.outbox, secret, outcome))
        return outcome

    async def resume(self, name: str) -> Resumed:
        await asyncio.wait_for(self.ask_to_resume(name), PATIENCE_S)
        resumed = self.outbox.notices[0]
        assert isinstance(resumed, Resumed), "nothing comes before it"
        await self.outbox.wait_for(Resumed)
        self.secret = resumed.return_ticket.secret
        return resumed
