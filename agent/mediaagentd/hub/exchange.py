"""The telephone exchange of the hub: what sessions ask to be done with calls. Pure.

Who is engaged (rings, dials or is in a call) is busy for everyone else; so a user is in at most one live
call. Of a user's devices the one that invited or answered is in the call, the others look on.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable
from typing import assert_never

from mediaagentd.errors import Reason, Refused
from mediaagentd.hub import calls
from mediaagentd.hub.ledger import Ledger
from mediaagentd.hub.missed import MissedCalls
from mediaagentd.hub.quotas import Quotas
from mediaagentd.hub.registry import Registry
from mediaagentd.hub.rights import Verb
from mediaagentd.hub.sessions import Sessions
from mediaagentd.hub.types import (
    Accept,
    Call,
    CallInput,
    CallType,
    DropCall,
    DropMissed,
    Effect,
    EndReason,
    Hangup,
    Invitation,
    Invite,
    InviteMore,
    JoinCall,
    Limits,
    Member,
    MemberState,
    PushCall,
    PushMissed,
    PushSignal,
    PutCall,
    PutMissed,
    Reject,
    Relay,
    Reply,
    Session,
    SetAvailability,
    SwitchCallType,
)

Change = tuple[tuple[Effect, ...], tuple[Effect, ...]]
"""What is to be stored, and what is to be pushed after it."""


class Exchange:
    """The commands about calls, and what time and lost sessions do to them. Times in seconds."""

    def __init__(
        self, limits: Limits, sessions: Sessions, ledger: Ledger, registry: Registry, missed: MissedCalls
    ) -> None:
        self._limits = limits
        self._sessions = sessions
        self._ledger = ledger
        self._registry = registry
        self._missed = missed
        self._alarms: list[tuple[float, str]] = []
        self._quotas = Quotas(limits.caller, limits.callee)

    def restore(self, stored: Iterable[Call], now: float) -> tuple[Effect, ...]:
        """Takes over what was stored; returns what is to be stored no more."""
        forgotten: list[Call] = []
        for call in (calls.known_by(call, now) for call in stored):
            forgotten += self._ledger.restore(call)
            self._set_alarm(calls.deadline(call), call.call_id)
        return tuple(DropCall(call.call_id) for call in forgotten)

    def bereave(self, now: float) -> Change:
        """Whose session has not come back with its call (a database that was repaired lacks rows) has left
        it: no lease would ever end that, and its user be busy for ever.
        """
        stored: tuple[Effect, ...] = ()
        pushed: tuple[Effect, ...] = ()
        for call in self._ledger.live():
            after = call
            for member in call.members:
                gone = member.state is MemberState.JOINED and self._sessions.get(member.session) is None
                if gone and not after.ended:
                    after = calls.left(after, member.user_id, EndReason.DEVICE_LOST)
            if after is not call:
                store, push = self._changed(now, call, after)
                stored, pushed = stored + store, pushed + push
        return stored, pushed

    def deadline(self) -> float | None:
        """When to come with `run_out`; it may find nothing to do."""
        while self._alarms and not self._goes_on(self._alarms[0][1]):
            heapq.heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None

    def step(self, now: float, session: Session, command: CallInput) -> tuple[Effect, ...]:
        """Does what a session asks; Refused before anything changed."""
        match command:
            case Invite():
                return self._invite(now, session, command)
            case InviteMore():
                return self._invite_more(now, session, command)
            case JoinCall():
                return self._join(now, session, command)
            case Accept(_, invite_id):
                return self._accept(now, session, invite_id)
            case Reject(_, invite_id, is_busy):
                return self._reject(now, session, invite_id, is_busy)
            case Hangup(_, call_id, reason):
                return self._hangup(now, session, call_id, reason)
            case SwitchCallType(_, call_id, type_):
                return self._switch(now, session, call_id, type_)
            case SetAvailability(_, call_id, audio, video):
                call = self._joined(session, call_id)
                after = calls.available(call, session.user_id, audio, video)
                return self._replied(now, call, after)
            case Relay():
                return self._relay(session, command)
            case _:
                assert_never(command)

    def leave(self, now: float, session: Session, reason: EndReason) -> Change:
        """The session is over: what it is joined in it leaves; what rings keeps ringing for others of the
        user, or for a new login.
        """
        call = self._ledger.of(session.user_id)
        member = calls.member(call, session.user_id) if call else None
        if call is None or member is None or member.session != session.token:
            return (), ()
        return self._changed(now, call, calls.left(call, session.user_id, reason))

    def in_call(self, session: Session) -> bool:
        """Whether that very session is in a call that somebody has answered: there may be media to regain."""
        call = self._ledger.of(session.user_id)
        member = calls.member(call, session.user_id) if call else None
        return call is not None and member is not None and call.joins > 1 and member.session == session.token

    def run_out(self, now: float) -> Change:
        """Ends the invitations whose time has come."""
        stored: tuple[Effect, ...] = ()
        pushed: tuple[Effect, ...] = ()
        while self._alarms and self._alarms[0][0] <= now:
            call = self._ledger.call(heapq.heappop(self._alarms)[1])
            if call is None:
                continue
            after = calls.timed_out(call, now)
            if after is not call:
                store, push = self._changed(now, call, after)
                stored, pushed = stored + store, pushed + push
            self._set_alarm(calls.deadline(after), call.call_id)
        return stored, pushed

    # ------------------------------------------------------------------------------ inviting

    def _invite(self, now: float, session: Session, command: Invite) -> tuple[Effect, ...]:
        again = self._ledger.request(session.user_id, session.named(command.request_id))
        if again is not None and command.request_id:
            return (Reply(again),)
        user_ids = command.user_ids
        if command.group_id:
            group = self._registry.check(session.user_id, Verb.CALL, command.group_id)
            if not user_ids:
                user_ids = tuple(m.user_id for m in group.members if m.user_id != session.user_id)
        self._check_invitees(session.user_id, user_ids, command.group_id)
        if not command.group_id:
            self._check_room(1 + len(user_ids))
        if self._busy(session.user_id):
            raise Refused(Reason.CALL_IN_PROGRESS, f"{session.user_id} is in a call, dialling or ringing")
        busy = self._unreachable(now, session.user_id, user_ids)
        call = calls.made(command, user_ids, session, busy, now)
        self._set_alarm(calls.deadline(call), call.call_id)
        return self._replied(now, None, call)

    def _invite_more(self, now: float, session: Session, command: InviteMore) -> tuple[Effect, ...]:
        call = self._joined(session, command.call_id)
        request = f"{session.user_id}/{session.named(command.request_id)}"
        if request in call.requests:
            return (Reply(call),)
        if call.group_id:
            self._registry.check(session.user_id, Verb.INVITE, call.group_id)
        self._check_invitees(session.user_id, command.user_ids, call.group_id)
        here = calls.engaged(call)
        new = [u for u in command.user_ids if u not in here]
        if not new:
            return (Reply(call),)
        if not call.group_id:
            self._check_room(len(here) + len(new))
        busy = self._unreachable(now, session.user_id, new)
        deadline = now + command.timeout if command.timeout else None
        invitation = Invitation(command.invite_id, session.user_id, now, deadline)
        after = calls.more(call, invitation, new, busy, request)
        self._set_alarm(deadline, call.call_id)
        return self._replied(now, call, after)

    def _check_invitees(self, sponsor: str, invitees: tuple[str, ...], group_id: str) -> None:
        if not invitees or sponsor in invitees or len(set(invitees)) != len(invitees):
            raise Refused(
                Reason.INVITEES_INVALID,
                "user_ids: at least one, nobody twice, and not oneself",
                {"field": "user_ids"},
            )
        if group_id:
            self._registry.check_members(group_id, invitees)
        for user_id in invitees:
            self._sessions.check_known(user_id)

    def _check_room(self, people: int) -> None:
        limit = self._limits.members
        if people > limit:
            message = f"a call has at most {limit} members, this would have {people}"
            raise Refused(Reason.CALL_FULL, message, {"limit": "members", "value": str(limit)})

    def _unreachable(self, now: float, sponsor: str, invitees: Collection[str]) -> list[str]:
        """Those of them who do not ring: in a call, or rung too often. Counts the invitation. Refused."""
        free = [u for u in invitees if not self._busy(u)]
        flooded = self._quotas.invite(now, sponsor, free)
        return [u for u in invitees if u in flooded or u not in free]

    def _busy(self, user_id: str) -> bool:
        return self._ledger.of(user_id) is not None

    # ------------------------------------------------------------------------------ answering

    def _accept(self, now: float, session: Session, invite_id: str) -> tuple[Effect, ...]:
        call, member = self._invited(session, invite_id)
        if member.session == session.token and member.state is MemberState.JOINED and not call.ended:
            return (Reply(call),)  # its first reply was lost
        if member.state is not MemberState.PENDING:
            raise _no_invitation(invite_id, member)
        return self._entered(now, session, call)

    def _join(self, now: float, session: Session, command: JoinCall) -> tuple[Effect, ...]:
        call = self._to_join(session, command)
        member = calls.member(call, session.user_id)
        joined = member is not None and member.state is MemberState.JOINED
        if joined and member is not None and member.session == session.token:
            return (Reply(call),)  # its first reply was lost
        if joined or self._ledger.of(session.user_id) not in (None, call):
            raise Refused(Reason.CALL_IN_PROGRESS, f"{session.user_id} is in a call, dialling or ringing")
        return self._entered(now, session, call)

    def _to_join(self, session: Session, command: JoinCall) -> Call:
        if command.group_id:
            self._registry.check(session.user_id, Verb.JOIN, command.group_id)
            call = self._ledger.in_group(command.group_id)
        else:
            call = self._ledger.call(command.call_id)
        if call is None or call.ended:
            raise _no_call(command.call_id)
        if call.group_id:
            self._registry.check(session.user_id, Verb.JOIN, call.group_id)
        elif calls.member(call, session.user_id) is None:
            raise _no_call(command.call_id)
        return call

    def _entered(self, now: float, session: Session, call: Call) -> tuple[Effect, ...]:
        self._check_room(calls.joined(call) + 1)
        return self._replied(now, call, calls.entered(call, session))

    def _reject(self, now: float, session: Session, invite_id: str, is_busy: bool) -> tuple[Effect, ...]:
        call, member = self._invited(session, invite_id)
        declined = member.state in (MemberState.REJECTED, MemberState.BUSY)
        if declined and member.session == session.token:
            return (Reply(call),)  # its first reply was lost
        if member.state is not MemberState.PENDING:
            raise _no_invitation(invite_id, member)
        return self._replied(now, call, calls.declined(call, session, is_busy))

    def _invited(self, session: Session, invite_id: str) -> tuple[Call, Member]:
        call = self._ledger.invitation(invite_id)
        member = calls.member(call, session.user_id) if call else None
        if call is None or member is None or calls.invitation_of(call, member).invite_id != invite_id:
            raise _no_invitation(invite_id)
        if member is call.members[0] and member.invitation is None:
            raise _no_invitation(invite_id)  # the sponsor made it
        return call, member

    # ------------------------------------------------------------------------------ in the call

    def _hangup(self, now: float, session: Session, call_id: str, reason: EndReason) -> tuple[Effect, ...]:
        call = self._ledger.call(call_id)
        member = calls.member(call, session.user_id) if call else None
        if call is None or member is None:
            raise _no_call(call_id)
        if call.ended:
            return (Reply(call),)
        if member.state is MemberState.PENDING:
            return self._replied(now, call, calls.declined(call, session, False))
        if member.state is MemberState.JOINED and member.session == session.token:
            return self._replied(now, call, calls.left(call, session.user_id, reason))
        return (Reply(call),)

    def _switch(self, now: float, session: Session, call_id: str, type_: CallType) -> tuple[Effect, ...]:
        call = self._joined(session, call_id)
        if call.group or calls.joined(call) != 2:
            message = "only a 1:1 call with both in it can be switched"
            raise Refused(Reason.SWITCH_NOT_ALLOWED, message)
        return self._replied(now, call, calls.switched(call, type_))

    def _relay(self, session: Session, relay: Relay) -> tuple[Effect, ...]:
        call = self._joined(session, relay.call_id)
        target = calls.member(call, relay.to_user_id)
        if target is None or target.state is not MemberState.JOINED or target.user_id == session.user_id:
            message = f"{relay.to_user_id} is not in the call"
            raise Refused(Reason.USER_NOT_IN_CALL, message, {"user_id": relay.to_user_id})
        return (PushSignal(target.session, call.call_id, session.user_id, relay.signal), Reply(None))

    def _joined(self, session: Session, call_id: str) -> Call:
        """The live call that this very session has joined."""
        call = self._ledger.call(call_id)
        member = calls.member(call, session.user_id) if call and not call.ended else None
        if call is None or member is None:
            raise _no_call(call_id)
        if member.state is not MemberState.JOINED or member.session != session.token:
            raise _no_call(call_id)
        return call

    # ------------------------------------------------------------------------------ consequences

    def _replied(self, now: float, before: Call | None, after: Call) -> tuple[Effect, ...]:
        """Keeps a call and answers the one who asked; nothing is stored or pushed without a change."""
        if after is before:
            return (Reply(after),)
        stored, pushed = self._changed(now, before, after)
        return (*stored, *pushed, Reply(after))

    def _changed(self, now: float, before: Call | None, after: Call) -> Change:
        concerned, forgotten = self._ledger.put(after)
        concerned -= calls.bystanders(before, after)
        stored: list[Effect] = [PutCall(after)]
        stored += (DropCall(old.call_id) for old in forgotten)
        told: list[Effect] = []
        for unanswered in calls.missed(before, after, now):
            missed, gone = self._missed.add(unanswered)
            stored.append(PutMissed(missed))
            if gone:
                stored.append(DropMissed(missed.user_id, gone))
            if missed.reason is EndReason.BUSY:  # all else rang, and a device that heard nothing is welcomed
                told += [PushMissed(s.token, missed) for s in self._sessions.of(missed.user_id)]
        for token in calls.released(before, after) if before else ():
            self._sessions.out_of_call(token)
        # By member, not by set order: effects must not depend on the hash seed.
        users = [m.user_id for m in after.members if m.user_id in concerned]
        pushed = tuple(PushCall(s.token, after) for u in users for s in self._sessions.of(u))
        return tuple(stored), (*pushed, *told)

    def _set_alarm(self, deadline: float | None, call_id: str) -> None:
        if deadline is not None:
            heapq.heappush(self._alarms, (deadline, call_id))

    def _goes_on(self, call_id: str) -> bool:
        """Asked after each command, so it must not look at a thousand members who ring."""
        call = self._ledger.call(call_id)
        return call is not None and not call.ended


def _no_invitation(invite_id: str, member: Member | None = None) -> Refused:
    metadata = {"invite_id": invite_id}
    if member is not None and member.device_id:
        metadata["device_id"] = member.device_id
    return Refused(Reason.INVITE_UNKNOWN, f"no invitation {invite_id}, or it is over", metadata)


def _no_call(call_id: str) -> Refused:
    return Refused(Reason.CALL_UNKNOWN, f"no call {call_id} that you are in", {"call_id": call_id})
