"""A hub in a process of its own, for tests that kill it: `python hub_process.py SOCKET DATABASE`.

Prints its target once it serves, and goes on until SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from mediaagentd.hub.server import HubServer
from mediaagentd.hub.settings import HubSettings


async def main(socket: str, database: str, app_id: int, key: str) -> None:
    settings = HubSettings(
        listen=f"unix:{socket}", sdk_app_id=app_id, keys=(key,), database=Path(database), heartbeat=1.0
    )
    server = HubServer(settings)
    await server.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    sys.stdout.write(f"{server.target}\n")
    sys.stdout.flush()
    await stop.wait()
    await server.stop(0.5)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
