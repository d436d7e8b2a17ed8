"""The hub's memory: live calls with their indexes, and a bounded one of calls that are over."""

from __future__ import annotations

from mediaagentd.hub.calls import engaged
from mediaagentd.hub.types import Call


class Ledger:
    """Calls by id, by invitation, by request, by group and by the user whom they engage.

    A user is engaged in at most one live call, a group in at most one; the rules of `exchange` see to it.
    Calls that are over stay, up to `remembered` of them with `members` members in all, so that a repeated
    command is answered as the first one was: ten thousand calls of a group of a thousand were gigabytes.
    The last one stays whatever its size.
    """

    def __init__(self, remembered: int, members: int) -> None:
        self._remembered = remembered
        self._most_members = members
        self._members = 0
        self._live: dict[str, Call] = {}
        self._over: dict[str, Call] = {}
        self._by_invite: dict[str, str] = {}
        self._invites: dict[str, set[str]] = {}
        self._by_request: dict[tuple[str, str], str] = {}
        self._by_group: dict[str, str] = {}
        self._engaged: dict[str, str] = {}
        self._last: dict[str, str] = {}

    def live(self) -> tuple[Call, ...]:
        """Every live call."""
        return tuple(self._live.values())

    def call(self, call_id: str) -> Call | None:
        """A call, live or remembered."""
        return self._live.get(call_id) or self._over.get(call_id)

    def invitation(self, invite_id: str) -> Call | None:
        """The call of an invitation, live or remembered."""
        return self.call(self._by_invite.get(invite_id, ""))

    def request(self, user_id: str, request_id: str) -> Call | None:
        """The call that a user's request made, live or remembered."""
        return self.call(self._by_request.get((user_id, request_id), ""))

    def of(self, user_id: str) -> Call | None:
        """The live call in which the user rings or is joined."""
        return self._live.get(self._engaged.get(user_id, ""))

    def in_group(self, group_id: str) -> Call | None:
        """The live call of a group."""
        return self._live.get(self._by_group.get(group_id, ""))

    def last_over(self, user_id: str) -> Call | None:
        """The remembered call that engaged the user last and is over."""
        return self._over.get(self._last.get(user_id, ""))

    def put(self, call: Call) -> tuple[frozenset[str], tuple[Call, ...]]:
        """Keeps the call as it is now. Returns the users whom the change concerns (those whom it engages
        now and those whom it did before), and the old calls that are forgotten for it.
        """
        before = self._live.get(call.call_id)
        now = engaged(call)
        concerned = now | (engaged(before) if before else {call.sponsor})
        self._index(call)
        for user_id in concerned:
            if user_id in now:
                self._engaged[user_id] = call.call_id
            elif self._engaged.get(user_id) == call.call_id:
                del self._engaged[user_id]
        if not call.ended:
            self._live[call.call_id] = call
            return concerned, ()
        self._live.pop(call.call_id, None)
        return concerned, self._remember(call, concerned)

    def restore(self, call: Call) -> tuple[Call, ...]:
        """Takes over a call that was stored, in the order in which they came; returns those that are
        forgotten for it.
        """
        if call.ended:
            self._index(call)
            return self._remember(call, frozenset(m.user_id for m in call.members))
        return self.put(call)[1]

    def _index(self, call: Call) -> None:
        later = (m.invitation.invite_id for m in call.members if m.invitation)
        before, now = self._invites.get(call.call_id, set()), {call.invite_id, *later}
        for invite_id in now - before:
            self._by_invite[invite_id] = call.call_id
        for invite_id in before - now:  # by which nobody is asked any more, in a call that goes on for weeks
            del self._by_invite[invite_id]
        self._invites[call.call_id] = now
        self._by_request[call.sponsor, call.request_id] = call.call_id
        if call.group_id:
            self._by_group[call.group_id] = call.call_id

    def _remember(self, call: Call, concerned: frozenset[str]) -> tuple[Call, ...]:
        self._over[call.call_id] = call
        self._members += len(call.members)
        self._last.update(dict.fromkeys(concerned, call.call_id))
        forgotten: list[Call] = []
        while len(self._over) > 1 and self._too_much():
            oldest = self._over.pop(next(iter(self._over)))
            self._members -= len(oldest.members)
            self._forget(oldest)
            forgotten.append(oldest)
        return tuple(forgotten)

    def _too_much(self) -> bool:
        return len(self._over) > self._remembered or self._members > self._most_members

    def _forget(self, call: Call) -> None:
        for invite_id in self._invites.pop(call.call_id):
            del self._by_invite[invite_id]
        if self._by_request.get((call.sponsor, call.request_id)) == call.call_id:
            del self._by_request[call.sponsor, call.request_id]
        if self._by_group.get(call.group_id) == call.call_id:
            del self._by_group[call.group_id]
        for member in call.members:
            if self._last.get(member.user_id) == call.call_id:
                del self._last[member.user_id]
