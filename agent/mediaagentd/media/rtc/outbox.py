"""The queue in front of a video sender. Pure."""

from __future__ import annotations

from collections import deque

from mediaagentd.media.types import VideoFrame

BEHIND = 0.8
"""Seconds that a frame may wait, by the newest one. More means that the link is stuck, not slow."""

BOUND = 300
"""Frames that may wait: a page gets at once what one repair of the far end's has let go (`codec.shared`)."""


class VideoOutbox:
    """Bounded; the newest wins, but only at keyframes, since a picture is of no use without the ones
    before it. A late joiner of a shared encoder gets nothing before its first keyframe.
    """

    def __init__(self, bound: int = BOUND) -> None:
        self._bound = bound
        self._frames: deque[VideoFrame] = deque()
        self._synced = False
        self.dropped = 0

    def push(self, frame: VideoFrame) -> bool:
        """Takes a frame or drops it; says whether a keyframe is needed before anything can go on."""
        if frame.keyframe:
            self._drop_waiting()
            self._synced = True
        elif self._frames and self._is_stuck(frame.captured):
            self._drop_waiting()
            self._synced = False
        if not self._synced:
            self.dropped += 1
            return True
        self._frames.append(frame)
        return False

    def _is_stuck(self, now: float) -> bool:
        return len(self._frames) >= self._bound or now - self._frames[0].captured > BEHIND

    @property
    def holds_keyframe(self) -> bool:
        """Whether one waits: it is always the first."""
        return bool(self._frames) and self._frames[0].keyframe

    def pop(self) -> VideoFrame | None:
        """The next frame to send."""
        return self._frames.popleft() if self._frames else None

    def flush(self) -> None:
        """Drops what waits; it goes on with the next keyframe."""
        self._drop_waiting()
        self._synced = False

    def _drop_waiting(self) -> None:
        self.dropped += len(self._frames)
        self._frames.clear()
