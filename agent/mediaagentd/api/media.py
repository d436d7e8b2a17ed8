"""MediaService: camera, microphone, quality. The contract is in media.proto."""

from __future__ import annotations

from mediaagent.v1 import media_pb2 as pb
from mediaagent.v1.media_pb2_grpc import MediaServiceServicer

from mediaagentd.api import words
from mediaagentd.api.house import Context, House
from mediaagentd.call.types import CloseCamera, OpenCamera, SetMicMute


class MediaService(MediaServiceServicer):
    """The local devices."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def OpenCamera(self, _request: pb.OpenCameraRequest, _context: Context) -> pb.OpenCameraResponse:
        """Turns the camera on."""
        await self._house.calls.perform(OpenCamera)
        return pb.OpenCameraResponse(media=self._house.local_media())

    async def CloseCamera(self, _request: pb.CloseCameraRequest, _context: Context) -> pb.CloseCameraResponse:
        """Turns the camera off."""
        await self._house.calls.perform(CloseCamera)
        return pb.CloseCameraResponse(media=self._house.local_media())

    async def SetMicMute(self, request: pb.SetMicMuteRequest, _context: Context) -> pb.SetMicMuteResponse:
        """Turns the microphone off or on."""
        await self._house.calls.perform(lambda op: SetMicMute(op, request.is_mute))
        return pb.SetMicMuteResponse(media=self._house.local_media())

    async def SetVideoQuality(
        self, request: pb.SetVideoQualityRequest, _context: Context
    ) -> pb.SetVideoQualityResponse:
        """Chooses the video quality."""
        now = self._house.calls.set_video_quality(words.profile_from(request.profile))
        effect = pb.QUALITY_EFFECT_NOW if now else pb.QUALITY_EFFECT_NEXT_CALL
        return pb.SetVideoQualityResponse(media=self._house.local_media(), effect=effect)

    async def GetLocalMedia(
        self, _request: pb.GetLocalMediaRequest, _context: Context
    ) -> pb.GetLocalMediaResponse:
        """The present state."""
        return pb.GetLocalMediaResponse(media=self._house.local_media())
