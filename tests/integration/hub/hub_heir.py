"""Hubs that are loaded once: `python hub_heir.py SOCKET DATABASE APP KEY POLICY`.

For each line that comes by its input a hub begins, in a process that has nothing left to load: `born PID` is
said then, `ready` when it serves, and `dead` when it was killed. Nothing of gRPC lives before that process.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from mediaagentd.hub.quotas import Rate
from mediaagentd.hub.server import HubServer
from mediaagentd.hub.settings import HubSettings
from mediaagentd.hub.types import Policy

_WORDS = os.dup(1)
BUSY = Rate(1e6, 1e6)


async def serve(socket: str, database: str, app_id: str, key: str, policy: str) -> None:
    settings = HubSettings(
        listen=f"unix:{socket}", sdk_app_id=int(app_id), keys=(key,), database=Path(database),
        policy=Policy[policy], heartbeat=1.0, caller=BUSY, callee=BUSY,
    )  # fmt: skip
    server = HubServer(settings)  # gRPC's ends when nobody holds it
    await server.start()
    os.write(_WORDS, b"ready\n")
    await asyncio.Event().wait()


if __name__ == "__main__":
    os.dup2(2, 1)  # what is logged is not for who listens to our words
    while sys.stdin.readline():
        if pid := os.fork():
            os.write(_WORDS, f"born {pid}\n".encode())
            os.waitpid(pid, 0)
            os.write(_WORDS, b"dead\n")
        else:
            asyncio.run(serve(*sys.argv[1:]))
