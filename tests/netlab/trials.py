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
from dataclasses import dataclass

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
    """What must hold at both ends after the learning: shares of slots with real or recovered sound and of
    filled ones, pictures a second, the longest gap, the usual lip sync, and until a link that is wide again
    is used, in seconds.
    """

    sound: float
    fps: float
    gap: float
    lip_sync: float = 0.08
    filled: float = 0.98
    risen: float = 20.0


@dataclass(frozen=True, slots=True)
class Trial:
    """Phases in their order; as bounds the goals of issue 4 where it has any, else what a machine that others
    use too reached, and a bit.
    """

    name: str
    phases: Sequence[Phase]
    bounds: Bounds
    profile: VideoProfile = VideoProfile.P720


TRIALS = (
    Trial("clean", (Phase(16.0, Impairment(delay=0.010)),), Bounds(0.99, fps=27, gap=0.3)),
    Trial("moderate", (Phase(24.0, MODERATE),), Bounds(0.98, fps=25, gap=0.5)),
    Trial("international", (Phase(34.0, INTERNATIONAL),), Bounds(0.97, fps=12, gap=2.0)),
    Trial("spiky", (Phase(LEARNING, SPIKY[0].impairment), *SPIKY), Bounds(0.96, fps=25, gap=0.8)),
    *(
        Trial(f"loss {loss}", (Phase(20.0, round_trip(0.1, loss / 100)),), Bounds(sound, fps, gap))
        for loss, sound, fps, gap in (
            (5, 0.99, 27, 0.5),
            (10, 0.985, 27, 0.5),
            (20, 0.97, 24, 0.5),
            (30, 0.90, 20, 1.0),
        )
    ),
    Trial(
        "fall and rise",
        (Phase(8.0, WIDE), Phase(15.0, NARROW), Phase(25.0, WIDE)),
        Bounds(0.96, fps=24, gap=2.5),
    ),
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

    def misses(self) -> list[str]:
        """The bounds that did not hold."""
        bounds, found = self.trial.bounds, []
        for course in self.whole():
            lip = abs(course.lip_sync_usual or 0.0)
            held = {
                "sound": course.sound >= bounds.sound,
                "filled": course.filled >= bounds.filled,
                "fps": course.fps >= bounds.fps,
                "gap": course.gap <= bounds.gap,
                "lip sync": lip <= bounds.lip_sync,
                "pictures in order": not course.unread,
            }
            found += [f"{name}: {course}" for name, holds in held.items() if not holds]
        if self.trial.phases[-1].impairment == WIDE:
            risen = [record.reached(RISEN, self.starts[-2]) for record in self.records]
            found += [f"risen: {each}" for each in risen if each is None or each > bounds.risen]
        return found

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
