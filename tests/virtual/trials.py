"""The trials of `tests.netlab` in virtual time.

python -m tests.virtual.trials --seeds 20 --first 0 "loss 30" international
"""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import replace

from mediaagentd.media.settings import MediaSettings
from mediaagentd.media.types import VideoProfile

from tests.netlab.course import SAMPLE, Record
from tests.netlab.trials import TRIALS, Outcome, Trial
from tests.virtual.clock import play
from tests.virtual.end import VirtualEnd
from tests.virtual.network import HOSTS, Network

CONNECTING = 30.0
"""Seconds in which both must be connected."""


def run(trial: Trial, seed: int) -> Outcome:
    """A call through all phases."""
    return play(lambda network: _call(network, trial), seed)


async def _call(network: Network, trial: Trial) -> Outcome:
    settings = MediaSettings(
        camera="synthetic", microphone="synthetic", speaker="null", profile=trial.profile
    )
    ends = [
        VirtualEnd(network, host, name, settings) for host, name in zip(HOSTS, ("alice", "bob"), strict=True)
    ]
    ends[0].other, ends[1].other = ends[1], ends[0]
    records = [Record() for _ in ends]
    starts: list[float] = []
    network.impair(trial.phases[0].impairment)
    for end in ends:
        end.call(offers=end is ends[1])
    async with asyncio.timeout(CONNECTING):
        await asyncio.gather(*(end.up.wait() for end in ends))
    await asyncio.gather(*(end.look() for end in ends))
    for number, phase in enumerate(trial.phases):
        if number:
            network.impair(phase.impairment)
        starts.append(time.monotonic())
        while time.monotonic() < starts[-1] + phase.seconds:
            for end, record in zip(ends, records, strict=True):
                record.readings.append((time.monotonic(), end.figures()))
            await asyncio.sleep(SAMPLE)
    starts.append(time.monotonic())
    for end, record in zip(ends, records, strict=True):
        record.readings.append((time.monotonic(), end.figures()))
        record.seen = end.seen
        await end.close()
    return Outcome(trial, starts, records)


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", help="trials; all")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--profile", choices=[each.name for each in VideoProfile])
    options = parser.parse_args()
    for trial in TRIALS:
        if options.names and trial.name not in options.names:
            continue
        if options.profile:
            trial = replace(trial, profile=VideoProfile[options.profile])
        for seed in range(options.first, options.first + options.seeds):
            began = time.monotonic()
            outcome = run(trial, seed)
            took = time.monotonic() - began
            for course in outcome.whole():
                print(f"{trial.name} {seed} ({took:.1f} s): {course}", flush=True)


if __name__ == "__main__":
    _main()
