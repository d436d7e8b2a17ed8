"""What a change of the machine's addresses means for a connection."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from mediaagentd.media.addresses import change
from mediaagentd.media.continuity_types import NetworkChanged

NONE: frozenset[str] = frozenset()
HOME, AWAY, SIX = "192.0.2.1", "198.51.100.1", "2001:db8::1"
LOOPBACK = frozenset({"127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Peer:
    """Implements `Reached`."""

    addresses: frozenset[str] = frozenset({HOME})
    local_address: str | None = None
    is_relayed: bool = False


UP = Peer(local_address=HOME)
RELAYED = Peer(local_address=HOME, is_relayed=True)


def at(*addresses: str) -> frozenset[str]:
    return LOOPBACK | set(addresses)


def test_a_person_knows_best() -> None:
    assert change(None, NONE, UP, Peer()) == NetworkChanged(told=True)


def test_what_stays_as_it_is_changes_nothing() -> None:
    for current, building in ((UP, None), (None, Peer()), (UP, Peer()), (None, None), (RELAYED, None)):
        assert change(at(HOME), NONE, current, building) == NetworkChanged()


def test_one_that_is_up_breaks_with_its_address() -> None:
    both = Peer(frozenset({HOME, AWAY}), local_address=HOME)
    assert change(at(AWAY), NONE, both, None) == NetworkChanged(broken=True)
    assert change(at(HOME), NONE, both, None) == NetworkChanged(), "it does not go over the other one"
    assert change(at(HOME, AWAY), frozenset({AWAY}), RELAYED, None) == NetworkChanged(better=True, lacks=True)


@pytest.mark.parametrize("current", [None, UP])
def test_one_that_is_being_made_needs_all_its_addresses(current: Peer | None) -> None:
    """Nobody knows yet which of them it will go over."""
    building = Peer(frozenset({HOME, SIX}))
    found = change(at(HOME, AWAY), frozenset({AWAY}), current, building)
    assert found == NetworkChanged(unfit=True, lacks=True)
    assert change(at(HOME, SIX, AWAY), frozenset({AWAY}), current, building) == NetworkChanged(lacks=True)
    assert change(at(HOME, SIX), frozenset({SIX}), current, building) == NetworkChanged(), "it knows it"


@pytest.mark.parametrize("known", [{"127.0.0.1"}, {"169.254.7.7"}])
def test_one_that_was_begun_without_a_network_is_no_good_when_there_is_one(known: set[str]) -> None:
    building = Peer(frozenset(known))
    assert change(at(HOME, *known), frozenset({HOME}), None, building) == NetworkChanged(
        unfit=True, lacks=True
    )
    assert change(at(*known), NONE, None, building) == NetworkChanged()


def test_one_whose_addresses_are_not_gathered_yet_will_know_the_new_one() -> None:
    meant = change(at(HOME), frozenset({HOME}), None, Peer(NONE))
    assert not meant.unfit
    assert not meant.lacks


@pytest.mark.parametrize("near", ["127.0.0.2", "::1", "169.254.1.1", "fe80::1"])
def test_what_leads_no_further_than_the_link_helps_nobody(near: str) -> None:
    """Each container that starts has an interface with such an address."""
    assert change(at(HOME, near), frozenset({near}), None, Peer()) == NetworkChanged()
