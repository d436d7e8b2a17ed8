"""One command line, from its words to its exit code; errors without tracebacks."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import CycloptsError

# The commands register themselves.
from mediaagent.cli import calls, events, faults, figures, groups, history, media, sessions, views  # noqa: F401
from mediaagent.cli.app import DONE, INTERRUPTED, REFUSED, UNREACHABLE, USAGE, app
from mediaagent.cli.output import Output
from mediaagent.errors import AgentError, AgentUnavailable


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
