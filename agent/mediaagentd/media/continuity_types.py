"""The alphabet of `continuity`: state, inputs, effects. Frozen and pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Phase(enum.Enum):
    """Where the connection stands."""

    CONNECTING = "not up yet"
    UP = "media flows, or would"
    LOST = "nothing is heard; it is being regained"
    OVER = "given up, or ended by the far end"


@dataclass(frozen=True, slots=True)
class Building:
    """The generation that is being made, since when and until when; `answered`: both descriptions are
    known.
    """

    generation: int
    since: float
    until: float
    answered: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """`since`: the beginning of this phase. `current` carries the media, `newest` is the highest
    generation known (-1: none). `heard` is the last sign of life of the current one. `trouble`: it must be
    made anew; `begun`: when that was last begun; `awaited`: what was begun then has not come up. `suspect`:
    when the network changed; `again`: when it is begun anew because the network changed.
    """

    offers: bool
    budget: float
    since: float
    phase: Phase = Phase.CONNECTING
    current: int | None = None
    newest: int = -1
    building: Building | None = None
    heard: float = 0.0
    probed: float = 0.0
    begun: float = 0.0
    awaited: bool = True
    trouble: bool = True
    suspect: float | None = None
    again: float | None = None


# --- inputs


@dataclass(frozen=True, slots=True)
class Connected:
    """That generation is up."""

    generation: int


@dataclass(frozen=True, slots=True)
class Closed:
    """That generation has failed or was closed. `final`: on purpose, by the far end, or by its fault."""

    generation: int
    reason: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Offered:
    """The far end offers that generation."""

    generation: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The far end's answer to that generation was taken."""

    generation: int


@dataclass(frozen=True, slots=True)
class Asked:
    """The far end asks us to offer that generation or a later one."""

    generation: int


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """`told`: a person says so. `broken`: the current connection's address has gone; `better`: there may be a
    better way than the current one now. `unfit`: the generation that is being made has lost an address, or
    never had one; `lacks`: the machine has got an address that it does not know.
    """

    told: bool = False
    broken: bool = False
    better: bool = False
    unfit: bool = False
    lacks: bool = False


@dataclass(frozen=True, slots=True)
class SignallingBack:
    """What was sent before may have been lost; it can be sent again."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; `heard` is the current generation's last sign of life."""

    heard: float


Input = Connected | Closed | Offered | Answered | Asked | NetworkChanged | SignallingBack | Tick

# --- effects


@dataclass(frozen=True, slots=True)
class Make:
    """Make that generation and offer it."""

    generation: int


@dataclass(frozen=True, slots=True)
class Take:
    """Make that generation from the offer that has come."""

    generation: int


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the far end for an offer."""

    generation: int


@dataclass(frozen=True, slots=True)
class Adopt:
    """Media goes over that generation from now on; `instead` may linger, None when there is none."""

    generation: int
    instead: int | None


@dataclass(frozen=True, slots=True)
class Drop:
    """Close that generation."""

    generation: int


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask the far end for a sign of life over the current generation."""


@dataclass(frozen=True, slots=True)
class Up:
    """Tell that it is up (again)."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Tell that it is lost for now."""


@dataclass(frozen=True, slots=True)
class Over:
    """Tell that it is lost for good."""

    reason: str


Effect = Make | Take | Ask | Adopt | Drop | Probe | Up | Lost | Over
Change = tuple[State, tuple[Effect, ...]]
