"""The timeline: what happens, when, and what it is called when it does not happen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from mediaagent import AgentError
from rich.console import Console
from rich.markup import escape

STEP_WITHIN = 15.0
"""Seconds that a step may take unless it says otherwise."""


class StepFailed(Exception):  # noqa: N818 - an outcome of the story, told to the audience
    """A step did not happen; the message names it."""


class Unexpected(Exception):  # noqa: N818 - as above
    """Something is not as the story says."""


@dataclass(slots=True)
class Step:
    """One step. Milliseconds since the beginning, and of its own."""

    name: str
    at_ms: float
    took_ms: float = 0.0
    detail: str = ""
    ok: bool = False


@dataclass(slots=True)
class Timeline:
    """Prints steps as they happen and keeps them for the report."""

    console: Console
    steps: list[Step] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def chapter(self, title: str) -> None:
        """A heading."""
        self.console.print(f"[bold]{escape(title)}[/]")

    @asynccontextmanager
    async def step(self, name: str, within: float = STEP_WITHIN) -> AsyncIterator[Step]:
        """A named assertion: what is in it happens within its deadline, or StepFailed is raised."""
        started = time.monotonic()
        step = Step(name, (started - self.began) * 1000)
        self.steps.append(step)
        waiting = self.console.status(escape(name)) if self.console.is_terminal else nullcontext()
        try:
            with waiting:
                async with asyncio.timeout(within):
                    yield step
            step.ok = True
        except TimeoutError:
            raise self._failed(step, f"not within {within:g} s") from None
        except (Unexpected, AgentError, OSError) as error:
            raise self._failed(step, str(error)) from error
        finally:
            step.took_ms = (time.monotonic() - started) * 1000
            self._print(step)

    def _failed(self, step: Step, why: str) -> StepFailed:
        step.detail = why
        return StepFailed(f"{step.name}: {why}")

    def _print(self, step: Step) -> None:
        """One line: when it was done, what it was, how long it took."""
        when = step.at_ms + step.took_ms
        sign = "[green]ok  [/]" if step.ok else "[red]FAIL[/]"
        detail = f"  [dim]{escape(step.detail)}[/]" if step.detail else ""
        took = f"[dim]+{step.took_ms:5.0f}[/]"
        self.console.print(f"{when:8.0f} ms {took}  {sign} {escape(step.name)}{detail}")


def expect(condition: bool, otherwise: str) -> None:
    """Raises Unexpected unless the condition holds."""
    if not condition:
        raise Unexpected(otherwise)
