"""The table of phases, and what holds for every step."""

from __future__ import annotations

import dataclasses

import pytest
from mediaagentd.call import machine
from mediaagentd.call import types as t
from mediaagentd.call.machine import SUCCESSORS

from tests.unit.call.stage import Stage, call, joined, member


def test_the_table_names_every_phase() -> None:
    assert set(SUCCESSORS) == set(t.Phase)
    assert all(after in t.Phase for successors in SUCCESSORS.values() for after in successors)


def test_every_phase_can_end_and_none_comes_after() -> None:
    for phase, successors in SUCCESSORS.items():
        assert (t.Phase.ENDED in successors) == (phase is not t.Phase.ENDED)


def test_values_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Stage().state.muted = True  # type: ignore[misc]


def test_nothing_waits_when_nothing_happens() -> None:
    assert machine.deadline(t.State()) is None
    assert machine.deadline(Stage().connect().open_camera().state) is None


def test_nothing_is_sent_before_the_answer() -> None:
    assert machine.sending(Stage().state) == (False, False)
    assert machine.sending(Stage().dial().open_camera().state) == (False, False)
    assert machine.sending(Stage().connect().open_camera().state) == (True, True)


def test_a_call_knows_its_people_and_its_time() -> None:
    ann = Stage().dial()
    assert ann.state.call is not None
    assert ann.state.call.participant("bob") is None
    assert ann.state.call.duration == 0.0
    assert call(joined("ann"), member("bob", t.MemberState.LEFT)).member("zoe") is None


def test_the_mute_is_kept_from_call_to_call() -> None:
    ann = Stage()
    assert ann.tell(t.SetMicMute(1, True)) == (t.Done(1),)
    ann.connect()
    assert machine.sending(ann.state) == (False, False)
    ann.tell(t.Hangup(5))
    assert ann.state.muted
