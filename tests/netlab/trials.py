"""Calls over the named profiles, with sound and pictures both ways: what both ends heard and saw.

    python -m tests.netlab.trials                 # all; `python -m tests.netlab.trials international fall`

Two media engines with a process each. The probe has checked every impairment before the call begins; a
figure is of both directions, the worse one decides.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from mediaagentd.media.settings import MediaSettings
from mediaagentd.media.types import VideoProfile

from tests.netlab.course import Course, Record, recording
from tests.netlab.ends import NetPair
from tests.netlab.lab import Lab
from tests.netlab.probe import probe
from tests.netlab.profiles import INTERNATIONAL, MODERATE, SPIKY, Impairment, Phase, round_trip

LEARNING = 4.0
"""Seconds of the first phase until both ends know what network they have: not measured, except of `fall`."""

WIDE = Impairment(delay=0.025, rate=2_000_000)
NARROW = Impairment(delay=0.025, rate=300_000)


RISEN = 800_000
"""Bits a second of pictures that show that a narrow link is wide again."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What must hold at both ends over the whole trial: shares of slots, pictures a second, seconds."""

    sound: float = 0.0
    filled: float = 0.98
    fps: float = 0.0
    gap: float = 30.0
    lip_sync: float = 30.0


@dataclass(frozen=True, slots=True)
class Trial:
    """Phases in their order, of which those named in `measured` count."""

    name: str
    phases: Sequence[Phase]
    bounds: Bounds = field(default_factory=Bounds)
    profile: VideoProfile = VideoProfile.P720


TRIALS = (
    Trial("clean", (Phase(16.0, Impairment(delay=0.010)),), Bounds(0.99, fps=27, gap=0.3, lip_sync=0.08)),
    Trial("moderate", (Phase(24.0, MODERATE),), Bounds(0.99, fps=25, gap=0.5, lip_sync=0.08)),
    Trial("international", (Phase(34.0, INTERNATIONAL),), Bounds(0.97)),
    Trial("spiky", (Phase(LEARNING, SPIKY[0].impairment), *SPIKY), Bounds(0.95)),
    *(
        Trial(f"loss {loss}", (Phase(20.0, round_trip(0.1, loss / 100)),), Bounds(sound))
        for loss, sound in ((5, 0.99), (10, 0.985), (20, 0.96), (30, 0.89))
    ),
    Trial("fall and rise", (Phase(8.0, WIDE), Phase(15.0, NARROW), Phase(25.0, WIDE))),
)


@dataclass(slots=True)
class Outcome:
    """`starts`: when the phases began, and when the last one ended."""

    trial: Trial
    starts: list[float]
    records: list[Record]

    @property
    def began(self) -> float:
        """What is before it is learning."""
        return self.starts[0] + LEARNING

    def whole(self) -> list[Course]:
        """Of both ends, from the end of the learning."""
        return [record.course(self.began, self.starts[-1]) for record in self.records]

    def phase(self, number: int, *, since: float = 0.0, until: float | None = None) -> list[Course]:
        """Of both ends, from `since` to `until` seconds of that phase."""
        start, end = self.starts[number], self.starts[number + 1]
        return [r.course(start + since, end if until is None else start + until) for r in self.records]

    def lines(self) -> Iterable[str]:
        """For people."""
        for course in self.whole():
            yield f"{self.trial.name}: {course}"
        if len(self.trial.phases) > 1:
            for number, phase in enumerate(self.trial.phases):
                for course in self.phase(number):
                    yield f"  {number} {phase.impairment.rate or ''} {phase.impairment.loss or ''}: {course}"
            for record in self.records:
                yield f"  {RISEN / 1e6:.1f} Mbit/s again after {record.reached(RISEN, self.starts[-2])} s"


async def verify(lab: Lab, phases: Sequence[Phase]) -> None:
    """The lab does what each phase says; leaves the first one on."""
    for impairment in {phase.impairment: None for phase in (*phases[1:], phases[0])}:
        await lab.impair(lab["bob"], impairment)
        (await probe(lab["ann"], lab["bob"], 300)).check(impairment)
    await lab.impair(lab["bob"], phases[0].impairment)


async def run(trial: Trial, seed: int = 1) -> Outcome:
    """A call through all phases."""
    async with Lab("ann", "bob", seed=seed) as lab:
        await verify(lab, trial.phases)
        settings = [
            MediaSettings(
                camera="synthetic", microphone=f"synthetic:{tone}", speaker="null", label=name,
                profile=trial.profile,
            )
            for name, tone in (("alice", 440), ("bob", 500))
        ]  # fmt: skip
        async with NetPair(lab, *settings) as pair, AsyncExitStack() as stack:
            await pair.connect()
            await asyncio.gather(*(end.look() for end in pair.ends))
            records = [await stack.enter_async_context(recording(end)) for end in pair.ends]
            starts = []
            for number, phase in enumerate(trial.phases):
                if number:
                    await lab.impair(lab["bob"], phase.impairment)
                starts.append(time.monotonic())
                await asyncio.sleep(phase.seconds)
            starts.append(time.monotonic())
            await stack.aclose()
    return Outcome(trial, starts, records)


async def _main(names: Sequence[str]) -> None:
    for trial in TRIALS:
        if not names or trial.name in names:
            outcome = await run(trial)
            print("\n".join(outcome.lines()), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
