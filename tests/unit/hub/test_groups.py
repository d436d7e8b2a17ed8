"""Groups: made, grown, left, deleted, listed, and kept over a crash."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.types import (
    AddGroupMembers,
    CreateGroup,
    DeleteGroup,
    GetGroup,
    Group,
    GroupShown,
    GroupsShown,
    Hangup,
    Input,
    JoinCall,
    ListGroups,
    RemoveGroupMembers,
)

from tests.unit.hub.town import LIMITS, Hub


def members(group: Group) -> list[str]:
    return [member.user_id for member in group.members]


def create(who: str = "ann", group_id: str = "g", *others: str, request: str = "") -> CreateGroup:
    return CreateGroup(f"{who}/d1", group_id, "The flat", others, request or f"make {group_id}")


def test_made_with_its_owner_first() -> None:
    hub = Hub("ann", "bob", "cat")
    shown = hub.ask(create("ann", "g", "bob", "ann"))
    assert shown == GroupShown(hub.groups["g"], "")
    group = hub.groups["g"]
    assert (group.owner, group.name, group.created, group.revision) == ("ann", "The flat", 100.0, 1)
    assert members(group) == ["ann", "bob"], "the owner is not in it twice"


def test_without_a_name_it_is_called_by_its_id() -> None:
    hub = Hub("ann")
    hub.ask(replace(create(), name=""))
    assert hub.groups["g"].name == "g"


def test_grows_and_shrinks_with_rising_revisions() -> None:
    hub = Hub("ann", "bob", "cat", "dan")
    hub.group("ann", "bob")
    hub.now = 150.0
    hub.ask(AddGroupMembers("ann/d1", "g", ("cat", "bob", "dan")))
    assert members(hub.groups["g"]) == ["ann", "bob", "cat", "dan"]
    assert [m.joined for m in hub.groups["g"].members] == [100.0, 100.0, 150.0, 150.0]
    hub.ask(RemoveGroupMembers("ann/d1", "g", ("bob", "zoe")))
    hub.ask(RemoveGroupMembers("dan/d1", "g", ("dan",)))
    assert members(hub.groups["g"]) == ["ann", "cat"]
    assert hub.groups["g"].revision == 4


def test_what_changes_nothing_makes_no_revision() -> None:
    hub = Hub("ann", "bob", "cat")
    hub.group("ann", "bob")
    group = hub.groups["g"]
    for command in (AddGroupMembers("ann/d1", "g", ("bob",)), RemoveGroupMembers("ann/d1", "g", ("cat",))):
        shown = hub.ask(command)
        assert isinstance(shown, GroupShown)
        assert shown.group is group


def test_a_repeated_creation_is_the_same_group() -> None:
    hub = Hub("ann", "bob")
    first = hub.ask(create("ann", "g", "bob", request="r"))
    again = hub.ask(create("ann", "another", request="r"))
    assert again == first
    hub.ask(DeleteGroup("ann/d1", "g"))
    hub.ask(create("ann", "another", request="r"))
    assert list(hub.groups) == ["another"], "a request outlives no group"
    hub.ask(create("ann", "x", request=""))
    hub.ask(replace(create("ann", "y"), request_id=""))
    assert list(hub.groups) == ["another", "x", "y"]


def test_deleted_is_gone_for_everyone() -> None:
    hub = Hub("ann", "bob")
    hub.group("ann", "bob")
    assert hub.ask(DeleteGroup("ann/d1", "g")) is None
    assert hub.groups == {}
    assert hub.ask(ListGroups("bob/d1", 10)) == GroupsShown((), "")
    with pytest.raises(Refused) as refused:
        hub.ask(GetGroup("ann/d1", "g"))
    assert refused.value.reason is Reason.GROUP_UNKNOWN
    hub.group("bob", "ann")
    assert hub.groups["g"].owner == "bob"


def test_one_who_left_or_was_removed_does_not_list_it() -> None:
    hub = Hub("ann", "bob", "cat")
    hub.group("ann", "bob", "cat")
    hub.group("ann", "bob", group_id="h")
    hub.ask(RemoveGroupMembers("bob/d1", "g", ("bob",)))
    hub.ask(RemoveGroupMembers("ann/d1", "g", ("cat",)))
    assert listed(hub, "bob") == ["h"]
    assert listed(hub, "cat") == []
    assert listed(hub, "ann") == ["g", "h"]


def listed(hub: Hub, who: str, size: int = 10, after: str = "") -> list[str]:
    shown = hub.ask(ListGroups(f"{who}/d1", size, after))
    assert isinstance(shown, GroupsShown)
    return [row.group.group_id for row in shown.groups]


def test_listed_page_by_page() -> None:
    hub = Hub("ann", "bob", limits=replace(LIMITS, groups=10))
    for name in "dbaec":
        hub.group("ann", "bob", group_id=name)
    pages = []
    after = ""
    while True:
        shown = hub.ask(ListGroups("bob/d1", 2, after))
        assert isinstance(shown, GroupsShown)
        pages.append([row.group.group_id for row in shown.groups])
        after = shown.next
        if not after:
            break
    assert pages == [["a", "b"], ["c", "d"], ["e"]]


def test_the_running_call_is_shown() -> None:
    hub = Hub("ann", "bob")
    hub.group("ann", "bob")
    call = hub.invite("ann", group_id="g")
    for command in (GetGroup("bob/d1", "g"), AddGroupMembers("ann/d1", "g", ("bob",))):
        shown = hub.ask(command)
        assert isinstance(shown, GroupShown)
        assert shown.call_id == call.call_id
    page = hub.ask(ListGroups("bob/d1", 5))
    assert isinstance(page, GroupsShown)
    assert page.groups[0].call_id == call.call_id
    hub.do(Hangup("ann/d1", call.call_id))
    assert hub.ask(GetGroup("bob/d1", "g")) == GroupShown(hub.groups["g"], "")


def test_a_removed_member_stays_in_the_running_call() -> None:
    hub = Hub("ann", "bob", "cat")
    hub.group("ann", "bob", "cat")
    hub.invite("ann", "bob", group_id="g")
    hub.do(JoinCall("bob/d1", group_id="g"))
    hub.ask(RemoveGroupMembers("ann/d1", "g", ("bob",)))
    call = hub.do(Hangup("bob/d1", "c1"))
    assert call is not None
    with pytest.raises(Refused) as refused:
        hub.do(JoinCall("bob/d1", call_id="c1"))
    assert refused.value.reason is Reason.CALL_UNKNOWN, "it ended with bob"


def test_groups_survive_a_crash() -> None:
    hub = Hub("ann", "bob", "cat", limits=replace(LIMITS, groups=2))
    hub.group("ann", "bob", "cat")
    hub.group("ann", group_id="h")
    hub.ask(RemoveGroupMembers("cat/d1", "g", ("cat",)))
    call = hub.invite("ann", group_id="g")
    before = dict(hub.groups)
    hub.restart()
    assert hub.groups == before
    assert listed(hub, "bob") == ["g"]
    assert listed(hub, "cat") == []
    shown = hub.ask(GetGroup("bob/d1", "g"))
    assert shown == GroupShown(before["g"], call.call_id)
    with pytest.raises(Refused) as refused:
        hub.ask(create("ann", "i"))
    assert refused.value.reason is Reason.LIMIT_EXCEEDED, "how many one owns is known too"
    assert hub.ask(create("ann", "j", request="make g")) == shown, "and what made them"


REFUSALS: dict[str, tuple[Input, Reason]] = {
    "an unknown session": (GetGroup("nobody", "g"), Reason.SESSION_UNKNOWN),
    "an unknown group": (GetGroup("ann/d1", "none"), Reason.GROUP_UNKNOWN),
    "an id that is taken": (create("bob", "g"), Reason.GROUP_EXISTS),
    "a member that never was here": (create("ann", "h", "zoe"), Reason.USER_UNKNOWN),
    "too many members": (create("ann", "h", "bob", "cat", "dan", "eve"), Reason.LIMIT_EXCEEDED),
    "too many groups": (create("cat", "h"), Reason.LIMIT_EXCEEDED),
    "adding who never was here": (AddGroupMembers("ann/d1", "g", ("zoe",)), Reason.USER_UNKNOWN),
    "adding too many": (AddGroupMembers("ann/d1", "g", ("dan", "eve")), Reason.LIMIT_EXCEEDED),
    "leaving with somebody else": (
        RemoveGroupMembers("bob/d1", "g", ("bob", "cat")),
        Reason.GROUP_RIGHTS,
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_change_nothing(case: str) -> None:
    command, reason = REFUSALS[case]
    hub = Hub("ann", "bob", "cat", "dan", "eve", limits=replace(LIMITS, groups=1, group_members=4))
    hub.group("ann", "bob", "cat")
    hub.group("cat", group_id="of-cat")
    if case in ("a member that never was here", "too many members"):
        hub.ask(DeleteGroup("ann/d1", "g"))
    before = dict(hub.groups)
    with pytest.raises(Refused) as refused:
        hub.ask(command)
    assert refused.value.reason is reason
    assert hub.groups == before
    for who in ("ann", "bob", "cat", "dan", "eve"):
        assert set(listed(hub, who)) == {g for g, group in before.items() if who in members(group)}
