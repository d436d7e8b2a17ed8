"""The README's ten lines: call bob with video and save what he shows."""

import asyncio
import sys
from pathlib import Path

from mediaagent import Agent, Event


async def main(socket: str, user_sig: str) -> None:
    """One call from the first to the last word."""
    async with Agent(socket) as agent:
        entered = agent.once(Event.USER_ENTER)
        await agent.login("alice", user_sig)
        await agent.call("bob", "video", timeout=30)
        await entered
        snapshot = await agent.take_snapshot("bob")
        Path("bob.png").write_bytes(snapshot.image)  # noqa: ASYNC240 - one small file
        await agent.hangup()


asyncio.run(main(sys.argv[1], sys.argv[2]))
