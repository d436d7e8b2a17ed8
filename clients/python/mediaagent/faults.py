"""Making the agent fail on purpose, to try a client."""

from __future__ import annotations

import grpc

from mediaagent.asking import Ask, duration
from mediaagent.v1 import fault_pb2, fault_pb2_grpc


class Faults:
    """What can be broken: `agent.faults`. Every method raises AgentError, FAULTS_OFF unless the agent's
    configuration says `[faults] enabled = true`; seconds; each returns the faults in force.
    """

    def __init__(self, channel: grpc.aio.Channel, ask: Ask) -> None:
        self._stub: fault_pb2_grpc.FaultServiceAsyncStub = fault_pb2_grpc.FaultServiceStub(channel)
        self._ask = ask

    async def drop_hub_connection(self, lasting: float = 0) -> fault_pb2.Faults:
        """Breaks the connection with the hub, and keeps it broken."""
        request = fault_pb2.DropHubConnectionRequest(duration=duration(lasting))
        return (await self._ask(self._stub.DropHubConnection, request)).faults

    async def refuse_signalling(self, lasting: float) -> fault_pb2.Faults:
        """Refuses commands and signals on their way to the hub."""
        request = fault_pb2.RefuseSignallingRequest(duration=duration(lasting))
        return (await self._ask(self._stub.RefuseSignalling, request)).faults

    async def delay_signalling(self, delay: float, lasting: float) -> fault_pb2.Faults:
        """Delays commands, signals and what the hub says, each way."""
        request = fault_pb2.DelaySignallingRequest(delay=duration(delay), duration=duration(lasting))
        return (await self._ask(self._stub.DelaySignalling, request)).faults

    async def kill_peer_connection(self, user_id: str) -> fault_pb2.Faults:
        """Ends the media connection with a user as a dead network would."""
        request = fault_pb2.KillPeerConnectionRequest(user_id=user_id)
        return (await self._ask(self._stub.KillPeerConnection, request)).faults

    async def lose_camera(self, lasting: float) -> fault_pb2.Faults:
        """Takes the camera away as if it had been pulled out."""
        request = fault_pb2.LoseCameraRequest(duration=duration(lasting))
        return (await self._ask(self._stub.LoseCamera, request)).faults

    async def clear(self) -> fault_pb2.Faults:
        """Ends every fault."""
        return (await self._ask(self._stub.ClearFaults, fault_pb2.ClearFaultsRequest())).faults

    async def get(self) -> fault_pb2.Faults:
        """The faults in force, each with the time that it has left."""
        return (await self._ask(self._stub.GetFaults, fault_pb2.GetFaultsRequest())).faults
