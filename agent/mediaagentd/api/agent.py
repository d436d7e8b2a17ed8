"""AgentService: the daemon itself. The contract is in agent.proto."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from mediaagent.v1 import agent_pb2 as pb
from mediaagent.v1.agent_pb2_grpc import AgentServiceServicer

from mediaagentd.api import convert
from mediaagentd.api.clock import duration
from mediaagentd.api.house import Context, House

_STATM = Path("/proc/self/statm")


class AgentService(AgentServiceServicer):
    """Status and figures."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def GetStatus(self, _request: pb.GetStatusRequest, _context: Context) -> pb.GetStatusResponse:
        """Everything at a glance."""
        house, present = self._house, self._house.present()
        return pb.GetStatusResponse(
            version=house.about.version,
            uptime=duration(house.about.uptime),
            session=house.session(),
            call=house.conversion.call(present.state.call),
            media=convert.local_media(present.state.camera, present.state.muted, present.local),
            views=convert.views(present.views),
            cpu_time=duration(_cpu_time()),
            resident_bytes=_resident_bytes(),
            hub=house.about.hub,
            loop_lag=duration(house.about.lag()),
        )

    async def GetStats(self, _request: pb.GetStatsRequest, _context: Context) -> pb.GetStatsResponse:
        """Figures per remote user."""
        return pb.GetStatsResponse(
            uptime=duration(self._house.about.uptime),
            loop_lag=duration(self._house.about.lag()),
            peers=[convert.peer_stats(figures) for figures in self._house.engine.figures()],
        )

    async def NotifyNetworkChanged(
        self, _request: pb.NotifyNetworkChangedRequest, _context: Context
    ) -> pb.NotifyNetworkChangedResponse:
        """Connections are made anew."""
        return pb.NotifyNetworkChangedResponse(connections=self._house.network_changed())


def _cpu_time() -> float:
    """Seconds of user and system time of this process, all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _resident_bytes() -> int:
    """Resident memory now (`getrusage` knows only its peak, which has to do where no file can be opened)."""
    try:
        return int(_STATM.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
