"""call, answer, reject, hangup, switch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import grpc
from cyclopts import Parameter

from mediaagent.cli.app import DONE, UNANSWERED, USAGE, Common, Seconds, app, connected
from mediaagent.cli.output import Output, word
from mediaagent.client import Agent
from mediaagent.errors import AgentError
from mediaagent.subscription import Subscription
from mediaagent.v1 import call_pb2, event_pb2

PATIENCE = 30.0
"""Seconds without an agent after which a call is no longer waited for: systemd has one back in a few."""

_TALKING = (call_pb2.CALL_STATE_ACTIVE, call_pb2.CALL_STATE_RECONNECTING)


def describe(call: call_pb2.Call) -> str:
    """A call in one line, for people."""
    others = [participant.user_id for participant in call.participants]
    others = others or [invitee.user_id for invitee in call.invitees]
    outgoing = call.direction == call_pb2.CALL_DIRECTION_OUTGOING
    whom = f"to {', '.join(others)}" if outgoing else f"from {call.sponsor}"
    text = f"{word(call_pb2.CallType, call.type, 'CALL_TYPE_')} call {whom}: "
    text += word(call_pb2.CallState, call.state, "CALL_STATE_")
    if call.state == call_pb2.CALL_STATE_ENDED:
        text += f" ({word(call_pb2.EndReason, call.end_reason, 'END_REASON_')}"
        text += f" on {call.other_device_id}" if call.other_device_id else ""
        text += f" after {call.duration.ToTimedelta().total_seconds():.0f} s)"
    elif call.state == call_pb2.CALL_STATE_RINGING:
        text += f", invitation {call.invite_id}"
    return text


@app.command
async def call(
    *users: Annotated[str, Parameter(name="USER")],
    video: Annotated[bool, Parameter(negative="--audio", help="With or without picture.")] = True,
    timeout: Annotated[Seconds, Parameter(help="Seconds to ring; 0 for no limit.")] = 30,
    group: Annotated[str, Parameter(help="Call this group, or those of it who are named.")] = "",
    wait: Annotated[bool, Parameter(negative="", help="Wait until it is answered or over.")] = False,
    common: Common | None = None,
) -> int:
    """Calls USER, several users together (USER USER ...), or a group (--group ID).

    With --wait the exit code is 0 when somebody answered, 4 when nobody did, and 3 when the agent is gone
    and does not come back; interrupting the wait cancels the call.
    """
    if not users and not group:
        Output(False).usage("call: whom? name users, or a group with --group")
        return USAGE
    kind = "video" if video else "audio"

    async def make(agent: Agent, out: Output) -> call_pb2.Call:
        if len(users) == 1 and not group:
            made = await agent.call(users[0], kind, timeout)
        else:
            made = await agent.group_call(users, kind, group, timeout)
        out.result(made, describe(made))
        return made

    async with connected(common) as (agent, out):
        if not wait:
            await make(agent, out)
            return DONE
        async with agent.events(patience=PATIENCE) as events:
            return await _answered(agent, out, events, make)


async def _answered(
    agent: Agent,
    out: Output,
    events: Subscription,
    make: Callable[[Agent, Output], Awaitable[call_pb2.Call]],
) -> int:
    """Makes a call and waits for its outcome."""
    before = _call_of(await anext(events))
    try:
        outcome = await _outcome(events, (await make(agent, out)).call_id)
    except asyncio.CancelledError:
        if before is None:  # else the call that is there is another
            await agent.hangup()
        raise
    out.result(outcome, describe(outcome))
    return DONE if outcome.state in _TALKING else UNANSWERED


async def _outcome(events: Subscription, call_id: str) -> call_pb2.Call:
    """The call once media flows or it is over."""
    async for message in events:
        seen = _call_of(message)
        if seen is not None and seen.call_id == call_id:
            if seen.state in _TALKING or seen.state == call_pb2.CALL_STATE_ENDED:
                return seen
        elif isinstance(message, event_pb2.Snapshot):
            break  # A snapshot without the call: the agent was restarted, the call is over.
    return call_pb2.Call(call_id=call_id, state=call_pb2.CALL_STATE_ENDED)


def _call_of(message: event_pb2.Snapshot | event_pb2.Event) -> call_pb2.Call | None:
    """The call that a message carries, None when it carries none."""
    if isinstance(message, event_pb2.Snapshot):
        return message.call if message.HasField("call") else None
    field = message.WhichOneof("body")
    body = getattr(message, field) if field else None
    found = getattr(body, "call", None)
    return found if isinstance(found, call_pb2.Call) else None


@app.command
async def invite(
    *users: Annotated[str, Parameter(name="USER")],
    timeout: Annotated[Seconds, Parameter(help="Seconds to ring; 0 for no limit.")] = 30,
    common: Common | None = None,
) -> int:
    """Invites USERS into the running call."""
    async with connected(common) as (agent, out):
        grown = await agent.invite_users(users, timeout)
        out.result(grown, describe(grown))
    return DONE


@app.command
async def join(
    call_id: str = "",
    /,
    *,
    group: Annotated[str, Parameter(help="The call that runs in this group.")] = "",
    common: Common | None = None,
) -> int:
    """Enters a running group call: the one named CALL_ID, or the one of a group."""
    if bool(call_id) == bool(group):
        Output(False).usage("join: name a call, or a group with --group")
        return USAGE
    async with connected(common) as (agent, out):
        joined = await agent.join_group_call(call_id=call_id, group_id=group)
        out.result(joined, describe(joined))
    return DONE


@app.command
async def answer(
    invite_id: str = "",
    /,
    *,
    timeout: Annotated[Seconds, Parameter(help="Seconds to wait for a call; 0 for no limit.")] = 0,
    common: Common | None = None,
) -> int:
    """Accepts an invitation: INVITE_ID, the one that rings, or the next that comes."""
    async with connected(common) as (agent, out):
        accepted = await agent.accept(invite_id or await _next_invitation(agent, timeout))
        out.result(accepted, describe(accepted))
    return DONE


async def _next_invitation(agent: Agent, timeout: float) -> str:
    """The invitation that rings or comes within `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout or None), agent.events() as events:
            async for message in events:
                seen = _call_of(message)
                if seen is not None and seen.state == call_pb2.CALL_STATE_RINGING:
                    return seen.invite_id
    except TimeoutError:
        pass
    raise AgentError("TIMED_OUT", grpc.StatusCode.DEADLINE_EXCEEDED, "nobody called")


@app.command
async def reject(
    invite_id: str = "",
    /,
    *,
    busy: Annotated[bool, Parameter(negative="", help="Tell the inviter that the line is busy.")] = False,
    common: Common | None = None,
) -> int:
    """Rejects an invitation: INVITE_ID, or the one that rings."""
    async with connected(common) as (agent, out):
        ended = await agent.reject(invite_id or await _ringing(agent), busy)
        out.result(ended, describe(ended))
    return DONE


async def _ringing(agent: Agent) -> str:
    """The invitation that rings now."""
    present = await agent.current_call()
    if present is None or present.state != call_pb2.CALL_STATE_RINGING:
        raise AgentError("INVITE_UNKNOWN", grpc.StatusCode.NOT_FOUND, "nothing rings")
    return present.invite_id


@app.command
async def hangup(*, common: Common | None = None) -> int:
    """Ends the call, or cancels it while dialling; without one it does nothing."""
    async with connected(common) as (agent, out):
        ended = await agent.hangup()
        if ended is None:
            out.result(call_pb2.HangupResponse(), "there is no call")
        else:
            out.result(ended, describe(ended))
    return DONE


@app.command
async def switch(kind: Literal["audio", "video"], /, *, common: Common | None = None) -> int:
    """Makes the 1:1 call an audio or a video call."""
    async with connected(common) as (agent, out):
        switched = await (agent.switch_to_audio_call() if kind == "audio" else agent.switch_to_video_call())
        out.result(switched, describe(switched))
    return DONE
