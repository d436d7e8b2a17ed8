"""The authority on calls: sessions, invitations and what becomes of them. No I/O, no clock.

Who is engaged (rings, dials or is in a call) is busy for everyone else; so a user is in at most one live
call. Effects come in the order in which the shell performs them: store, push, reply.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import assert_never

from mediaagentd.errors import Reason, Refused
from mediaagentd.hub import calls
from mediaagentd.hub.ledger import Ledger
from mediaagentd.hub.sessions import Sessions
from mediaagentd.hub.types import (
    Accept,
    Call,
    CallType,
    DropCall,
    DropSession,
    Effect,
    EndReason,
    Hangup,
    Input,
    Invite,
    Limits,
    Login,
    Logout,
    Member,
    MemberState,
    PushCall,
    PushSignal,
    PutCall,
    PutSession,
    PutUser,
    Reject,
    Relay,
    RenewLease,
    Reply,
    Session,
    SetAvailability,
    SwitchCallType,
    Tick,
)


class Core:
    """The hub without its network and its disk. Times in seconds of the hub's clock."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._users: set[str] = set()
        self._sessions = Sessions(limits.lease)
        self._calls = Ledger(limits.remembered)
        self._alarms: list[tuple[float, str]] = []

    def restore(
        self, users: Iterable[str], sessions: Iterable[Session], calls: Iterable[Call], now: float
    ) -> None:
        """Takes over what was stored before a crash; every lease begins anew at `now`. Invitations keep
        their deadlines, those that passed meanwhile come up with the next Tick.
        """
        self._users.update(users)
        for session in sessions:
            self._sessions.open(session.token, session.user_id, session.device_id, now)
        for call in calls:
            self._calls.put(call)
            self._set_alarm(call)

    def session(self, token: str) -> Session:
        """The session of that token. Refused: SESSION_UNKNOWN."""
        session = self._sessions.get(token)
        if session is None:
            raise Refused(Reason.SESSION_UNKNOWN, "the hub does not know this session: log in again")
        return session

    def welcome(self, token: str) -> tuple[Call, ...]:
        """The live call that concerns the session's user, and, so that a session that missed its end
        learns why, the last one that did and is over. Refused: SESSION_UNKNOWN.
        """
        user_id = self.session(token).user_id
        found = (self._calls.last_over(user_id), self._calls.of(user_id))
        return tuple(call for call in found if call is not None)

    def calls(self) -> tuple[Call, ...]:
        """Every live call."""
        return self._calls.live()

    def deadline(self) -> float | None:
        """When to come with a Tick; a Tick at that time may find nothing to do."""
        while self._alarms and not self._rings(self._alarms[0][1]):
            heapq.heappop(self._alarms)
        lease = self._sessions.deadline()
        if not self._alarms:
            return lease
        alarm = self._alarms[0][0]
        return alarm if lease is None else min(alarm, lease)

    def step(self, now: float, input: Input) -> tuple[Effect, ...]:  # noqa: A002 - the alphabet's word
        """Does what a session asks; Refused before anything changed."""
        match input:
            case Login():
                return self._login(now, input)
            case Logout(token):
                return self._logout(token)
            case RenewLease(token):
                self._sessions.renew(self.session(token), now)
                return (Reply(None),)
            case Invite():
                return self._invite(now, input)
            case Accept(token, invite_id):
                return self._accept(self.session(token), invite_id)
            case Reject(token, invite_id, is_busy):
                return self._reject(self.session(token), invite_id, is_busy)
            case Hangup(token, call_id):
                return self._hangup(self.session(token), call_id)
            case SwitchCallType(token, call_id, type_):
                return self._switch(self.session(token), call_id, type_)
            case SetAvailability(token, call_id, audio, video):
                session = self.session(token)
                call = self._joined(session, call_id)
                return self._replied(call, calls.available(call, session.user_id, audio, video))
            case Relay():
                return self._relay(input)
            case Tick():
                return self._tick(now)
            case _:
                assert_never(input)

    # ------------------------------------------------------------------------------ sessions

    def _login(self, now: float, login: Login) -> tuple[Effect, ...]:
        kicked = self._sessions.of(login.user_id)
        session = self._sessions.open(login.token, login.user_id, login.device_id, now)
        stored: tuple[Effect, ...] = (PutSession(session),)
        if login.user_id not in self._users:
            self._users.add(login.user_id)
            stored = (PutUser(login.user_id), *stored)
        pushed: tuple[Effect, ...] = ()
        for old in kicked:
            store, push = self._closed(old, EndReason.HANGUP, login.device_id)
            stored += store
            pushed += push
        return (*stored, *pushed, Reply(None))

    def _logout(self, token: str) -> tuple[Effect, ...]:
        session = self._sessions.get(token)
        if session is None:
            return (Reply(None),)
        stored, pushed = self._closed(session, EndReason.HANGUP)
        return (*stored, *pushed, Reply(None))

    def _closed(
        self, session: Session, reason: EndReason, kicked_by: str = ""
    ) -> tuple[tuple[Effect, ...], tuple[Effect, ...]]:
        """Closes a session. What it is joined in it leaves; what rings keeps ringing for a new login."""
        self._sessions.close(session)
        dropped = DropSession(session.token, kicked_by)
        call = self._calls.of(session.user_id)
        member = calls.member(call, session.user_id) if call else None
        if call is None or member is None or member.session != session.token:
            return (dropped,), ()
        stored, pushed = self._changed(calls.left(call, session.user_id, reason))
        return (dropped, *stored), pushed

    def _tick(self, now: float) -> tuple[Effect, ...]:
        stored: tuple[Effect, ...] = ()
        pushed: tuple[Effect, ...] = ()
        for session in self._sessions.expired(now):
            store, push = self._closed(session, EndReason.DEVICE_LOST)
            stored, pushed = stored + store, pushed + push
        while self._alarms and self._alarms[0][0] <= now:
            call_id = heapq.heappop(self._alarms)[1]
            call = self._rings(call_id)
            if call is not None:
                store, push = self._changed(calls.timed_out(call))
                stored, pushed = stored + store, pushed + push
        return stored + pushed

    # ------------------------------------------------------------------------------ calls

    def _invite(self, now: float, command: Invite) -> tuple[Effect, ...]:
        session = self.session(command.token)
        again = self._calls.request(session.user_id, command.request_id)
        if again is not None and command.request_id:
            return (Reply(again),)
        self._check_invitees(session.user_id, command)
        if self._busy(session.user_id):
            raise Refused(Reason.CALL_IN_PROGRESS, f"{session.user_id} is in a call, dialling or ringing")
        busy = [u for u in command.user_ids if self._busy(u)]
        call = calls.made(command, session, busy, now)
        self._set_alarm(call)
        return self._replied(None, call)

    def _busy(self, user_id: str) -> bool:
        return self._calls.of(user_id) is not None

    def _check_invitees(self, sponsor: str, command: Invite) -> None:
        invitees = command.user_ids
        if not invitees or sponsor in invitees or len(set(invitees)) != len(invitees):
            raise Refused(
                Reason.INVITEES_INVALID,
                "user_ids: at least one, nobody twice, and not oneself",
                {"field": "user_ids"},
            )
        if len(invitees) >= self._limits.members:
            limit = str(self._limits.members)
            message = f"a call has at most {limit} members, this would have {len(invitees) + 1}"
            raise Refused(Reason.LIMIT_EXCEEDED, message, {"limit": "members", "value": limit})
        if command.group_id:
            message = f"no group {command.group_id}"
            raise Refused(Reason.GROUP_UNKNOWN, message, {"group_id": command.group_id})
        for user_id in invitees:
            if user_id not in self._users:
                message = f"no user {user_id} has ever logged in here"
                raise Refused(Reason.USER_UNKNOWN, message, {"user_id": user_id})

    def _accept(self, session: Session, invite_id: str) -> tuple[Effect, ...]:
        call, member = self._invited(session, invite_id)
        if member.session == session.token and member.state is MemberState.JOINED and not call.ended:
            return (Reply(call),)  # its first reply was lost
        if member.state is not MemberState.PENDING:
            raise _no_invitation(invite_id)
        return self._replied(call, calls.accepted(call, session))

    def _reject(self, session: Session, invite_id: str, is_busy: bool) -> tuple[Effect, ...]:
        call, member = self._invited(session, invite_id)
        declined = member.state in (MemberState.REJECTED, MemberState.BUSY)
        if declined and member.session == session.token:
            return (Reply(call),)  # its first reply was lost
        if member.state is not MemberState.PENDING:
            raise _no_invitation(invite_id)
        return self._replied(call, calls.declined(call, session, is_busy))

    def _hangup(self, session: Session, call_id: str) -> tuple[Effect, ...]:
        call = self._calls.call(call_id)
        member = calls.member(call, session.user_id) if call else None
        if call is None or member is None:
            raise _no_call(call_id)
        if call.ended:
            return (Reply(call),)
        if member.state is MemberState.PENDING:
            return self._replied(call, calls.declined(call, session, False))
        if member.state is MemberState.JOINED and member.session == session.token:
            return self._replied(call, calls.left(call, session.user_id, EndReason.HANGUP))
        return (Reply(call),)

    def _switch(self, session: Session, call_id: str, type_: CallType) -> tuple[Effect, ...]:
        call = self._joined(session, call_id)
        if call.group or calls.joined(call) != 2:
            message = "only a 1:1 call with both in it can be switched"
            raise Refused(Reason.SWITCH_NOT_ALLOWED, message)
        return self._replied(call, calls.switched(call, type_))

    def _relay(self, relay: Relay) -> tuple[Effect, ...]:
        session = self.session(relay.token)
        call = self._joined(session, relay.call_id)
        target = calls.member(call, relay.to_user_id)
        if target is None or target.state is not MemberState.JOINED or target.user_id == session.user_id:
            message = f"{relay.to_user_id} is not in the call"
            raise Refused(Reason.USER_NOT_IN_CALL, message, {"user_id": relay.to_user_id})
        return (PushSignal(target.session, call.call_id, session.user_id, relay.signal), Reply(None))

    def _invited(self, session: Session, invite_id: str) -> tuple[Call, Member]:
        call = self._calls.invitation(invite_id)
        member = calls.member(call, session.user_id) if call else None
        if call is None or member is None or member is call.members[0]:
            raise _no_invitation(invite_id)
        return call, member

    def _joined(self, session: Session, call_id: str) -> Call:
        """The live call that this very session has joined."""
        call = self._calls.call(call_id)
        member = calls.member(call, session.user_id) if call and not call.ended else None
        if call is None or member is None:
            raise _no_call(call_id)
        if member.state is not MemberState.JOINED or member.session != session.token:
            raise _no_call(call_id)
        return call

    # ------------------------------------------------------------------------------ consequences

    def _replied(self, before: Call | None, after: Call) -> tuple[Effect, ...]:
        """Keeps a call and answers the one who asked; nothing is stored or pushed without a change."""
        if after is before:
            return (Reply(after),)
        stored, pushed = self._changed(after)
        return (*stored, *pushed, Reply(after))

    def _changed(self, call: Call) -> tuple[tuple[Effect, ...], tuple[Effect, ...]]:
        concerned = self._calls.put(call)
        # By member, not by set order: effects must not depend on the hash seed.
        users = [m.user_id for m in call.members if m.user_id in concerned]
        pushed = tuple(PushCall(s.token, call) for u in users for s in self._sessions.of(u))
        return (DropCall(call.call_id) if call.ended else PutCall(call),), pushed

    def _set_alarm(self, call: Call) -> None:
        if call.deadline is not None:
            heapq.heappush(self._alarms, (call.deadline, call.call_id))

    def _rings(self, call_id: str) -> Call | None:
        """The call, when somebody has still to answer it."""
        call = self._calls.call(call_id)
        pending = call is not None and any(m.state is MemberState.PENDING for m in call.members)
        return call if pending else None


def _no_invitation(invite_id: str) -> Refused:
    message = f"no invitation {invite_id}, or it is over"
    return Refused(Reason.INVITE_UNKNOWN, message, {"invite_id": invite_id})


def _no_call(call_id: str) -> Refused:
    return Refused(Reason.CALL_UNKNOWN, f"no call {call_id} that you are in", {"call_id": call_id})
