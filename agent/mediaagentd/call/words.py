"""The words of the call machine: kinds, states and reasons. The numbers are the contract's."""

from __future__ import annotations

import enum


class CallType(enum.Enum):
    """Kind of a call; the numbers are the source's."""

    AUDIO = 1
    VIDEO = 2


class MemberState(enum.Enum):
    """What became of one member of a call; the hub's words (`mediaagent.hub.v1.MemberState`)."""

    PENDING = 1
    JOINED = 2
    LEFT = 3
    REJECTED = 4
    BUSY = 5
    NO_RESPONSE = 6
    CANCELLED = 7


class EndReason(enum.Enum):
    """Why a call is over (`mediaagent.v1.EndReason`)."""

    HANGUP = 1
    CANCELLED = 2
    REJECTED = 3
    BUSY = 4
    NO_RESPONSE = 5
    ANSWERED_ELSEWHERE = 6
    DECLINED_ELSEWHERE = 7
    CONNECTION_LOST = 8
    DEVICE_LOST = 9
    KICKED_OUT = 10
    LOGGED_OUT = 11


class Phase(enum.Enum):
    """Where this agent stands in a call (`mediaagent.v1.CallState`)."""

    DIALLING = 1
    RINGING = 2
    CONNECTING = 3
    ACTIVE = 4
    RECONNECTING = 5
    ENDED = 6


class Link(enum.Enum):
    """State of the media connection with one participant (`mediaagent.v1.LinkState`)."""

    CONNECTING = 1
    UP = 2
    RECONNECTING = 3


class SessionPhase(enum.Enum):
    """State of the session with the hub (`mediaagent.v1.SessionState`)."""

    LOGGED_OUT = 1
    ONLINE = 2
    RECONNECTING = 3
    KICKED_OUT = 4


class ErrorCode(enum.IntEnum):
    """The source's codes of the ERROR event."""

    SWITCH_TO_AUDIO_FAILED = 60001
    SWITCH_TO_VIDEO_FAILED = 60002
    NO_MICROPHONE = 60003
    NO_CAMERA = 60004
    NO_PERMISSION = 60005
