"""What a simulated world is made of, so that a planted bug is one other part, and what may go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from mediaagentd.call import events, machine
from mediaagentd.call.types import Change, Input, State
from mediaagentd.hub.core import Core

LEASE = 20.0
"""Seconds that the simulated hub keeps a session without hearing of it."""


class Broken(AssertionError):
    """An invariant does not hold."""


@dataclass(frozen=True)
class Rules:
    """The code under test."""

    step: Callable[[State, float, Input], Change] = machine.step
    deadline: Callable[[State], float | None] = machine.deadline
    derive: Callable[[State, State], tuple[events.Event, ...]] = events.derive
    core: type[Core] = Core


@dataclass(frozen=True)
class Faults:
    """Probabilities per occasion. Delays are in seconds, uniform from 0 to `delay`."""

    delay: float = 0.05
    lost_request: float = 0.0
    lost_reply: float = 0.0
    swallowed: float = 0.0
    doubled: float = 0.0
    stream_break: float = 0.0
    crash: float = 0.0
    torn: float = 0.0  # the hub dies between its store and its pushes
    device_lost: float = 0.0
    reboot: float = 0.0
    second_login: float = 0.0
    peer_never: float = 0.0
    peer_drops: float = 0.0
    peer_late: float = 0.0  # a report of a connection that is closed meanwhile
    camera_fails: float = 0.0
    microphone_fails: float = 0.0
    misuse: float = 0.0


CALM = Faults()

_RANGES = {
    "lost_request": 0.15,
    "lost_reply": 0.2,
    "swallowed": 0.1,
    "doubled": 0.3,
    "stream_break": 0.15,
    "crash": 0.08,
    "torn": 0.02,
    "device_lost": 0.05,
    "reboot": 0.04,
    "second_login": 0.05,
    "peer_never": 0.3,
    "peer_drops": 0.4,
    "peer_late": 0.6,
    "camera_fails": 0.4,
    "misuse": 0.25,
    "microphone_fails": 0.4,
}


def some_faults(random: Random) -> Faults:
    """Each kind is absent from most worlds, so that each also meets an otherwise quiet one."""
    chosen = {name: high for name, high in _RANGES.items() if random.random() < 0.25}
    return Faults(delay=random.choice((0.01, 0.05, 0.4, 1.5)), **chosen)
