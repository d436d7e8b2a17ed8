"""What the hub has promised: whoever was invited hears of it, and each request asks nobody twice."""

from __future__ import annotations

from mediaagentd.hub import types as hub

from tests.simulation.rules import Broken

_ANSWERED = (hub.MemberState.JOINED, hub.MemberState.REJECTED, hub.MemberState.BUSY)


class Promises:
    """Invitations by (user, invite_id): those that the hub has stored, also for who was busy, and those that
    a device has rung for or answered."""

    def __init__(self) -> None:
        self._made: set[tuple[str, str]] = set()
        self._kept: set[tuple[str, str]] = set()
        self._asked: dict[tuple[str, str, str], str] = {}

    def open(self) -> set[tuple[str, str]]:
        """Those of which no device knows."""
        return self._made - self._kept

    def kept(self, user_id: str, invite_id: str) -> None:
        """It rings there."""
        self._kept.add((user_id, invite_id))

    def invited(self, sponsor: str, request_id: str, invite_id: str, call: hub.Call) -> None:
        """The hub has stored the invitation that this request made."""
        for member in call.members:
            if _invite_id(call, member) != invite_id:
                continue
            if member.state is hub.MemberState.BUSY and not member.session:
                self._made.add((member.user_id, invite_id))
            if member.state is not hub.MemberState.PENDING:
                continue
            self._made.add((member.user_id, invite_id))
            if self._asked.setdefault((sponsor, request_id, member.user_id), invite_id) != invite_id:
                raise Broken(f"{request_id} of {sponsor} asks {member.user_id} twice")

    def changed(self, call: hub.Call) -> None:
        """Who has answered has heard of it."""
        for member in call.members:
            if member.session and member.state in _ANSWERED:
                self._kept.add((member.user_id, _invite_id(call, member)))

    def pending(self, call: hub.Call) -> set[tuple[str, str]]:
        """Invitations into that call that may still be answered."""
        return {
            (member.user_id, _invite_id(call, member))
            for member in call.members
            if member.state is hub.MemberState.PENDING
        }


def _invite_id(call: hub.Call, member: hub.Member) -> str:
    return member.invitation.invite_id if member.invitation else call.invite_id
