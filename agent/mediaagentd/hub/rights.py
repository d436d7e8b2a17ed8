"""Who may do what in a group, in one table: role x verb x state. Pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from mediaagentd.errors import Reason, Refused


class Role(enum.Enum):
    """What a user is in a group."""

    OWNER = "owner"
    MEMBER = "member"
    STRANGER = "stranger"


class Verb(enum.Enum):
    """What can be done with a group. REMOVE is of others; INVITE asks more members into its call."""

    SEE = "see"
    DELETE = "delete"
    ADD = "add members to"
    REMOVE = "remove members of"
    LEAVE = "leave"
    CALL = "call"
    INVITE = "invite into the call of"
    JOIN = "join the call of"


class State(enum.Enum):
    """Whether a call of the group runs."""

    IDLE = "idle"
    IN_CALL = "in call"


_RIGHTS, _STRANGER = Reason.GROUP_RIGHTS, Reason.NOT_A_GROUP_MEMBER
_RUNS, _NONE = Reason.GROUP_IN_CALL, Reason.CALL_UNKNOWN

_COLUMNS = tuple((role, state) for role in Role for state in State)
# Why it is refused, None where it is allowed.
_ROWS: Mapping[Verb, tuple[Reason | None, ...]] = {
    #              owner            member             stranger
    #              idle     in call  idle     in call  idle       in call
    Verb.SEE:     (None,    None,    None,    None,    _STRANGER, _STRANGER),
    Verb.DELETE:  (None,    _RUNS,   _RIGHTS, _RIGHTS, _STRANGER, _STRANGER),
    Verb.ADD:     (None,    None,    _RIGHTS, _RIGHTS, _STRANGER, _STRANGER),
    Verb.REMOVE:  (None,    None,    _RIGHTS, _RIGHTS, _STRANGER, _STRANGER),
    Verb.LEAVE:   (_RIGHTS, _RIGHTS, None,    None,    _STRANGER, _STRANGER),
    Verb.CALL:    (None,    _RUNS,   None,    _RUNS,   _STRANGER, _STRANGER),
    Verb.INVITE:  (_NONE,   None,    _NONE,   None,    _STRANGER, _STRANGER),
    Verb.JOIN:    (_NONE,   None,    _NONE,   None,    _STRANGER, _STRANGER),
}  # fmt: skip

TABLE: Mapping[tuple[Role, Verb, State], Reason | None] = {
    (role, verb, state): reason
    for verb, row in _ROWS.items()
    for (role, state), reason in zip(_COLUMNS, row, strict=True)
}
"""Every cell: None for allowed, else why not."""


def check(role: Role, verb: Verb, group_id: str, user_id: str, call_id: str) -> None:
    """Holds a command against the table; `call_id` is the running call, empty for none. Refused:
    GROUP_RIGHTS, NOT_A_GROUP_MEMBER, GROUP_IN_CALL, CALL_UNKNOWN.
    """
    reason = TABLE[role, verb, State.IN_CALL if call_id else State.IDLE]
    if reason is None:
        return
    metadata = {"group_id": group_id}
    match reason:
        case Reason.NOT_A_GROUP_MEMBER:
            message = f"{user_id} is not a member of group {group_id}"
            metadata["user_id"] = user_id
        case Reason.GROUP_IN_CALL:
            message = f"a call of group {group_id} runs"
            metadata["call_id"] = call_id
        case Reason.CALL_UNKNOWN:
            message = f"no call of group {group_id} runs"
        case _:
            message = f"as its {role.value} you may not {verb.value} group {group_id}"
            metadata |= {"role": role.value, "verb": verb.name.lower()}
    raise Refused(reason, message, metadata)
