"""An agent that answers by itself, as an echo does."""

from __future__ import annotations

import structlog

from mediaagentd.call.events import Invited
from mediaagentd.call.types import Answer, Phase
from mediaagentd.calls import Calls
from mediaagentd.errors import Reason, Refused
from mediaagentd.events import EventLog, Happened

_log = structlog.stdlib.get_logger()


async def answer_all(calls: Calls, events: EventLog) -> None:
    """Accepts every invitation, the one that rings already first, until the daemon stops. When it has fallen
    too far behind the events (accepting waits for the hub, ten seconds at the most) it looks anew what rings.
    """
    while True:
        try:
            await _follow(calls, events)
        except Refused as refused:
            if refused.reason is not Reason.SUBSCRIBER_TOO_SLOW:
                return


async def _follow(calls: Calls, events: EventLog) -> None:
    """Raises: Refused, see `events.Subscription`."""
    subscription = events.subscribe(frozenset({Invited}), "", lambda: calls.state.call)
    try:
        async for message in subscription:
            ringing = calls.state.call
            if isinstance(message, Happened) and isinstance(message.event, Invited):
                ringing = message.event.call
            if ringing is not None and ringing.phase is Phase.RINGING:
                await _accept(calls, ringing.invite.invite_id)
    finally:
        subscription.close()


async def _accept(calls: Calls, invite_id: str) -> None:
    try:
        await calls.perform(lambda op: Answer(op, invite_id))
    except Refused as error:
        _log.info("not answered", reason=error.reason.name)
