"""fault: making the agent fail on purpose."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from mediaagent.cli.app import DONE, Common, Seconds, app, connected
from mediaagent.v1 import fault_pb2

fault = App(
    name="fault",
    help="Makes the agent fail on purpose, to try a client; needs `[faults] enabled` in its configuration.",
)
app.command(fault)

NO_COMMON = Common()
Lasting = Annotated[Seconds, Parameter(name="--for", help="Seconds that it lasts.")]


def _told(faults: fault_pb2.Faults) -> str:
    """One line per fault in force."""
    lines = [
        f"{field.name.replace('_', ' ')}: {value.ToMilliseconds() / 1000:.1f} s"
        for field, value in faults.ListFields()
    ]
    return "\n".join(lines) or "no faults in force"


@fault.command(name="drop-hub")
async def drop_hub(*, lasting: Lasting = 0, common: Common = NO_COMMON) -> int:
    """Breaks the connection with the hub, and keeps it broken."""
    async with connected(common) as (agent, out):
        faults = await agent.faults.drop_hub_connection(lasting)
        out.result(faults, _told(faults))
    return DONE


@fault.command
async def refuse(*, lasting: Lasting = 10, common: Common = NO_COMMON) -> int:
    """Refuses commands and signals on their way to the hub."""
    async with connected(common) as (agent, out):
        faults = await agent.faults.refuse_signalling(lasting)
        out.result(faults, _told(faults))
    return DONE


@fault.command
async def delay(seconds: Seconds, /, *, lasting: Lasting = 10, common: Common = NO_COMMON) -> int:
    """Delays commands, signals and what the hub says, by SECONDS each way."""
    async with connected(common) as (agent, out):
        faults = await agent.faults.delay_signalling(seconds, lasting)
        out.result(faults, _told(faults))
    return DONE


@fault.command(name="kill-peer")
async def kill_peer(user_id: str, /, *, common: Common = NO_COMMON) -> int:
    """Ends the media connection with a user as a dead network would."""
    async with connected(common) as (agent, out):
        faults = await agent.faults.kill_peer_connection(user_id)
        out.result(faults, f"the connection with {user_id} is dead")
    return DONE


@fault.command(name="lose-camera")
async def lose_camera(*, lasting: Lasting = 10, common: Common = NO_COMMON) -> int:
    """Takes the camera away as if it had been pulled out."""
    async with connected(common) as (agent, out):
        faults = await agent.faults.lose_camera(lasting)
        out.result(faults, _told(faults))
    return DONE


@fault.command
async def clear(*, common: Common = NO_COMMON) -> int:
    """Ends every fault."""
    async with connected(common) as (agent, out):
        faults = await agent.faults.clear()
        out.result(faults, _told(faults))
    return DONE


@fault.command(name="list")
async def list_(*, common: Common = NO_COMMON) -> int:
    """The faults in force, and how long they last."""
    async with connected(common) as (agent, out):
        faults = await agent.faults.get()
        out.result(faults, _told(faults))
    return DONE
