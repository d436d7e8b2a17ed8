"""The parts in calls that are over here, remembered so that late news of them change nothing."""

from __future__ import annotations

from dataclasses import replace

from mediaagentd.call.types import HubCall, Member, MemberState, Over, State

MEMORY = 8
"""How many calls that are over are remembered, so that a late push does not make them ring again."""


def finished(state: State, part: Over) -> State:
    """That part in a call is over for this agent, whatever news of it are still on their way."""
    others = tuple(o for o in state.over if (o.call_id, o.invite_id) != (part.call_id, part.invite_id))
    return replace(state, over=(*others, part)[-MEMORY:])


def is_over(state: State, hub: HubCall, me: Member) -> bool:
    """Whether our part in the call, as it is told, is one that is over here. Who is invited again has a new
    invitation, who joined again a higher join_order.
    """
    invite_id = hub.invitation(me).invite_id
    return any(
        (part.call_id, part.invite_id) == (hub.call_id, invite_id)
        and (
            me.state is not MemberState.JOINED or part.join_order is None or me.join_order <= part.join_order
        )
        for part in state.over
    )


def doubtful(state: State) -> State:
    """A join that failed may have come true: who is in a call then may be in by it, not by an accept of
    unknown fate whose leaving has been told. So any join that is heard of is left.
    """
    return replace(state, over=tuple(replace(part, join_order=part.join_order or 0) for part in state.over))


def taken_back(state: State, hub: HubCall, me: Member) -> State:
    """We are in a call that nobody here waits for any more, and leave it."""
    heard = any(part.call_id == hub.call_id and not part.unheard for part in state.over)
    return finished(state, Over(hub.call_id, hub.invitation(me).invite_id, me.join_order, not heard))


def is_unheard(state: State, hub: HubCall) -> bool:
    """Whether we made the call, and took it back before anybody here was told of it; whoever had come may
    have asked us into it since, which is another part.
    """
    name = hub.call_id, hub.invite_id
    return any(part.unheard and (part.call_id, part.invite_id) == name for part in state.over)
