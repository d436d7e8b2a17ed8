"""A machine with a hub and an agent in it, and visitors from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mediaagent.v1 import call_pb2, event_pb2, session_pb2

from tests.integration.daemon.driver import WITHIN, Driver, drive
from tests.integration.processes import APP_ID, KEY, Agent, Hub, agent
from tests.integration.systemd.machine import Machine

SOCKET = "/run/mediaagent/agent.sock"
LOBBY = "mediaagentd"
"""The unit of the agent in the machine."""


class House:
    """A machine with a hub and the agent of `lobby`."""

    def __init__(self, box: Machine, port: int) -> None:
        self.box = box
        self.hub = Hub(None, f"127.0.0.1:{port}")  # type: ignore[arg-type] # it is no child of ours
        self.configure()
        box.keep_secret("user_sig", self.hub.mint("lobby"))
        box.keep_secret("hub_keys", KEY)

    def configure(self, **settings: str) -> None:
        """The agent's, beside what it needs."""
        needed = {
            "user_id": "lobby",
            "hub_target": self.hub.target,
            "camera": "synthetic",
            "microphone": "synthetic",
            "speaker": "null",
        }
        self.box.configure(sdk_app_id=APP_ID, **{**needed, **settings})

    @asynccontextmanager
    async def lobby(self) -> AsyncIterator[Driver]:
        """A client of the agent in the machine, which is logged in."""
        inside = Agent(None, self.box.path(SOCKET), Path())  # type: ignore[arg-type] # nor is this
        async with drive(inside, "lobby") as driver:
            while (await driver.status()).session.state != session_pb2.SESSION_STATE_ONLINE:
                await driver.event(event_pb2.EVENT_TYPE_SESSION_CHANGED)
            yield driver


async def override(box: Machine, unit: str, *lines: str) -> None:
    place = box.path(f"/etc/systemd/system/{unit}.service.d")
    place.mkdir(exist_ok=True)
    (place / f"{len(list(place.iterdir()))}.conf").write_text("\n".join(("[Service]", *lines, "")))
    await box.run("systemctl", "daemon-reload")


async def restarted(box: Machine, unit: str, times: int) -> None:
    """Waits until it was started again so often: what was killed still takes connections while it dies."""
    async with asyncio.timeout(WITHIN):
        while await box.shows(unit, "NRestarts") != str(times):
            pass


@asynccontextmanager
async def in_call(
    house: House, directory: Path, microphone: str = "synthetic"
) -> AsyncIterator[tuple[Driver, Driver]]:
    """A visitor, whose agent is outside, and the lobby in a video call."""
    async with (
        agent(directory, "visitor", house.hub, microphone=microphone) as outside,
        drive(outside) as visitor,
        house.lobby() as lobby,
    ):
        await visitor.login(house.hub)
        await visitor.dial("lobby", call_pb2.CALL_TYPE_VIDEO)
        invited = (await lobby.event(event_pb2.EVENT_TYPE_INVITED)).invited
        await lobby.call.Accept(call_pb2.AcceptRequest(invite_id=invited.invite_id), timeout=WITHIN)
        await visitor.connected("lobby")
        await lobby.connected("visitor")
        yield visitor, lobby
