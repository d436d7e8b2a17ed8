"""Scenes that many stories begin with."""

from __future__ import annotations

from mediaagent import Event
from mediaagent.v1 import call_pb2
from mediaagentd.demo.actor import Actor, having

Marks = tuple[int, int]


async def invite(caller: Actor, callee: Actor, kind: str = "video", timeout: float = 30) -> str:
    """One calls the other, who rings. The invitation's id."""
    mark = callee.mark
    await caller.agent.call(callee.name, kind, timeout)
    invited = await callee.expect(Event.INVITED, mark, having(sponsor=caller.name))
    return str(invited.invite_id)


async def talk(caller: Actor, callee: Actor, kind: str = "video") -> call_pb2.Call:
    """A call that both are in. The callee's view of it."""
    invite_id = await invite(caller, callee, kind)
    await callee.agent.accept(invite_id)
    await caller.expect_call(having(state=call_pb2.CALL_STATE_ACTIVE, invite_id=invite_id))
    return await callee.expect_call(having(state=call_pb2.CALL_STATE_ACTIVE, invite_id=invite_id))


async def both_end(
    actors: tuple[Actor, Actor],
    marks: Marks,
    reason: call_pb2.EndReason.ValueType,
    ended_by: str | None = None,
) -> None:
    """Both get one CALL_END, for that reason."""
    for actor, mark in zip(actors, marks, strict=True):
        call = (await actor.expect(Event.CALL_END, mark)).call
        assert call.state == call_pb2.CALL_STATE_ENDED
        told, wanted = call_pb2.EndReason.Name(call.end_reason), call_pb2.EndReason.Name(reason)
        assert told == wanted, f"{actor.name} was told {told}, not {wanted}"
        assert ended_by in (None, call.ended_by)
        assert await actor.agent.current_call() is None
