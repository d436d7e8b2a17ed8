"""What the hub keeps: sessions, calls, groups, missed calls; and the words they are made of. Frozen."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mediaagentd.hub.quotas import CALLEE, CALLER, Rate


class CallType(enum.Enum):
    """`mediaagent.v1.CallType`."""

    AUDIO = 1
    VIDEO = 2


class MemberState(enum.Enum):
    """`mediaagent.hub.v1.MemberState`."""

    PENDING = 1
    JOINED = 2
    LEFT = 3
    REJECTED = 4
    BUSY = 5
    NO_RESPONSE = 6
    CANCELLED = 7


class EndReason(enum.Enum):
    """`mediaagent.v1.EndReason`, those that a hub gives."""

    HANGUP = 1
    CANCELLED = 2
    REJECTED = 3
    BUSY = 4
    NO_RESPONSE = 5
    CONNECTION_LOST = 8
    DEVICE_LOST = 9
    KICKED_OUT = 10
    LOGGED_OUT = 11


class Policy(enum.Enum):
    """`mediaagent.hub.v1.LoginPolicy`: whether one user's devices exclude each other."""

    SINGLE = 1
    MULTI = 2


@dataclass(frozen=True, slots=True)
class Session:
    """One logged-in device. `token` is the secret of its calls to us; `expires` its lease's end,
    without the grace of a call.
    """

    token: str
    user_id: str
    device_id: str
    expires: float

    def named(self, request_id: str) -> str:
        """A request by a name that no other device of the user can have given to one of its own."""
        return f"{self.device_id}/{request_id}"


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation into a call that ran already. Times as in Call."""

    invite_id: str
    sponsor: str
    created: float
    deadline: float | None


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a call. `session` is the token of the session that answered or invited;
    `invitation` the one that it came by, None for the call's own and for who joined by itself; `left` why it
    left, None unless it did.
    """

    user_id: str
    state: MemberState
    session: str = ""
    device_id: str = ""
    join_order: int = 0
    audio: bool = False
    video: bool = False
    invitation: Invitation | None = None
    left: EndReason | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A call. `members[0]` is the sponsor. Times are seconds of the hub's clock; `deadline` is when
    the first invitations time out, None for never. `requests` are the ids of later invitations, so that
    a repeated one rings nobody twice.
    """

    call_id: str
    invite_id: str
    room_id: int
    type: CallType
    members: tuple[Member, ...]
    group: bool
    created: float
    deadline: float | None
    request_id: str
    group_id: str = ""
    revision: int = 1
    joins: int = 1
    ended: bool = False
    end_reason: EndReason | None = None
    ended_by: str = ""
    requests: tuple[str, ...] = ()
    user_data: bytes = b""

    @property
    def sponsor(self) -> str:
        """The inviter."""
        return self.members[0].user_id


@dataclass(frozen=True, slots=True)
class Missed:
    """An invitation that `user_id` did not answer; `reason` is NO_RESPONSE, CANCELLED or, when the user was
    busy, BUSY. `waiting` are the devices of the user that are to learn of it; empty: the first that does.
    """

    user_id: str
    invite_id: str
    call_id: str
    sponsor: str
    type: CallType
    group: bool
    group_id: str
    created: float
    ended: float
    reason: EndReason
    user_data: bytes = b""
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupMember:
    """One member of a group, and since when."""

    user_id: str
    joined: float


@dataclass(frozen=True, slots=True)
class Group:
    """A group. `members[0]` is the owner; the others follow as they were added."""

    group_id: str
    name: str
    members: tuple[GroupMember, ...]
    created: float
    request_id: str
    revision: int = 1

    @property
    def owner(self) -> str:
        """Who made it."""
        return self.members[0].user_id


@dataclass(frozen=True, slots=True)
class Limits:
    """What a hub allows. Seconds; `lease` is how long a silent device stays, `call_lease` one in an answered
    call (if that is longer); `members` counts the people in one call, `remembered` the calls that
    are over and still answered for, `remembered_members` all members of these, `devices` the sessions of one
    user under MULTI, `group_members` the people in one group, `groups` those of one owner, `missed` the
    missed calls kept for one user; `caller` and `callee` are of invitations.
    """

    lease: float = 30.0
    call_lease: float = 75.0
    members: int = 6
    remembered: int = 10_000
    remembered_members: int = 60_000
    policy: Policy = Policy.SINGLE
    devices: int = 20
    group_members: int = 1000
    groups: int = 100
    missed: int = 200
    caller: Rate = CALLER
    callee: Rate = CALLEE
