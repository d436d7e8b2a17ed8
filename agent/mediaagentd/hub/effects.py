"""What the hub's core wants done. The shell stores first (one transaction), then pushes, then replies."""

from __future__ import annotations

from dataclasses import dataclass

from mediaagentd.hub.values import Call, Group, Missed, Session


@dataclass(frozen=True, slots=True)
class PutUser:
    """This user exists (has logged in once); store it."""

    user_id: str


@dataclass(frozen=True, slots=True)
class PutDevice:
    """The user logs in with this device, now later than with any other; store it."""

    user_id: str
    device_id: str


@dataclass(frozen=True, slots=True)
class DropDevice:
    """Forget this device of the user."""

    user_id: str
    device_id: str


@dataclass(frozen=True, slots=True)
class PutSession:
    """Store this session."""

    session: Session


@dataclass(frozen=True, slots=True)
class DropSession:
    """Forget this session; its stream ends. `kicked_by`: the device whose login won, else empty."""

    token: str
    kicked_by: str = ""


@dataclass(frozen=True, slots=True)
class PutCall:
    """Store this call, also one that is over: its requests may be repeated after a crash."""

    call: Call


@dataclass(frozen=True, slots=True)
class DropCall:
    """Forget this call."""

    call_id: str


@dataclass(frozen=True, slots=True)
class PutGroup:
    """Store this group."""

    group: Group


@dataclass(frozen=True, slots=True)
class DropGroup:
    """Forget this group."""

    group_id: str


@dataclass(frozen=True, slots=True)
class PutMissed:
    """Store this missed call, in place of what was known of it."""

    missed: Missed


@dataclass(frozen=True, slots=True)
class DropMissed:
    """Forget these missed calls."""

    user_id: str
    invite_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PushCall:
    """Tell a session of this call as it is now."""

    token: str
    call: Call


@dataclass(frozen=True, slots=True)
class PushMissed:
    """Tell a session of a call that came while its user was busy."""

    token: str
    missed: Missed


@dataclass(frozen=True, slots=True)
class PushSignal:
    """Hand a relayed signal to a session."""

    token: str
    call_id: str
    sender: str
    signal: object


@dataclass(frozen=True, slots=True)
class GroupShown:
    """A group and the call that runs in it, empty for none."""

    group: Group
    call_id: str


@dataclass(frozen=True, slots=True)
class GroupsShown:
    """A page of groups; `next` is where the next page begins, empty after the last."""

    groups: tuple[GroupShown, ...]
    next: str


Answer = Call | GroupShown | GroupsShown | None


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to the command: what it is about as it is now, None when there is nothing to say."""

    answer: Answer


Effect = (
    PutUser | PutDevice | DropDevice | PutSession | DropSession | PutCall | DropCall | PutGroup | DropGroup
    | PutMissed | DropMissed | PushCall | PushMissed | PushSignal | Reply
)  # fmt: skip
