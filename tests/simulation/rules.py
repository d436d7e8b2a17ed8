"""What a simulated world is made of, so that a planted bug is one other part, and what may go wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from mediaagentd.call import events, machine
from mediaagentd.call.types import Change, Input, State
from mediaagentd.hub.core import Core
from mediaagentd.hub.types import Policy

LEASE = 20.0
"""Seconds that the simulated hub keeps a session without hearing of it,"""

CALL_LEASE = 26.0
"""and in an answered call."""


class Broken(AssertionError):
    """An invariant does not hold."""


@dataclass(frozen=True)
class Town:
    """Who lives there: users with a device each, the first `spare` of them with a second one, and whether
    all of them are a group, `g`, of the first one's. `members` may be in one call;
    in a `strict` one the limits on invitations are met soon.
    """

    users: int = 2
    spare: int = 0
    policy: Policy = Policy.SINGLE
    group: bool = False
    members: int = 3
    strict: bool = False


@dataclass(frozen=True)
class Rules:
    """The code under test; and where a bug of it shows: the town (None for any), and faults that it needs."""

    step: Callable[[State, float, Input], Change] = machine.step
    deadline: Callable[[State], float | None] = machine.deadline
    derive: Callable[[State, State], tuple[events.Event, ...]] = events.derive
    core: type[Core] = Core
    town: Town | None = None
    faults: Mapping[str, float] = field(default_factory=dict)


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
    clock_step: float = 0.0  # the hub's clock is set by a day while it is down
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
    "clock_step": 1.0,
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


_TOWNS: tuple[tuple[float, Callable[[Random], Town]], ...] = (
    (0.64, lambda random: Town(random.choice((2, 2, 3)))),
    (0.06, lambda random: Town(random.choice((2, 3)), strict=True)),
    (0.15, lambda random: Town(random.choice((2, 3)), random.choice((1, 2)), Policy.MULTI)),
    (0.13, lambda random: Town(random.choice((3, 4)), group=True)),
    (0.02, lambda random: Town(6, 2, Policy.MULTI, True, 5)),
)
"""How often which town is played. The last one has eight agents, and costs as much as a dozen others."""


def some_town(random: Random) -> Town:
    """A town, most often a small one."""
    (make,) = random.choices([make for _, make in _TOWNS], [weight for weight, _ in _TOWNS])
    return make(random)
