"""The application: options that all commands share, exit codes, errors without tracebacks."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from mediaagent.cli.output import Output
from mediaagent.client import Agent
from mediaagent.errors import AgentError, AgentUnavailable

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


def _joined(arguments: Sequence[str]) -> list[str]:
    """`-o -` as `-o=-`: apart, the parser takes a lone hyphen for an option of its own."""
    joined: list[str] = []
    for argument in arguments:
        before = joined[-1] if joined else ""
        if argument == "-" and before.startswith("-") and before != "--" and "=" not in before:
            joined[-1] += "=-"
        else:
            joined.append(argument)
    return joined


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; returns its exit code."""
    # The commands register themselves; here, because they need `app`.
    from mediaagent.cli import calls, events, faults, figures, groups, history, media, sessions, views  # noqa: F401

    try:
        "".join(arguments).encode()
    except UnicodeEncodeError:
        sys.stderr.write("mediaagent: an argument is not UTF-8\n")
        return USAGE
    try:
        code = app(_joined(arguments), exit_on_error=False, result_action="return_value")
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except CycloptsError:
        return USAGE  # It has printed what is wrong.
    except AgentUnavailable as error:
        Output("--json" in arguments).failure(error)
        return UNREACHABLE
    except AgentError as error:
        Output("--json" in arguments).failure(error)
        return REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left (`| head`); keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        sys.stderr.write(f"mediaagent: {error}\n")
        return REFUSED
