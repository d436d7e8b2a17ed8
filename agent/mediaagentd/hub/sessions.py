"""Who exists and who is logged in: sessions by token and by user, and when their leases run out."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.types import Session


class Sessions:
    """Sessions with their leases; who is in an answered call has `grace` seconds more, for the sake of its
    media. A heap holds for each session when it is `_due` to be looked at: not after its expiry, unless it
    was found in such a call then. So a renewal costs no heap operation, the entry moves on when it comes up.
    """

    def __init__(self, lease: float, grace: float) -> None:
        self._lease = lease
        self._grace = grace
        self._due: dict[str, float] = {}
        self._by_token: dict[str, Session] = {}
        self._by_user: dict[str, dict[str, Session]] = {}
        self._heap: list[tuple[float, str]] = []
        self._users: set[str] = set()

    def know(self, user_id: str) -> bool:
        """Notes that this user exists; whether that is new."""
        new = user_id not in self._users
        self._users.add(user_id)
        return new

    def check_known(self, user_id: str) -> None:
        """Refused(USER_UNKNOWN) for who has never logged in."""
        if user_id not in self._users:
            message = f"no user {user_id} has ever logged in here"
            raise Refused(Reason.USER_UNKNOWN, message, {"user_id": user_id})

    def get(self, token: str) -> Session | None:
        """The session of that token."""
        return self._by_token.get(token)

    def of(self, user_id: str) -> tuple[Session, ...]:
        """The user's sessions, the oldest first."""
        return tuple(self._by_user.get(user_id, {}).values())

    def open(self, token: str, user_id: str, device_id: str, now: float) -> Session:
        """Adds a session with a fresh lease."""
        session = Session(token, user_id, device_id, now + self._lease)
        self._put(session)
        self._look_at(token, session.expires)
        return session

    def renew(self, session: Session, now: float) -> None:
        """Gives the session another lease."""
        self._put(Session(session.token, session.user_id, session.device_id, now + self._lease))

    def close(self, session: Session) -> None:
        """Removes the session."""
        del self._by_token[session.token], self._due[session.token]
        siblings = self._by_user[session.user_id]
        del siblings[session.token]
        if not siblings:
            del self._by_user[session.user_id]

    def out_of_call(self, token: str) -> None:
        """The session is in no answered call any more: without the grace it may be overdue."""
        session = self._by_token.get(token)
        if session is not None and session.expires < self._due[token]:
            self._look_at(token, session.expires)

    def deadline(self) -> float | None:
        """When to look at leases again; not after the first one that runs out."""
        while self._heap and not self._is_due(*self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def expired(self, now: float, in_call: Callable[[Session], bool]) -> Iterator[Session]:
        """The sessions whose lease has run out; the caller closes each. `in_call`: in an answered one."""
        while self._heap and self._heap[0][0] <= now:
            due, token = heapq.heappop(self._heap)
            if not self._is_due(due, token):
                continue
            session = self._by_token[token]
            ends = session.expires
            if ends <= now and in_call(session):
                ends += self._grace
            if ends <= now:
                yield session
            else:
                self._look_at(token, ends)

    def _look_at(self, token: str, due: float) -> None:
        self._due[token] = due
        heapq.heappush(self._heap, (due, token))

    def _is_due(self, due: float, token: str) -> bool:
        """Whether that is what is to be done; not one of a session that is gone, or looked at before."""
        return self._due.get(token) == due

    def _put(self, session: Session) -> None:
        self._by_token[session.token] = session
        self._by_user.setdefault(session.user_id, {})[session.token] = session
