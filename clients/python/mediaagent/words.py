"""The words of the call API as enums: the source's names, usable as plain strings too."""

from __future__ import annotations

import enum
from typing import Self

from mediaagent.v1 import call_pb2, event_pb2, media_pb2, view_pb2


class CallType(enum.IntEnum):
    """Kind of a call; the numbers are the source's. Written "audio" and "video"."""

    AUDIO = 1
    VIDEO = 2

    @classmethod
    def of(cls, value: CallType | str | int) -> Self:
        """The member of that name, in any case, or of that number; ValueError when there is none."""
        if not isinstance(value, str):
            return cls(value)
        found = cls.__members__.get(value.upper())
        if found is None:
            raise ValueError(f"no type of a call is called {value!r}; audio or video")
        return found

    @classmethod
    def or_unsaid(cls, value: CallType | str | None) -> call_pb2.CallType.ValueType:
        """As the contract has it; None leaves it to the agent."""
        return call_pb2.CALL_TYPE_UNSPECIFIED if value is None else cls.of(value).proto

    @property
    def proto(self) -> call_pb2.CallType.ValueType:
        """As the contract has it."""
        return call_pb2.CallType.Value(f"CALL_TYPE_{self.name}")


class VideoProfile(enum.StrEnum):
    """Video qualities, written as the source does: "480p", "720p", "1080p"."""

    P480 = "480p"
    P720 = "720p"
    P1080 = "1080p"

    @property
    def proto(self) -> media_pb2.VideoProfile.ValueType:
        """As the contract has it."""
        return media_pb2.VideoProfile.Value(f"VIDEO_PROFILE_{self.value.upper()}")


class FrameFormat(enum.StrEnum):
    """Coding of the pictures of a `frames` view."""

    ENCODED = "encoded"
    JPEG = "jpeg"
    I420 = "i420"

    @property
    def proto(self) -> view_pb2.FrameFormat.ValueType:
        """As the contract has it."""
        return view_pb2.FrameFormat.Value(f"FRAME_FORMAT_{self.name}")


class ImageFormat(enum.StrEnum):
    """Format of a snapshot."""

    PNG = "png"
    JPEG = "jpeg"

    @property
    def proto(self) -> view_pb2.ImageFormat.ValueType:
        """As the contract has it."""
        return view_pb2.ImageFormat.Value(f"IMAGE_FORMAT_{self.name}")


class Event(enum.Enum):
    """Kinds of events. Each has three spellings: "INVITED", the JavaScript component's "onInvited", and
    the name of its payload's field in `mediaagent.v1.Event`.
    """

    INVITED = ("onInvited", "invited")
    REJECT = ("onReject", "rejected")
    NO_RESP = ("onNoResp", "not_responded")
    LINE_BUSY = ("onLineBusy", "line_busy")
    CALLING_CANCEL = ("onCallingCancel", "calling_cancelled")
    CALLING_TIMEOUT = ("onCallingTimeout", "calling_timed_out")
    USER_ENTER = ("onUserEnter", "user_entered")
    USER_LEAVE = ("onUserLeave", "user_left")
    CALL_END = ("onCallEnd", "call_ended")
    KICKED_OUT = ("onKickedOut", "kicked_out")
    USER_VIDEO_AVAILABLE = ("onUserVideoAvailable", "user_video_changed")
    USER_AUDIO_AVAILABLE = ("onUserAudioAvailable", "user_audio_changed")
    ERROR = ("onError", "error_raised")
    SESSION_CHANGED = ("onSessionChanged", "session_changed")
    CALL_CHANGED = ("onCallChanged", "call_changed")
    LOCAL_MEDIA_CHANGED = ("onLocalMediaChanged", "local_media_changed")
    MISSED_CALL = ("onMissedCall", "missed_call")
    HISTORY_CHANGED = ("onHistoryChanged", "history_changed")

    CALLING_END = CALL_END  # The component's older name of the same event.

    @property
    def js_name(self) -> str:
        """The JavaScript component's string."""
        return self.value[0]

    @property
    def field(self) -> str:
        """Field of `mediaagent.v1.Event` that carries the payload."""
        return self.value[1]

    @property
    def proto(self) -> event_pb2.EventType.ValueType:
        """As the contract has it."""
        return event_pb2.EventType.Value(f"EVENT_TYPE_{self.name}")

    @classmethod
    def of(cls, name: Event | str) -> Event:
        """The event of that name in either spelling; ValueError when there is none."""
        if isinstance(name, Event):
            return name
        found = cls.__members__.get(name) or next((e for e in cls if e.js_name == name), None)
        if found is None:
            raise ValueError(f"no event is called {name!r}; one of {', '.join(cls.__members__)}")
        return found

    @classmethod
    def kind(cls, message: event_pb2.Event) -> Event | None:
        """The kind of a received event; None for a kind newer than this client."""
        try:
            return cls.__members__.get(event_pb2.EventType.Name(message.type).removeprefix("EVENT_TYPE_"))
        except ValueError:
            return None
