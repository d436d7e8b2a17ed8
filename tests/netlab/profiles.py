"""What a link does to its packets, and the named profiles. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Impairment:
    """One host's access link, the same in both directions. Seconds, fractions, bits a second.

    `delay` one way, varying slowly by +- `jitter`, in order. `loss` is independent from packet to packet;
    with `burst` > 1 it comes in runs of that mean length. `reorder` packets are held back by `REORDER_DELAY`.
    `rate` 0 is unlimited; otherwise packets wait up to `queue` seconds and then are lost.
    """

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    burst: float = 1.0
    duplicate: float = 0.0
    reorder: float = 0.0
    rate: int = 0
    queue: float = 0.3

    @property
    def relayed_loss(self) -> float:
        """The loss that the relay makes: runs, and all of it. Independent loss is nftables'."""
        return self.loss if self.burst > 1 or self.loss >= 1 else 0.0

    @property
    def filtered_loss(self) -> float:
        """The loss that nftables makes."""
        return self.loss - self.relayed_loss


REORDER_DELAY = 0.030
"""Seconds that a packet which is overtaken is held back."""


def round_trip(seconds: float, loss: float = 0.0) -> Impairment:
    """A path with that round trip and that loss each way."""
    return Impairment(delay=seconds / 2, loss=loss)


CLEAN = Impairment()

LOST = Impairment(loss=1.0)

MODERATE = Impairment(delay=0.050, jitter=0.0125, loss=0.05)
"""Round trip 100 +- 25 ms, 5 % lost each way."""

INTERNATIONAL = Impairment(
    delay=0.125, jitter=0.050, loss=0.10, burst=3.0, duplicate=0.02, reorder=0.05, rate=300_000
)
"""Round trip 250 +- 100 ms, 10 % lost in runs of 3, 2 % doubled, 5 % overtaken, 300 kbit/s each way."""


@dataclass(frozen=True, slots=True)
class Phase:
    """So many seconds of that."""

    seconds: float
    impairment: Impairment


SPIKY = (
    Phase(10.0, Impairment(delay=0.020)),
    Phase(10.0, Impairment(delay=0.020, loss=0.30)),
    Phase(10.0, Impairment(delay=0.020)),
)
"""10 s good, 10 s with 30 % lost each way, 10 s good; for `Lab.play`."""
