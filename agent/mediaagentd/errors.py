"""The one way to refuse: `Refused` with a reason that the contract lists.

Pure: no gRPC here. `api.interceptors` and `hub.service` turn a `Refused` into a canonical status with
one `google.rpc.ErrorInfo`; a test holds `Reason` against `mediaagent.v1.ErrorReason`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

DOMAIN = "mediaagent"
"""`ErrorInfo.domain` of every error of ours."""


class Status(enum.StrEnum):
    """Canonical gRPC statuses that we use, by name."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"


class Reason(enum.Enum):
    """`mediaagent.v1.ErrorReason` without its prefix, each with its status."""

    FIELD_INVALID = Status.INVALID_ARGUMENT
    USER_ID_INVALID = Status.INVALID_ARGUMENT
    INVITEES_INVALID = Status.INVALID_ARGUMENT
    ROOM_MISMATCH = Status.INVALID_ARGUMENT
    CALL_TYPE_MISMATCH = Status.INVALID_ARGUMENT
    SIGNAL_INVALID = Status.INVALID_ARGUMENT
    SDP_TOO_LARGE = Status.INVALID_ARGUMENT
    CANDIDATE_FORBIDDEN = Status.INVALID_ARGUMENT
    USER_SIG_MALFORMED = Status.UNAUTHENTICATED
    USER_SIG_EXPIRED = Status.UNAUTHENTICATED
    USER_SIG_MISMATCH = Status.UNAUTHENTICATED
    USER_SIG_WRONG_USER = Status.UNAUTHENTICATED
    USER_SIG_WRONG_APP = Status.UNAUTHENTICATED
    SESSION_UNKNOWN = Status.UNAUTHENTICATED
    NOT_LOGGED_IN = Status.FAILED_PRECONDITION
    ALREADY_LOGGED_IN = Status.FAILED_PRECONDITION
    CALL_IN_PROGRESS = Status.FAILED_PRECONDITION
    NO_CALL = Status.FAILED_PRECONDITION
    SWITCH_NOT_ALLOWED = Status.FAILED_PRECONDITION
    NO_VIDEO = Status.FAILED_PRECONDITION
    KICKED_OUT = Status.FAILED_PRECONDITION
    CODEC_MISMATCH = Status.FAILED_PRECONDITION
    USER_UNKNOWN = Status.NOT_FOUND
    INVITE_UNKNOWN = Status.NOT_FOUND
    USER_NOT_IN_CALL = Status.NOT_FOUND
    VIEW_UNKNOWN = Status.NOT_FOUND
    GROUP_UNKNOWN = Status.NOT_FOUND
    CALL_UNKNOWN = Status.NOT_FOUND
    DEVICE_NOT_FOUND = Status.NOT_FOUND
    VIEW_EXISTS = Status.ALREADY_EXISTS
    DEVICE_PERMISSION = Status.PERMISSION_DENIED
    DEVICE_FAILED = Status.UNAVAILABLE
    HUB_UNREACHABLE = Status.UNAVAILABLE
    SHUTTING_DOWN = Status.UNAVAILABLE
    TIMED_OUT = Status.DEADLINE_EXCEEDED
    LIMIT_EXCEEDED = Status.RESOURCE_EXHAUSTED
    SUBSCRIBER_TOO_SLOW = Status.RESOURCE_EXHAUSTED
    NOT_OFFERED = Status.UNIMPLEMENTED
    INTERNAL = Status.INTERNAL
    GROUP_RIGHTS = Status.PERMISSION_DENIED
    NOT_A_GROUP_MEMBER = Status.PERMISSION_DENIED
    GROUP_EXISTS = Status.ALREADY_EXISTS
    GROUP_IN_CALL = Status.FAILED_PRECONDITION
    CALL_FULL = Status.RESOURCE_EXHAUSTED
    TOO_MANY_CANDIDATES = Status.RESOURCE_EXHAUSTED
    MESSAGE_TOO_LARGE = Status.RESOURCE_EXHAUSTED
    INVITING_TOO_OFTEN = Status.RESOURCE_EXHAUSTED
    INVITED_TOO_OFTEN = Status.RESOURCE_EXHAUSTED
    STREAM_REPLACED = Status.FAILED_PRECONDITION
    FAULTS_OFF = Status.FAILED_PRECONDITION
    FAULT_INJECTED = Status.UNAVAILABLE
    RECORD_UNKNOWN = Status.NOT_FOUND

    def __new__(cls, status: Status) -> Reason:
        """Gives each member its own value, so that members of one status are no aliases."""
        member = object.__new__(cls)
        member._value_ = len(cls.__members__)
        member.status = status
        return member

    status: Status


_NOTHING: Mapping[str, str] = MappingProxyType({})


class Refused(Exception):  # noqa: N818 - it is the word of the house, and not a fault of ours
    """A command that cannot be done; raised before anything changed.

    `message` is for a person and names the field and the rule; `metadata` is for programs.
    """

    def __init__(self, reason: Reason, message: str, metadata: Mapping[str, str] = _NOTHING) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = metadata


def field_invalid(field: str, rule: str) -> Refused:
    """FIELD_INVALID as the contract has it: which field, and which rule it breaks."""
    return Refused(Reason.FIELD_INVALID, f"{field}: {rule}", {"field": field, "rule": rule})
