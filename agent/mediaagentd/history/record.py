"""From calls to what is kept of them. Pure."""

from __future__ import annotations

from mediaagentd.call.state import Call, State
from mediaagentd.call.words import EndReason, Phase
from mediaagentd.history.types import Record

TAKEN = frozenset(
    {
        EndReason.REJECTED,
        EndReason.BUSY,
        EndReason.ANSWERED_ELSEWHERE,
        EndReason.DECLINED_ELSEWHERE,
        EndReason.LOGGED_OUT,
        EndReason.KICKED_OUT,
    }
)
"""Ends of a call that was not answered here and yet not missed: the user saw it, or may see it ring again
at the next login."""


def noteworthy(old: State, new: State) -> tuple[tuple[str, Call], ...]:
    """The calls of which a step from `old` to `new` changed what is kept, each with whose it is: one that
    ended, one that began, one that was answered.
    """
    found: list[tuple[str, Call]] = []
    over = new.previous if new.previous is not old.previous else None
    if over is not None:
        # Whoever logs out has left by now.
        found.append((old.user_id or new.user_id, over))
    call = new.call
    if call is not None and call is not old.call:
        known = old.call if over is None else None
        if known is None or known.answered != call.answered:
            found.append((new.user_id, call))
    return tuple(found)


def record_of(owner_id: str, call: Call, offset: float) -> Record:
    """What is kept of a call. `offset` brings the machine's clock to seconds since the epoch: one for all
    times of a record, so that its duration is right though the clock was set during the call.
    """
    hub = call.hub
    me = hub.member(owner_id)
    return Record(
        owner_id=owner_id,
        call_id=hub.call_id,
        invite_id="" if call.uninvited else call.invite.invite_id,
        part=str(me.join_order) if call.uninvited and me is not None else "",
        room_id=hub.room_id,
        outgoing=call.outgoing,
        type=hub.type,
        sponsor=hub.sponsor,
        invitees=tuple((m.user_id, m.state) for m in hub.members if m.user_id != hub.sponsor),
        invited=call.invited + offset,
        answered=call.answered + offset if call.answered is not None else None,
        ended=call.ended + offset if call.ended is not None else None,
        end_reason=call.end_reason,
        ended_by=call.ended_by,
        group_id=hub.group_id,
        missed=is_missed(call),
        other_device_id=call.other_device_id,
    )


def is_missed(call: Call) -> bool:
    """Whether a call that is over was one to this user that nobody took."""
    over = call.phase is Phase.ENDED
    return over and not call.outgoing and call.answered is None and call.end_reason not in TAKEN
