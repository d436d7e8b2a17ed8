"""The application: options that all commands share, and exit codes."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Literal

from cyclopts import App, Parameter

from mediaagent.cli.output import Output
from mediaagent.client import Agent

DONE = 0
REFUSED = 1
USAGE = 2
UNREACHABLE = 3
UNANSWERED = 4
INTERRUPTED = 130

_EPILOGUE = (
    "Exit codes: 0 done, 1 the agent refused, 2 wrong usage, 3 no agent answers, "
    "4 the call was not answered (call --wait), 130 interrupted."
)


def _version() -> str:
    """Of the installed distribution; a source tree has none."""
    try:
        return version("mediaagent")
    except PackageNotFoundError:
        return "unknown"


app = App(
    name="mediaagent",
    help="Video calls of this device, through its media agent.",
    help_epilogue=_EPILOGUE,
    version=_version,
    suppress_keyboard_interrupt=False,
)


def _seconds(_: object, value: float) -> None:
    """What a Duration can hold; the finer rules are the contract's, and the agent tells them."""
    if not math.isfinite(value) or abs(value) > 1e9:
        raise ValueError("it is no time in seconds")


def _count(_: object, value: int) -> None:
    if not 0 <= value < 2**32:
        raise ValueError("it must be 0 or more")


Seconds = Annotated[float, Parameter(validator=_seconds)]
Count = Annotated[int, Parameter(validator=_count)]


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """Options of every command."""

    socket: Annotated[str | None, Parameter(help="The agent's socket [env: MEDIAAGENT_SOCKET].")] = None
    json: Annotated[bool, Parameter(negative="", help="One JSON object per line.")] = False


@contextlib.asynccontextmanager
async def connected(common: Common | None) -> AsyncIterator[tuple[Agent, Output]]:
    """The agent that the options name, and where its answers go."""
    options = common or Common()
    async with Agent(options.socket) as agent:
        yield agent, Output(options.json)


@app.command
def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Prints the completion script of a shell: `source <(mediaagent completion bash)`."""
    sys.stdout.write(app.generate_completion(prog_name="mediaagent", shell=shell) + "\n")
    return DONE
