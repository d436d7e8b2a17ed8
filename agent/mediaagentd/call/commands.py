"""What a client asks of the call machine. Each is refused before anything changed, or begun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mediaagentd.call import mirror
from mediaagentd.call.types import (
    Accept,
    Answer,
    Call,
    CallType,
    Change,
    Decline,
    Dial,
    Done,
    EndReason,
    Hangup,
    Hub,
    HubCommand,
    Invite,
    InviteMore,
    InviteUsers,
    Join,
    JoinCall,
    MemberState,
    Pending,
    Phase,
    Reject,
    SessionPhase,
    State,
    Switch,
    SwitchCallType,
)
from mediaagentd.errors import Reason, Refused

HUB_PATIENCE = 10.0
"""Seconds until a command that the hub does not answer has failed."""

_NO_CODE: Mapping[str, str] = {}


def dial(state: State, now: float, command: Dial) -> Change:
    """Invites; real once the hub has taken it. A request that is repeated makes no second call."""
    _require_login(state)
    _check_invitees(state, command)
    call = state.call
    repeated = bool(command.request_id)
    if call is not None and call.outgoing and repeated and call.request_id == command.request_id:
        return state, (Done(command.op),)
    wanted = Invite(
        command.user_ids,
        command.type,
        command.timeout,
        command.group_id,
        command.request_id,
        command.user_data,
    )
    if call is None and state.pending is not None and repeated and state.pending.command == wanted:
        return _joining(state, command.op)
    if call is not None or state.pending is not None:
        raise Refused(Reason.CALL_IN_PROGRESS, "already dialling, ringing or in a call")
    _require_hub(state)
    return _sent(state, now, command.op, wanted)


def invite(state: State, now: float, command: InviteUsers) -> Change:
    """Asks more users into the call; what becomes of them is told by its revisions."""
    _require_login(state)
    call = state.call
    if call is None or call.phase is Phase.RINGING:
        raise Refused(Reason.NO_CALL, "there is no call to invite into")
    _check_users(state, command.user_ids)
    _require_hub(state)
    wanted = InviteMore(call.hub.call_id, command.user_ids, command.timeout, command.request_id)
    asked = Pending(command.op, wanted, now + HUB_PATIENCE)
    return replace(state, inviting=(*state.inviting, asked)), (Hub(command.op, wanted),)


def join(state: State, now: float, command: Join) -> Change:
    """Enters a running group call; what rings is accepted. Who is in it already has what it wants."""
    _require_login(state)
    call = state.call
    if call is not None and _is_of(call, command):
        if call.phase is not Phase.RINGING:
            return state, (Done(command.op),)
        return _asked(state, now, command.op, Accept(call.invite.invite_id))
    wanted = JoinCall(command.call_id, command.group_id)
    if call is None and state.pending is not None and state.pending.command == wanted:
        return _joining(state, command.op)
    if call is not None or state.pending is not None:
        raise Refused(Reason.CALL_IN_PROGRESS, "already dialling, ringing or in a call")
    _require_hub(state)
    return _sent(state, now, command.op, wanted)


def answer(state: State, now: float, command: Answer) -> Change:
    """Accepts what rings. Repeated by the one who accepted, it is a success that does nothing."""
    _require_login(state)
    call = _invitation(state, command.invite_id)
    if command.room_id not in (0, call.hub.room_id):
        message = f"room_id: the invitation is for room {call.hub.room_id}"
        raise Refused(Reason.ROOM_MISMATCH, message, {"field": "room_id"})
    _check_type(call, command.type)
    if call.phase is not Phase.RINGING:
        return state, (Done(command.op),)
    return _asked(state, now, command.op, Accept(command.invite_id))


def decline(state: State, now: float, command: Decline) -> Change:
    """Rejects what rings."""
    _require_login(state)
    call = _invitation(state, command.invite_id)
    if call.phase is not Phase.RINGING:
        raise Refused(Reason.INVITE_UNKNOWN, "the invitation has been accepted: hang up instead")
    _check_type(call, command.type)
    return _asked(state, now, command.op, Reject(command.invite_id, command.is_busy))


def hangup(state: State, now: float, command: Hangup) -> Change:
    """Ends the call here at once. Logging out keeps an invitation ringing at the hub: the user may
    answer it from the next login.
    """
    leaving = command.reason is EndReason.LOGGED_OUT
    if not leaving:
        _require_login(state)
    call = state.call
    # A call that was held back while a dial was pending may ring now; the hangup does not mean that one.
    state, answers = _overtaken(state, now)
    if call is None:
        return state, (*answers, Done(command.op))
    if leaving and call.phase is Phase.RINGING:
        state, effects = mirror.ended(state, now, call, command.reason, state.user_id)
    else:
        reason = command.reason if leaving else _reason(call)
        state, effects = mirror.hung_up(state, now, reason)
    return state, (*answers, *effects, Done(command.op))


def switch(state: State, now: float, command: Switch) -> Change:
    """Makes the 1:1 call audio or video; one that is already of that type is left as it is."""
    _require_login(state)
    code = {"code": str(int(mirror.switch_code(command.type)))}
    call = state.call
    if call is None or not _one_to_one(call):
        raise Refused(Reason.SWITCH_NOT_ALLOWED, "only a connected 1:1 call can be switched", code)
    wanted = SwitchCallType(call.hub.call_id, command.type)
    if state.pending is not None:
        if state.pending.command == wanted:
            return _joining(state, command.op)
        raise Refused(Reason.SWITCH_NOT_ALLOWED, "another switch is under way", code)
    if call.hub.type is command.type:
        return state, (Done(command.op),)
    _require_hub(state, code)
    return _sent(state, now, command.op, wanted)


def _overtaken(state: State, now: float) -> Change:
    """Answers the command that a hangup overtakes; a rejection has what it wanted."""
    if state.pending is not None and isinstance(state.pending.command, Reject):
        return mirror.done(state)
    return mirror.failed(state, now, Refused(Reason.NO_CALL, "hung up before the hub answered"))


def _reason(call: Call) -> EndReason:
    match call.phase:
        case Phase.DIALLING:
            return EndReason.CANCELLED
        case Phase.RINGING:
            return EndReason.REJECTED
        case _:
            return EndReason.HANGUP


def _one_to_one(call: Call) -> bool:
    members = call.hub.members
    both = len(members) == 2 and all(m.state is MemberState.JOINED for m in members)
    group = call.hub.is_group or bool(call.hub.group_id)
    return both and not group and call.phase is not Phase.RINGING


def _is_of(call: Call, command: Join) -> bool:
    """Whether that is the call to join."""
    if command.call_id:
        return call.hub.call_id == command.call_id
    return call.hub.group_id == command.group_id


def _asked(state: State, now: float, op: int, command: HubCommand) -> Change:
    """An answer to the invitation; the same one twice shares its outcome."""
    if state.pending is not None:
        if state.pending.command == command:
            return _joining(state, op)
        raise Refused(Reason.CALL_IN_PROGRESS, "another answer to the invitation is under way")
    _require_hub(state)
    if isinstance(command, Accept) and state.call is not None:
        state = replace(state, call=replace(state.call, accepting=True))
    return _sent(state, now, op, command)


def _sent(state: State, now: float, op: int, command: HubCommand) -> Change:
    return replace(state, pending=Pending(op, command, now + HUB_PATIENCE)), (Hub(op, command),)


def _joining(state: State, op: int) -> Change:
    assert state.pending is not None
    return replace(state, pending=replace(state.pending, also=(*state.pending.also, op))), ()


def _invitation(state: State, invite_id: str) -> Call:
    call = state.call
    if call is None or call.outgoing or call.invite.invite_id != invite_id:
        message = f"no invitation {invite_id}, or it is over"
        raise Refused(Reason.INVITE_UNKNOWN, message, {"invite_id": invite_id})
    return call


def _check_type(call: Call, type_: CallType | None) -> None:
    if type_ is not None and type_ is not call.hub.type:
        message = f"call_type: this is a call of type {call.hub.type.name}"
        raise Refused(Reason.CALL_TYPE_MISMATCH, message, {"field": "call_type"})


def _check_invitees(state: State, command: Dial) -> None:
    if command.user_ids or not command.group_id:  # a group's members need no naming
        _check_users(state, command.user_ids)


def _check_users(state: State, users: tuple[str, ...]) -> None:
    if not users or state.user_id in users or len(set(users)) != len(users):
        message = "user_ids: at least one, nobody twice, and not oneself"
        raise Refused(Reason.INVITEES_INVALID, message, {"field": "user_ids"})


def _require_login(state: State) -> None:
    if state.session not in (SessionPhase.ONLINE, SessionPhase.RECONNECTING):
        raise Refused(Reason.NOT_LOGGED_IN, "this needs a logged-in user")


def _require_hub(state: State, metadata: Mapping[str, str] = _NO_CODE) -> None:
    if state.session is not SessionPhase.ONLINE:
        raise Refused(Reason.HUB_UNREACHABLE, "the hub is out of reach: retry", metadata)
