"""The trials of `tests.netlab` in virtual time.

python -m tests.virtual.trials --seeds 20 --first 0 "loss 30" international
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import statistics
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import structlog
from mediaagentd.media.settings import MediaSettings
from mediaagentd.media.types import VideoProfile

from tests.netlab.course import SAMPLE, Course, Record
from tests.netlab.profiles import Impairment
from tests.netlab.trials import TRIALS, Outcome, Trial
from tests.virtual.clock import play
from tests.virtual.end import VirtualEnd
from tests.virtual.network import HOSTS, Network

CONNECTING = 30.0
"""Seconds in which both must be connected."""


def run(trial: Trial, seed: int) -> Outcome:
    """A call through all phases. It connects before the first one: how large a handshake is differs by some
    bytes, and with them all that follows.
    """
    return play(lambda network: _call(network, trial), seed)


def connect(impairment: Impairment, seed: int) -> float:
    """Seconds until both ends are connected over that path."""
    return play(lambda network: _connect(network, impairment), seed)


async def _connect(network: Network, impairment: Impairment) -> float:
    network.impair(impairment)
    began = time.monotonic()
    ends = await connected(network, VideoProfile.P480)
    took = time.monotonic() - began
    for end in ends:
        await end.close()
    return took


def connect_while(
    impairment: Impairment, seed: int, happens: Callable[[list[VirtualEnd]], Coroutine[Any, Any, None]]
) -> tuple[float, list[int | None]]:
    """Seconds until both ends are connected while something happens to them, and over which generation."""
    return play(lambda network: _connect_while(network, impairment, happens), seed)


async def _connect_while(
    network: Network,
    impairment: Impairment,
    happens: Callable[[list[VirtualEnd]], Coroutine[Any, Any, None]],
) -> tuple[float, list[int | None]]:
    network.impair(impairment)
    began = time.monotonic()
    ends = _ends(network, VideoProfile.P480)
    happening = asyncio.create_task(happens(ends))
    await _up(ends)
    took = time.monotonic() - began
    happening.cancel()
    await asyncio.gather(happening, return_exceptions=True)
    generations = [end.generation for end in ends]
    for end in ends:
        await end.close()
    return took, generations


def begin(impairment: Impairment, seed: int, seconds: float) -> list[int]:
    """Pictures that each end has seen so long after both were connected over that path."""
    return play(lambda network: _begin(network, impairment, seconds), seed)


async def _begin(network: Network, impairment: Impairment, seconds: float) -> list[int]:
    network.impair(impairment)
    ends = await connected(network, VideoProfile.P480)
    await asyncio.gather(*(end.look() for end in ends))
    await asyncio.sleep(seconds)
    seen = [len(end.seen) for end in ends]
    for end in ends:
        await end.close()
    return seen


async def connected(network: Network, profile: VideoProfile) -> list[VirtualEnd]:
    """Two ends in a call, the first of which was called."""
    ends = _ends(network, profile)
    await _up(ends)
    return ends


def _ends(network: Network, profile: VideoProfile) -> list[VirtualEnd]:
    """Two that begin to call each other; the second offers."""
    settings = MediaSettings(camera="synthetic", microphone="synthetic", speaker="null", profile=profile)
    names = zip(HOSTS, ("alice", "bob"), strict=True)
    ends = [VirtualEnd(network, host, name, settings) for host, name in names]
    ends[0].other, ends[1].other = ends[1], ends[0]
    for end in ends:
        end.call(offers=end is ends[1])
    return ends


async def _up(ends: Sequence[VirtualEnd]) -> None:
    async with asyncio.timeout(CONNECTING):
        await asyncio.gather(*(end.up.wait() for end in ends))


async def _call(network: Network, trial: Trial) -> Outcome:
    network.impair(Impairment(delay=trial.phases[0].impairment.delay))
    ends = await connected(network, trial.profile)
    records = [Record() for _ in ends]
    starts: list[float] = []
    await asyncio.gather(*(end.look() for end in ends))
    for phase in trial.phases:
        network.impair(phase.impairment)
        starts.append(time.monotonic())
        while time.monotonic() < starts[-1] + phase.seconds:
            for end, record in zip(ends, records, strict=True):
                record.readings.append((time.monotonic(), end.figures()))
            await asyncio.sleep(SAMPLE)
    starts.append(time.monotonic())
    network.check()
    for end, record in zip(ends, records, strict=True):
        record.readings.append((time.monotonic(), end.figures()))
        record.seen = end.seen
        await end.close()
    return Outcome(trial, starts, records)


def _play(task: tuple[Trial, int]) -> tuple[int, list[Course]]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    trial, seed = task
    return seed, run(trial, seed).whole()


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", help="trials; all")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--profile", choices=[each.name for each in VideoProfile], default="P480")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for trial in TRIALS:
            if options.names and trial.name not in options.names:
                continue
            small = replace(trial, profile=VideoProfile[options.profile])
            courses = []
            for seed, both in pool.imap(_play, [(small, seed) for seed in seeds]):
                courses += both
                for course in both:
                    print(f"{trial.name} {seed}: {course}", flush=True)
            print(f"{trial.name}, {len(courses)} ends: {summary(courses)}", flush=True)


def summary(courses: Sequence[Course]) -> str:
    """Median and worst of the figures."""
    figures = {
        "fps": (min, [each.fps for each in courses]),
        "gap": (max, [each.gap for each in courses]),
        "sound": (min, [each.sound for each in courses]),
        "made up": (max, [float(each.concealed) for each in courses]),
        "lip sync": (max, [abs(each.lip_sync or 0.0) for each in courses]),
    }
    return ", ".join(
        f"{name} {statistics.median(values):.3f} ({worst(values):.3f})"
        for name, (worst, values) in figures.items()
    )


if __name__ == "__main__":
    _main()
