"""Places where video is shown, as a view asks for them."""

from __future__ import annotations

from mediaagent.v1 import view_pb2
from mediaagent.words import FrameFormat

ViewKind = view_pb2.FramesView | view_pb2.WebrtcView | view_pb2.WindowView | view_pb2.FileView
"""What kind of place a view is."""


def frames(
    format: FrameFormat | str = FrameFormat.JPEG,  # noqa: A002 - the contract's word
    *,
    max_fps: float = 0,
    max_width: int = 0,
    max_height: int = 0,
    jpeg_quality: int = 0,
) -> view_pb2.FramesView:
    """A `frames` view: pictures streamed to the client. Zeros leave the choice to the agent."""
    return view_pb2.FramesView(
        format=FrameFormat(format).proto,
        max_fps=max_fps,
        max_width=max_width,
        max_height=max_height,
        jpeg_quality=jpeg_quality,
    )


def set_kind(
    request: view_pb2.StartRemoteViewRequest | view_pb2.StartLocalViewRequest, kind: ViewKind | None
) -> None:
    """Puts the kind of place into the request's oneof."""
    match kind:
        case view_pb2.WebrtcView():
            request.webrtc.CopyFrom(kind)
        case view_pb2.WindowView():
            request.window.CopyFrom(kind)
        case view_pb2.FileView():
            request.file.CopyFrom(kind)
        case _:
            request.frames.CopyFrom(kind or frames())
