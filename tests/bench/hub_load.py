"""What a hub costs and how fast it is: real gRPC clients in processes of their own, bounded in count, time.

`python -m tests.bench hub` runs everything; `python -m tests.bench.hub_load --agents 300` a small one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import report
from tests.bench.figures import Figure, percentile
from tests.bench.hub_agents import user
from tests.integration import processes

AGENTS = 3_000
PER_PROCESS = 1_000
RATES = (200, 300)
"""Invitations a second that are asked for, one after the other."""

SECONDS = 10.0
"""How long each rate is held."""

MEMORY = 64.0
"""kB that an agent online may cost."""

PROMPT = 50.0
"""Milliseconds in which 99 of 100 invitations are answered at the first rate."""

FAN_OUT = 999
"""Others in the group."""

FAN_OUTS = 5
_ORDER_WITHIN = 120.0
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Worker:
    """A process with agents in it."""

    process: asyncio.subprocess.Process

    async def do(self, what: str, **how: Any) -> dict[str, Any]:
        """Gives an order and waits for its outcome."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": what, **how}).encode() + b"\n")
        async with asyncio.timeout(_ORDER_WITHIN):
            line = await self.process.stdout.readline()
        answer: dict[str, Any] = json.loads(line)
        return answer


@asynccontextmanager
async def worker(target: str, first: int, count: int) -> AsyncIterator[Worker]:
    """Agents `first` to `first + count - 1`; ended at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.hub_agents",
        target, str(processes.APP_ID), processes.KEY, str(first), str(count),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        cwd=processes.REPOSITORY, limit=1 << 24,
    )  # fmt: skip
    try:
        yield Worker(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@dataclass(frozen=True, slots=True)
class Used:
    """What a process has used: CPU seconds; resident memory in kB."""

    cpu: float
    resident: int

    @classmethod
    def by(cls, pid: int) -> Used:
        """Until now."""
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
        resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return cls((int(fields[11]) + int(fields[12])) / _TICK, int(resident.split()[1]))


class Bench:
    """One hub and its crowd."""

    def __init__(self, pid: int, workers: list[Worker], agents: int) -> None:
        self._pid = pid
        self._workers = workers
        self._agents = agents

    def used(self) -> Used:
        """By the hub until now."""
        return Used.by(self._pid)

    async def online(self) -> list[Figure]:
        """All agents come online."""
        before = self.used()
        begun = asyncio.get_running_loop().time()
        answers = await self._all(lambda one: one.do("online"))
        spent = asyncio.get_running_loop().time() - begun
        after = self.used()
        took = [ms for answer in answers for ms in answer["ms"]]
        checked = f"{len(took)} welcomes read"
        memory = (after.resident - before.resident) / len(took)
        return [
            _figure("memory per agent online", "kB", memory, checked, goal=MEMORY),
            _figure("CPU to come online", "ms", (after.cpu - before.cpu) * 1e3 / len(took), checked),
            _figure("all come online at once", "s", spent, checked),
        ]

    async def idle(self, seconds: float) -> list[Figure]:
        """Nobody does anything: leases and heartbeats."""
        before = self.used()
        await asyncio.sleep(seconds)
        after = self.used()
        share = (after.cpu - before.cpu) / seconds
        return [_figure(f"{self._agents} idle agents", "% of a core", share * 100, f"{seconds:.0f} s")]

    async def call(self, rate: float) -> list[Figure]:
        """Invitations at that rate, by all workers together."""
        before = self.used()
        share = rate / len(self._workers)
        answers = await self._all(lambda one: one.do("call", rate=share, seconds=SECONDS))
        after = self.used()
        replies = [ms for answer in answers for ms in answer["replies"]]
        rings = [ms for answer in answers for ms in answer["rings"]]
        failed = [why for answer in answers for why in answer["failed"]]
        done = len(rings) / max(answer["seconds"] for answer in answers)
        checked = f"{len(rings)} rang, {len(failed)} failed {sorted(set(failed))[:2]}"
        name = f"invitations, {rate:.0f}/s asked"
        goals = (0.99 * rate, PROMPT) if rate == RATES[0] else (None, None)
        return [
            _figure(f"{name}: done", "1/s", done, checked, goal=goals[0], at_least=True),
            _figure(f"{name}: reply p50", "ms", percentile(replies, 0.5), checked),
            _figure(f"{name}: reply p99", "ms", percentile(replies, 0.99), checked, goal=goals[1]),
            *(_figure(f"{name}: ring p{p}", "ms", percentile(rings, p / 100), checked) for p in (50, 99)),
            _figure(f"{name}: CPU each", "ms", (after.cpu - before.cpu) * 1e3 / len(rings), checked),
            _figure(f"{name}: generator's CPU", "s", sum(answer["cpu"] for answer in answers), checked),
        ]

    async def fan_out(self, size: int) -> list[Figure]:
        """One calls a group of `size` others; it is over when it rings at the last."""
        await self._workers[0].do("group", group_id="all", members=[user(n) for n in range(1, size + 1)])
        lasts, shares = [], []
        before = self.used()
        for _ in range(FAN_OUTS):
            call = await self._workers[0].do("ring", group_id="all")
            expected = [
                sum(index * PER_PROCESS <= n < (index + 1) * PER_PROCESS for n in range(1, size + 1))
                for index in range(len(self._workers))
            ]
            answers = await asyncio.gather(
                *(
                    one.do("heard", call_id=call["call_id"], at_least=count)
                    for one, count in zip(self._workers, expected, strict=True)
                )
            )
            times = sorted((at - call["begun"]) * 1e3 for answer in answers for at in answer["times"])
            lasts.append(times[-1])
            shares.append(statistics.median(times))
            await self._workers[0].do("cancel", call_id=call["call_id"])
        after = self.used()
        checked = f"{FAN_OUTS}x{size} rang"
        cpu = (after.cpu - before.cpu) * 1e3 / FAN_OUTS
        return [
            Figure(f"fan-out to {size}: half of them ring", "ms", tuple(shares), checked),
            Figure(f"fan-out to {size}: the last one rings", "ms", tuple(lasts), checked),
            _figure(
                f"fan-out to {size}: CPU, with its end",
                "ms",
                cpu,
                checked,
            ),
        ]

    async def _all(self, order: Callable[[Worker], Awaitable[dict[str, Any]]]) -> list[dict[str, Any]]:
        return list(await asyncio.gather(*map(order, self._workers)))


def _figure(
    name: str, unit: str, value: float, checked: str, *, goal: float | None = None, at_least: bool = False
) -> Figure:
    return Figure(name, unit, (value,), checked, goal=goal, at_least=at_least)


async def measure(directory: Path, agents: int, rates: tuple[int, ...], fan_out: int) -> list[Figure]:
    """A hub on a database of its own, and `agents` that use it."""
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(processes.hub(directory))
        workers = [
            await stack.enter_async_context(worker(hub.target, first, min(PER_PROCESS, agents - first)))
            for first in range(0, agents, PER_PROCESS)
        ]
        bench = Bench(hub.child.pid, workers, agents)
        figures = await bench.online()
        figures += await bench.idle(10.0)
        for rate in rates:
            figures += await bench.call(rate)
        return figures + await bench.fan_out(fan_out)


def run_all(directory: Path) -> list[Figure]:
    """As published."""
    return asyncio.run(measure(directory, AGENTS, RATES, FAN_OUT))


def main() -> None:
    """A smaller one, for trying things."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--agents", type=int, default=300)
    parser.add_argument("--rates", type=int, nargs="*", default=[200])
    parser.add_argument("--fan-out", type=int, default=99)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mediaagent-bench-") as directory:
        figures = asyncio.run(measure(Path(directory), given.agents, tuple(given.rates), given.fan_out))
    report.show(figures)


if __name__ == "__main__":
    main()
