"""FaultService: failing on purpose. The contract is in fault.proto."""

from __future__ import annotations

from mediaagent.v1 import fault_pb2 as pb
from mediaagent.v1.fault_pb2_grpc import FaultServiceServicer

from mediaagentd.api.clock import duration, seconds
from mediaagentd.api.house import Context, House
from mediaagentd.errors import Reason, Refused
from mediaagentd.faults import Fault, Faults, Sabotage


class FaultService(FaultServiceServicer):
    """Everything is Refused(FAULTS_OFF) unless the configuration allows it."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def DropHubConnection(
        self, request: pb.DropHubConnectionRequest, _context: Context
    ) -> pb.DropHubConnectionResponse:
        """Cuts the hub off."""
        sabotage = self._sabotage()
        sabotage.faults.begin(Fault.HUB_DROPPED, seconds(request.duration))
        await sabotage.drop_hub()
        return pb.DropHubConnectionResponse(faults=_shown(sabotage.faults))

    async def RefuseSignalling(
        self, request: pb.RefuseSignallingRequest, _context: Context
    ) -> pb.RefuseSignallingResponse:
        """Refuses commands and signals."""
        faults = self._sabotage().faults
        faults.begin(Fault.SIGNALLING_REFUSED, seconds(request.duration))
        return pb.RefuseSignallingResponse(faults=_shown(faults))

    async def DelaySignalling(
        self, request: pb.DelaySignallingRequest, _context: Context
    ) -> pb.DelaySignallingResponse:
        """Makes them late."""
        faults = self._sabotage().faults
        faults.delay = seconds(request.delay)
        faults.begin(Fault.SIGNALLING_DELAYED, seconds(request.duration))
        return pb.DelaySignallingResponse(faults=_shown(faults))

    async def KillPeerConnection(
        self, request: pb.KillPeerConnectionRequest, _context: Context
    ) -> pb.KillPeerConnectionResponse:
        """Ends a media connection."""
        sabotage = self._sabotage()
        sabotage.kill_peer(request.user_id)
        return pb.KillPeerConnectionResponse(faults=_shown(sabotage.faults))

    async def LoseCamera(self, request: pb.LoseCameraRequest, _context: Context) -> pb.LoseCameraResponse:
        """Takes the camera away."""
        sabotage = self._sabotage()
        sabotage.faults.begin(Fault.CAMERA_LOST, seconds(request.duration))
        sabotage.lose_camera()
        return pb.LoseCameraResponse(faults=_shown(sabotage.faults))

    async def ClearFaults(self, _request: pb.ClearFaultsRequest, _context: Context) -> pb.ClearFaultsResponse:
        """Ends them all."""
        faults = self._sabotage().faults
        faults.clear()
        return pb.ClearFaultsResponse(faults=_shown(faults))

    async def GetFaults(self, _request: pb.GetFaultsRequest, _context: Context) -> pb.GetFaultsResponse:
        """Those in force."""
        return pb.GetFaultsResponse(faults=_shown(self._sabotage().faults))

    def _sabotage(self) -> Sabotage:
        sabotage = self._house.sabotage
        if sabotage is None:
            raise Refused(Reason.FAULTS_OFF, "faults are off: [faults] enabled = true in the configuration")
        return sabotage


_FIELDS = {
    "hub_dropped": Fault.HUB_DROPPED,
    "signalling_refused": Fault.SIGNALLING_REFUSED,
    "signalling_delayed": Fault.SIGNALLING_DELAYED,
    "camera_lost": Fault.CAMERA_LOST,
}


def _shown(faults: Faults) -> pb.Faults:
    left = {field: faults.left(fault) for field, fault in _FIELDS.items()}
    message = pb.Faults(**{field: duration(time) for field, time in left.items() if time})
    if left["signalling_delayed"]:
        message.delay.CopyFrom(duration(faults.delay))
    return message
