"""What becomes of one call: pure functions from a call to its next revision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mediaagentd.hub.types import Call, CallType, EndReason, Invite, Member, MemberState, Session

ENGAGED = frozenset({MemberState.PENDING, MemberState.JOINED})
"""A member in one of these states is busy for other calls and hears of changes."""


def engaged(call: Call) -> frozenset[str]:
    """Users whom the call concerns now: ringing or in it. Nobody once it is over."""
    if call.ended:
        return frozenset()
    return frozenset(m.user_id for m in call.members if m.state in ENGAGED)


def member(call: Call, user_id: str) -> Member | None:
    """The member of that name, None when there is none."""
    return next((m for m in call.members if m.user_id == user_id), None)


def joined(call: Call) -> int:
    """How many are in the call."""
    return sum(m.state is MemberState.JOINED for m in call.members)


def made(command: Invite, sponsor: Session, busy: Iterable[str], now: float) -> Call:
    """A new call. Over at once when every invitee is busy."""
    taken = frozenset(busy)
    invitees = tuple(
        Member(u, MemberState.BUSY if u in taken else MemberState.PENDING) for u in command.user_ids
    )
    caller = Member(sponsor.user_id, MemberState.JOINED, sponsor.token, sponsor.device_id, join_order=1)
    call = Call(
        call_id=command.call_id,
        invite_id=command.invite_id,
        room_id=command.room_id,
        type=command.type,
        members=(caller, *invitees),
        group=command.group,
        created=now,
        deadline=now + command.timeout if command.timeout else None,
        request_id=command.request_id,
        group_id=command.group_id,
    )
    return _settled(call, EndReason.BUSY, command.user_ids[-1])


def accepted(call: Call, session: Session) -> Call:
    """The call after a pending member joined with that session."""
    joins = call.joins + 1
    answer = Member(session.user_id, MemberState.JOINED, session.token, session.device_id, joins)
    return replace(call, members=_put(call, answer), joins=joins, revision=call.revision + 1)


def declined(call: Call, session: Session, is_busy: bool) -> Call:
    """The call after a pending member said no."""
    state = MemberState.BUSY if is_busy else MemberState.REJECTED
    answer = Member(session.user_id, state, session.token, session.device_id)
    after = replace(call, members=_put(call, answer), revision=call.revision + 1)
    return _settled(after, EndReason.BUSY if is_busy else EndReason.REJECTED, session.user_id)


def left(call: Call, user_id: str, reason: EndReason) -> Call:
    """The call after a joined member went away; `reason` is HANGUP, or DEVICE_LOST for a lost one."""
    before = member(call, user_id)
    assert before is not None
    gone = replace(before, state=MemberState.LEFT, audio=False, video=False)
    after = replace(call, members=_put(call, gone), revision=call.revision + 1)
    alone = call.joins == 1  # nobody has accepted: the inviter takes the invitation back
    return _settled(after, EndReason.CANCELLED if alone else reason, user_id)


def timed_out(call: Call) -> Call:
    """The call after its pending invitations ran out, all in one revision."""
    members = tuple(
        replace(m, state=MemberState.NO_RESPONSE) if m.state is MemberState.PENDING else m
        for m in call.members
    )
    after = replace(call, members=members, deadline=None, revision=call.revision + 1)
    return _settled(after, EndReason.NO_RESPONSE, "")


def switched(call: Call, type_: CallType) -> Call:
    """The call as audio or video; the same call when it is of that type."""
    return call if type_ is call.type else replace(call, type=type_, revision=call.revision + 1)


def available(call: Call, user_id: str, audio: bool, video: bool) -> Call:
    """The call after a joined member told of its microphone and camera; the same call when nothing
    changed.
    """
    before = member(call, user_id)
    assert before is not None
    if (before.audio, before.video) == (audio, video):
        return call
    told = replace(before, audio=audio, video=video)
    return replace(call, members=_put(call, told), revision=call.revision + 1)


def _put(call: Call, changed: Member) -> tuple[Member, ...]:
    return tuple(changed if m.user_id == changed.user_id else m for m in call.members)


def _settled(call: Call, reason: EndReason, by: str) -> Call:
    """Ends the call for `reason` when nobody is left to wait for: fewer than two joined and none
    pending, or nobody joined at all (those who still ring hear that it is cancelled).
    """
    states = [m.state for m in call.members]
    present = states.count(MemberState.JOINED)
    if present >= 2 or (present == 1 and MemberState.PENDING in states):
        return call
    members = tuple(
        replace(m, state=MemberState.CANCELLED) if m.state is MemberState.PENDING else m for m in call.members
    )
    return replace(call, members=members, ended=True, end_reason=reason, ended_by=by, deadline=None)
