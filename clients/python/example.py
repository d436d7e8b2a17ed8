"""The README's example: call bob with video and save what he shows.

python example.py /run/mediaagent/agent.sock USER_SIG
"""

import asyncio
import sys
from pathlib import Path

from mediaagent import Agent, Event


async def main(socket: str, user_sig: str) -> None:
    """One call from the first to the last word."""
    async with Agent(socket) as agent:
        await agent.login("alice", user_sig)
        entered, ended = agent.once(Event.USER_ENTER), agent.once(Event.CALL_END)
        await agent.call("bob", "video", timeout=30)
        await asyncio.wait((entered, ended), return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            sys.exit("bob did not answer")
        snapshot = await agent.take_snapshot("bob")
        Path("bob.png").write_bytes(snapshot.image)  # noqa: ASYNC240 - one small file
        await agent.hangup()


asyncio.run(main(sys.argv[1], sys.argv[2]))
