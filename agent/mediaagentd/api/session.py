"""SessionService: who this device is. The contract is in session.proto."""

from __future__ import annotations

from mediaagent.v1 import session_pb2 as pb
from mediaagent.v1.session_pb2_grpc import SessionServiceServicer

from mediaagentd.api.house import Context, House


class SessionService(SessionServiceServicer):
    """Login and logout."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def Login(self, request: pb.LoginRequest, _context: Context) -> pb.LoginResponse:
        """Logs a user in."""
        await self._house.calls.login(request.user_id, request.user_sig)
        return pb.LoginResponse(session=self._house.session())

    async def Logout(self, _request: pb.LogoutRequest, _context: Context) -> pb.LogoutResponse:
        """Leaves the hub."""
        await self._house.calls.logout()
        return pb.LogoutResponse(session=self._house.session())

    async def GetSession(self, _request: pb.GetSessionRequest, _context: Context) -> pb.GetSessionResponse:
        """The present session."""
        return pb.GetSessionResponse(session=self._house.session())
