"""The largest messages that a hub's configuration allows: an agent takes in 4 MiB, gRPC's own limit."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest
from annotated_types import Le
from mediaagentd.config import HubConfig
from mediaagentd.hub import group_wire, wire
from mediaagentd.hub.devices import Devices
from mediaagentd.hub.effects import GroupShown
from mediaagentd.hub.missed import MissedCalls
from mediaagentd.hub.outbox import Outbox
from mediaagentd.hub.settings import IceServer
from mediaagentd.hub.shell import Opened
from mediaagentd.hub.types import (
    Call,
    CallType,
    EndReason,
    Group,
    GroupMember,
    Invitation,
    Member,
    MemberState,
    Missed,
    Session,
)
from mediaagentd.hub.values import Limits

TAKEN = 4 * 1024 * 1024
"""Bytes."""

NOW = 1.8e9 + 0.123456789
DATA = b"x" * 2048
GROUP = "g" * 48
SERVER = IceServer((f"turns:{ip_address('2001:db8::')}:65535?transport=tcp",) * 8, "u" * 64, "c" * 64)


def most(key: str) -> int:
    """What the configuration allows."""
    return next(rule.le for rule in HubConfig.model_fields[key].metadata if isinstance(rule, Le))  # type: ignore[return-value] # of integers


def user(number: int) -> str:
    return f"{number:032}"


def missed(number: int) -> Missed:
    times: Any = {"created": NOW, "ended": NOW}
    return Missed(
        user(0), f"{number:032}", "c" * 32, user(1), CallType.VIDEO, True, GROUP, **times,
        reason=EndReason.NO_RESPONSE, user_data=DATA,
    )  # fmt: skip


def call(members: int) -> Call:
    """Of a whole group, everybody invited one by one, and gone again."""
    invitation = Invitation("i" * 32, user(1), NOW, NOW + 86399.123456789)
    everybody = tuple(
        Member(user(n), MemberState.LEFT, "", "d" * 64, 100_000, True, True, invitation, EndReason.LOGGED_OUT)
        for n in range(members)
    )
    return Call(
        "c" * 32, "i" * 32, 2**31 - 1, CallType.VIDEO, everybody, True, NOW, NOW + 86400, "r", GROUP, 2**31,
        user_data=DATA,
    )  # fmt: skip


def test_a_welcome_can_be_taken_in() -> None:
    reader = Outbox(Session("token", "ann", "kitchen", 0.0), 0, restored=False).open(0)
    kept = MissedCalls(most("missed"), Devices(1))
    for number in range(most("missed")):
        kept.restore(missed(number))
    largest = call(most("group_members"))
    over_and_live = (largest, replace(largest, call_id="d" * 32))
    opened = Opened("ann", over_and_live, kept.of(user(0), "kitchen"), reader)
    assert TAKEN // 2 < wire.welcome([SERVER], opened, NOW).ByteSize() < TAKEN


def test_a_group_can_be_taken_in() -> None:
    members = tuple(GroupMember(user(number), NOW) for number in range(most("group_members")))
    group = Group(GROUP, "\N{GRINNING FACE}" * 100, members, NOW, "r", 2**31)
    assert group_wire.group(GroupShown(group, "c" * 32)).ByteSize() < TAKEN


@pytest.mark.parametrize("key", ["missed", "group_members"])
def test_what_a_hub_is_made_with_is_within_the_limits(key: str) -> None:
    assert getattr(Limits(), key) <= most(key)
