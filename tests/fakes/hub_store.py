"""A hub's store without a disk; it can be told to fail."""

from __future__ import annotations

from collections.abc import Iterable

from mediaagentd.hub.store import Image
from mediaagentd.hub.types import (
    Call,
    DropCall,
    DropDevice,
    DropGroup,
    DropMissed,
    DropSession,
    Effect,
    Group,
    Missed,
    PutCall,
    PutDevice,
    PutGroup,
    PutMissed,
    PutSession,
    PutUser,
    Session,
)


class MemoryStore:
    """The `Store` port in dictionaries. `failures` is how many of the next transactions fail."""

    def __init__(self) -> None:
        self._users: dict[str, None] = {}
        self._devices: dict[tuple[str, str], None] = {}
        self._sessions: dict[str, Session] = {}
        self._calls: dict[str, Call] = {}
        self._groups: dict[str, Group] = {}
        self._missed: dict[tuple[str, str], Missed] = {}
        self.failures = 0
        self.transactions = 0

    def apply(self, effects: Iterable[Effect]) -> None:
        batch = tuple(effects)
        if self.failures:
            self.failures -= 1
            raise OSError("no space left on device")
        self.transactions += 1
        for effect in batch:
            match effect:
                case PutUser(user_id):
                    self._users[user_id] = None
                case PutDevice(user_id, device_id):
                    self._devices.pop((user_id, device_id), None)
                    self._devices[user_id, device_id] = None
                case DropDevice(user_id, device_id):
                    self._devices.pop((user_id, device_id), None)
                case PutSession(session):
                    self._sessions[session.token] = Session(
                        session.token, session.user_id, session.device_id, 0.0
                    )
                case DropSession(token):
                    self._sessions.pop(token, None)
                case PutCall(call):
                    self._calls[call.call_id] = call
                case DropCall(call_id):
                    self._calls.pop(call_id, None)
                case PutGroup(group):
                    self._groups[group.group_id] = group
                case DropGroup(group_id):
                    self._groups.pop(group_id, None)
                case PutMissed(missed):
                    self._missed[missed.user_id, missed.invite_id] = missed
                case DropMissed(user_id, invite_ids):
                    for invite_id in invite_ids:
                        self._missed.pop((user_id, invite_id), None)
                case _:
                    pass

    def load(self) -> Image:
        return Image(
            users=tuple(self._users),
            sessions=tuple(self._sessions.values()),
            calls=tuple(self._calls.values()),
            groups=tuple(self._groups.values()),
            missed=tuple(self._missed.values()),
            devices=tuple(self._devices),
        )

    def close(self) -> None:
        pass
