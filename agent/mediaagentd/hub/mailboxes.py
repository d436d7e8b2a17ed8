"""The outboxes of all sessions, and of those that were kicked out and may not know it yet."""

from __future__ import annotations

from collections.abc import Iterator

from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.outbox import Outbox
from mediaagentd.hub.types import Session

_REMEMBERED = 10_000
"""Kicked sessions that are remembered; the oldest is forgotten."""


class Mailboxes:
    """Outboxes by token and by user. `exclusive`: a user's devices exclude each other."""

    def __init__(self, *, exclusive: bool = True) -> None:
        self._exclusive = exclusive
        self._live: dict[str, Outbox] = {}
        self._by_user: dict[str, set[str]] = {}
        self._kicked: dict[str, Outbox] = {}

    def __iter__(self) -> Iterator[Outbox]:
        return iter((*self._live.values(), *self._kicked.values()))

    def add(self, session: Session, base: int, *, restored: bool = False) -> None:
        """A session began."""
        self._live[session.token] = Outbox(session, base, restored=restored)
        self._by_user.setdefault(session.user_id, set()).add(session.token)

    def get(self, token: str) -> Outbox | None:
        """The outbox of a live session."""
        return self._live.get(token)

    def find(self, token: str) -> Outbox:
        """The outbox of a session, live or kicked. Refused: SESSION_UNKNOWN."""
        outbox = self._live.get(token) or self._kicked.get(token)
        if outbox is None:
            raise Refused(Reason.SESSION_UNKNOWN, "the hub does not know this session: log in again")
        return outbox

    def drop(self, token: str, kicked_by: str) -> None:
        """A session is over."""
        outbox = self._live.pop(token, None)
        if outbox is None:
            return
        siblings = self._by_user[outbox.session.user_id]
        siblings.discard(token)
        if not siblings:
            del self._by_user[outbox.session.user_id]
        outbox.end(kicked_by)
        if kicked_by:
            self._kicked[token] = outbox
            if len(self._kicked) > _REMEMBERED:
                del self._kicked[next(iter(self._kicked))]

    def check_return(self, token: str, user_id: str, device_id: str) -> None:
        """Whether a device may take up the lost session `token` again by itself. Refused: KICKED_OUT when
        another device kicked it, or one that excludes it has logged in since: a login by a machine must not
        win against one by a person. Who was kicked by an older login of its own, which the network held back,
        may.
        """
        others = self._by_user.get(user_id, ()) if self._exclusive else ()
        devices = [self._live[other].session.device_id for other in others]
        if token in self._kicked:
            devices.append(self._kicked[token].kicked_by)
        if all(device == device_id for device in devices):
            return
        message = "another device of this user has logged in"
        raise Refused(Reason.KICKED_OUT, message, {"code": "6208", "device_id": devices[-1]})
