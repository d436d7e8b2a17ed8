"""What becomes of one call: pure functions from a call to its next revision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mediaagentd.hub.types import (
    Call,
    CallType,
    EndReason,
    Invitation,
    Invite,
    Member,
    MemberState,
    Missed,
    Session,
)

ENGAGED = (MemberState.PENDING, MemberState.JOINED)
"""A member in one of these states is busy for other calls and hears of changes."""

_MISSED = {
    MemberState.NO_RESPONSE: EndReason.NO_RESPONSE,
    MemberState.CANCELLED: EndReason.CANCELLED,
    MemberState.BUSY: EndReason.BUSY,
}
"""What becomes of an invitation that nobody answered, and why."""

_CROWD = 32
"""Members of a call beyond which those who only ring are not told of each answer of the others: a thousand
answers among a thousand who ring would be a million messages of a thousand members.
"""

_REQUESTS = 32
"""How many later invitations of one call are remembered."""


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


def released(before: Call, after: Call) -> frozenset[str]:
    """The sessions that are no longer in it, or for which it is over."""
    was = frozenset(m.session for m in before.members if m.state is MemberState.JOINED)
    if after.ended:
        return was
    return was - {m.session for m in after.members if m.state is MemberState.JOINED}


def invitation_of(call: Call, invitee: Member) -> Invitation:
    """The invitation by which a member was asked last."""
    return invitee.invitation or Invitation(call.invite_id, call.sponsor, call.created, call.deadline)


def deadline(call: Call) -> float | None:
    """When the next pending invitation runs out, None for never."""
    times = (_deadline(call, m) for m in call.members if m.state is MemberState.PENDING)
    return min((time for time in times if time is not None), default=None)


def made(
    command: Invite, user_ids: tuple[str, ...], sponsor: Session, busy: Iterable[str], now: float
) -> Call:
    """A new call. Over at once when every invitee is busy."""
    taken = frozenset(busy)
    invitees = tuple(Member(u, MemberState.BUSY if u in taken else MemberState.PENDING) for u in user_ids)
    caller = Member(sponsor.user_id, MemberState.JOINED, sponsor.token, sponsor.device_id, join_order=1)
    call = Call(
        call_id=command.call_id,
        invite_id=command.invite_id,
        room_id=command.room_id,
        type=command.type,
        members=(caller, *invitees),
        group=command.group or bool(command.group_id),
        created=now,
        deadline=now + command.timeout if command.timeout else None,
        request_id=sponsor.named(command.request_id),
        group_id=command.group_id,
        user_data=command.user_data,
    )
    return _settled(call, EndReason.BUSY, user_ids[-1])


def more(
    call: Call, invitation: Invitation, user_ids: Iterable[str], busy: Iterable[str], request: str
) -> Call:
    """The call with more users invited; none of them is engaged in it. It is a group call from now on."""
    taken = frozenset(busy)
    members = call.members
    for user_id in user_ids:
        state = MemberState.BUSY if user_id in taken else MemberState.PENDING
        members = _put(members, Member(user_id, state, invitation=invitation))
    requests = (*call.requests, request)[-_REQUESTS:]
    return replace(call, members=members, group=True, requests=requests, revision=call.revision + 1)


def entered(call: Call, session: Session) -> Call:
    """The call after a user joined with that session, invited or not."""
    joins = call.joins + 1
    before = member(call, session.user_id)
    invitation = before.invitation if before else None
    answer = Member(
        session.user_id, MemberState.JOINED, session.token, session.device_id, joins, invitation=invitation
    )
    return replace(call, members=_put(call.members, answer), joins=joins, revision=call.revision + 1)


def declined(call: Call, session: Session, is_busy: bool) -> Call:
    """The call after a pending member said no."""
    before = member(call, session.user_id)
    assert before is not None
    state = MemberState.BUSY if is_busy else MemberState.REJECTED
    answer = replace(before, state=state, session=session.token, device_id=session.device_id)
    after = replace(call, members=_put(call.members, answer), revision=call.revision + 1)
    return _settled(after, EndReason.BUSY if is_busy else EndReason.REJECTED, session.user_id)


def left(call: Call, user_id: str, reason: EndReason) -> Call:
    """The call after a joined member went away. Why is told of the member; what ends with it was hung up, or
    ends because a device or the connection between the two is lost.
    """
    before = member(call, user_id)
    assert before is not None
    gone = replace(before, state=MemberState.LEFT, audio=False, video=False, left=reason)
    after = replace(call, members=_put(call.members, gone), revision=call.revision + 1)
    if call.joins == 1:  # nobody has accepted: the inviter takes the invitation back
        return _settled(after, EndReason.CANCELLED, user_id)
    lost = reason in (EndReason.DEVICE_LOST, EndReason.CONNECTION_LOST)
    return _settled(after, reason if lost else EndReason.HANGUP, user_id)


def timed_out(call: Call, now: float) -> Call:
    """The call after the invitations ran out whose time has come, all in one revision; the same call when
    there are none.
    """
    members = tuple(
        replace(m, state=MemberState.NO_RESPONSE) if _has_run_out(call, m, now) else m for m in call.members
    )
    if members == call.members:
        return call
    after = replace(call, members=members, revision=call.revision + 1)
    return _settled(after, EndReason.NO_RESPONSE, "")


def bystanders(before: Call | None, after: Call) -> frozenset[str]:
    """Of a crowd, those who ring on as before and need not be told of the change."""
    if before is None or len(after.members) <= _CROWD or after.ended or after.type is not before.type:
        return frozenset()
    rang = {m.user_id: m for m in before.members if m.state is MemberState.PENDING}
    return frozenset(m.user_id for m in after.members if rang.get(m.user_id) in (m,))


def known_by(call: Call, now: float) -> Call:
    """The call at a time when all of it has been made: a clock that was set back by a day must not let an
    invitation ring for a day.
    """
    ahead = max(invitation_of(call, m).created for m in call.members) - now
    if call.ended or ahead <= 0:
        return call
    members = tuple(replace(m, invitation=_moved(m.invitation, ahead)) for m in call.members)
    return replace(
        call, members=members, created=call.created - ahead, deadline=_earlier(call.deadline, ahead)
    )


def missed(before: Call | None, after: Call, now: float) -> tuple[Missed, ...]:
    """The invitations that this change ended without an answer, or that it made in vain, their invitee being
    busy; who says so (there is a session) has answered.
    """
    members = before.members if before else ()
    pending = {m.user_id for m in members if m.state is MemberState.PENDING}
    known = {m.user_id: m for m in members if m.state is MemberState.BUSY}
    return tuple(
        _missed(after, m, now)
        for m in after.members
        if m.state in _MISSED
        and not m.session
        and (m.user_id in pending or (m.state is MemberState.BUSY and known.get(m.user_id) != m))
    )


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
    return replace(call, members=_put(call.members, told), revision=call.revision + 1)


def _deadline(call: Call, invitee: Member) -> float | None:
    return invitee.invitation.deadline if invitee.invitation else call.deadline


def _has_run_out(call: Call, invitee: Member, now: float) -> bool:
    ends = _deadline(call, invitee)
    return invitee.state is MemberState.PENDING and ends is not None and ends <= now


def _earlier(time: float | None, by: float) -> float | None:
    return None if time is None else time - by


def _moved(invitation: Invitation | None, by: float) -> Invitation | None:
    if invitation is None:
        return None
    deadline = _earlier(invitation.deadline, by)
    return replace(invitation, created=invitation.created - by, deadline=deadline)


def _missed(call: Call, invitee: Member, now: float) -> Missed:
    invitation = invitation_of(call, invitee)
    return Missed(
        user_id=invitee.user_id,
        invite_id=invitation.invite_id,
        call_id=call.call_id,
        sponsor=invitation.sponsor,
        type=call.type,
        group=call.group,
        group_id=call.group_id,
        created=invitation.created,
        ended=now,
        reason=_MISSED[invitee.state],
        user_data=call.user_data,
    )


def _put(members: tuple[Member, ...], changed: Member) -> tuple[Member, ...]:
    """The members with that one in its place, or at the end."""
    if all(m.user_id != changed.user_id for m in members):
        return (*members, changed)
    return tuple(changed if m.user_id == changed.user_id else m for m in members)


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
    return replace(call, members=members, ended=True, end_reason=reason, ended_by=by)
