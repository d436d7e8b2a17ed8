"""Every cell of the table of rights, as it is written and as the core keeps it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.rights import TABLE, Role, State, Verb, check
from mediaagentd.hub.types import (
    Accept,
    AddGroupMembers,
    DeleteGroup,
    GetGroup,
    Input,
    InviteMore,
    JoinCall,
    RemoveGroupMembers,
)

from tests.unit.hub.town import Hub

OWN, MEM, STR = Role
OK, RIGHTS, STRANGER = None, Reason.GROUP_RIGHTS, Reason.NOT_A_GROUP_MEMBER
RUNS, NONE = Reason.GROUP_IN_CALL, Reason.CALL_UNKNOWN

# (role, verb): idle, in call
CELLS: dict[tuple[Role, Verb], tuple[Reason | None, Reason | None]] = {
    (OWN, Verb.SEE): (OK, OK),
    (OWN, Verb.DELETE): (OK, RUNS),
    (OWN, Verb.ADD): (OK, OK),
    (OWN, Verb.REMOVE): (OK, OK),
    (OWN, Verb.LEAVE): (RIGHTS, RIGHTS),
    (OWN, Verb.CALL): (OK, RUNS),
    (OWN, Verb.INVITE): (NONE, OK),
    (OWN, Verb.JOIN): (NONE, OK),
    (MEM, Verb.SEE): (OK, OK),
    (MEM, Verb.DELETE): (RIGHTS, RIGHTS),
    (MEM, Verb.ADD): (RIGHTS, RIGHTS),
    (MEM, Verb.REMOVE): (RIGHTS, RIGHTS),
    (MEM, Verb.LEAVE): (OK, OK),
    (MEM, Verb.CALL): (OK, RUNS),
    (MEM, Verb.INVITE): (NONE, OK),
    (MEM, Verb.JOIN): (NONE, OK),
    (STR, Verb.SEE): (STRANGER, STRANGER),
    (STR, Verb.DELETE): (STRANGER, STRANGER),
    (STR, Verb.ADD): (STRANGER, STRANGER),
    (STR, Verb.REMOVE): (STRANGER, STRANGER),
    (STR, Verb.LEAVE): (STRANGER, STRANGER),
    (STR, Verb.CALL): (STRANGER, STRANGER),
    (STR, Verb.INVITE): (STRANGER, STRANGER),
    (STR, Verb.JOIN): (STRANGER, STRANGER),
}

EACH = [
    pytest.param(role, verb, state, cells[state is State.IN_CALL], id=f"{role.name}-{verb.name}-{state.name}")
    for (role, verb), cells in CELLS.items()
    for state in State
]


def test_no_cell_is_left_out() -> None:
    assert set(TABLE) == {(role, verb, state) for role, verb in CELLS for state in State}
    assert len(TABLE) == len(Role) * len(Verb) * len(State)


@pytest.mark.parametrize(("role", "verb", "state", "expected"), EACH)
def test_the_table(role: Role, verb: Verb, state: State, expected: Reason | None) -> None:
    call_id = "c1" if state is State.IN_CALL else ""
    if expected is None:
        check(role, verb, "g", "ann", call_id)
        return
    with pytest.raises(Refused) as refused:
        check(role, verb, "g", "ann", call_id)
    assert refused.value.reason is expected
    assert refused.value.metadata["group_id"] == "g"


def test_a_refusal_says_what_to_do_about_it() -> None:
    for role, verb, call_id, metadata in (
        (OWN, Verb.CALL, "c1", {"call_id": "c1"}),
        (STR, Verb.SEE, "", {"user_id": "eve"}),
        (MEM, Verb.DELETE, "", {"role": "member", "verb": "delete"}),
    ):
        with pytest.raises(Refused) as refused:
            check(role, verb, "g", "eve", call_id)
        assert refused.value.metadata == {"group_id": "g", **metadata}


# ------------------------------------------------------------------------------ the same through the core

WHO = {OWN: "ann", MEM: "bob", STR: "eve"}

COMMANDS: dict[Verb, Callable[[str, str], Input]] = {
    Verb.SEE: lambda token, me: GetGroup(token, "g"),
    Verb.DELETE: lambda token, me: DeleteGroup(token, "g"),
    Verb.ADD: lambda token, me: AddGroupMembers(token, "g", ("fay",)),
    Verb.REMOVE: lambda token, me: RemoveGroupMembers(token, "g", ("dan",)),
    Verb.LEAVE: lambda token, me: RemoveGroupMembers(token, "g", (me,)),
    Verb.INVITE: lambda token, me: InviteMore(token, "c1", "more", ("fay",), None, "r"),
    Verb.JOIN: lambda token, me: JoinCall(token, group_id="g"),
}


def act(hub: Hub, verb: Verb, who: str) -> None:
    if verb is Verb.CALL:
        hub.invite(who, "dan", group_id="g")
    else:
        hub.ask(COMMANDS[verb](f"{who}/d1", who))


@pytest.mark.parametrize(("role", "verb", "state", "expected"), EACH)
def test_the_core_keeps_it(role: Role, verb: Verb, state: State, expected: Reason | None) -> None:
    """ann owns g; bob, cat, dan and fay are in it; in state IN_CALL cat has called it and dan is in."""
    hub = Hub("ann", "bob", "cat", "dan", "eve", "fay")
    who = WHO[role]
    inviting = verb is Verb.INVITE
    # Who invites more is in the call; a stranger who is was a member when it entered.
    hub.group("ann", "bob", "cat", "dan", "fay", *(("eve",) if inviting else ()))
    if state is State.IN_CALL:
        call = hub.invite("cat", who if inviting else "dan", group_id="g")
        hub.do(Accept(f"{who if inviting else 'dan'}/d1", call.invite_id))
    if inviting and role is STR:
        hub.ask(RemoveGroupMembers("ann/d1", "g", ("eve",)))
    if expected is None:
        act(hub, verb, who)
        return
    before = (hub.core.calls(), dict(hub.groups))
    with pytest.raises(Refused) as refused:
        act(hub, verb, who)
    # Nobody can ask more people into a call that does not run: there the call is missing first.
    missing = verb is Verb.INVITE and state is State.IDLE
    assert refused.value.reason is (Reason.CALL_UNKNOWN if missing else expected)
    assert (hub.core.calls(), hub.groups) == before
