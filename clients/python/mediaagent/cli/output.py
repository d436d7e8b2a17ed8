"""What the commands print: for people (rich, plain when not a terminal) or for programs (JSON lines)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import stat
import sys
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

from mediaagent.errors import AgentError

UNBOUNDED = 10_000
"""Columns of a file or a pipe: what a table cuts off or folds to fit 80 is lost to `grep`."""


def plain(message: Message) -> dict[str, Any]:
    """A message as JSON has it: the contract's JSON names, also of fields at their default."""
    return MessageToDict(message, always_print_fields_with_no_presence=True)


def word(enum: Any, value: int, prefix: str) -> str:
    """The name of an enum's value in lower case, for people; the number when it is newer than we are."""
    try:
        return str(enum.Name(value)).removeprefix(prefix).lower().replace("_", " ")
    except ValueError:
        return str(value)


@contextlib.asynccontextmanager
async def while_read() -> AsyncIterator[None]:
    """Ends the commands in it with BrokenPipeError once nobody reads the pipe that is our stdout
    (`| head -1`): who has nothing to write would not hear of it.
    """
    pipe, loop, command = _piped(), asyncio.get_running_loop(), asyncio.current_task()
    if pipe is None or command is None:
        yield
        return
    left = False

    def look() -> None:
        nonlocal left
        loop.remove_reader(pipe)
        poll = select.poll()
        poll.register(pipe, 0)
        left = bool(poll.poll(0))  # not where it can be read from as well
        if left:
            command.cancel()

    loop.add_reader(pipe, look)
    try:
        yield
    except asyncio.CancelledError:
        if not left or command.uncancel():
            raise
        raise BrokenPipeError from None
    finally:
        loop.remove_reader(pipe)


def _piped() -> int | None:
    """The file descriptor of stdout where that is a pipe."""
    try:
        number = sys.stdout.fileno()
        return number if stat.S_ISFIFO(os.fstat(number).st_mode) else None
    except (OSError, ValueError):  # it is closed, or another's
        return None


class Output:
    """Where a command's results go. With `as_json` every result is one JSON object on its own line."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        # No markup: names of groups are other people's, and "[/x]" in one is text.
        self.console = Console(highlight=False, soft_wrap=True, markup=False)
        if not self.console.is_terminal:
            self.console.width = UNBOUNDED

    @property
    def is_live(self) -> bool:
        """Whether a person looks at a terminal, so that a display may redraw itself."""
        return self.console.is_terminal and not self.as_json

    def result(self, message: Message | dict[str, Any], text: str | Table) -> None:
        """One result: the object for programs, the text or table for people."""
        if not self.as_json:
            self.console.print(text)
            return
        shown = plain(message) if isinstance(message, Message) else message
        sys.stdout.write(json.dumps(shown, ensure_ascii=False, separators=(",", ":")) + "\n")
        sys.stdout.flush()

    def note(self, message: str) -> None:
        """What a person may want to know meanwhile, to stderr."""
        sys.stderr.write(f"mediaagent: {message}\n")

    def usage(self, message: str) -> None:
        """How the command is not used, to stderr."""
        sys.stderr.write(f"mediaagent: {message}\n")

    def failure(self, error: AgentError) -> None:
        """What went wrong, to stderr."""
        if not self.as_json:
            Console(stderr=True, highlight=False, soft_wrap=True).print(
                f"mediaagent: {error.message}", f"({error.reason})", style="red", markup=False
            )
            return
        told = {
            "reason": error.reason,
            "status": error.status.name,
            "message": error.message,
            "metadata": dict(error.metadata),
        }
        sys.stderr.write(json.dumps({"error": told}, ensure_ascii=False) + "\n")
