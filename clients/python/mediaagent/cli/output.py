"""What the commands print: for people (rich, plain when not a terminal) or for programs (JSON lines)."""

from __future__ import annotations

import json
import sys
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

from mediaagent.errors import AgentError


def plain(message: Message) -> dict[str, Any]:
    """A message as JSON has it: the contract's JSON names, also of fields at their default."""
    return MessageToDict(message, always_print_fields_with_no_presence=True)


def word(enum: Any, value: int, prefix: str) -> str:
    """The name of an enum's value in lower case, for people; the number when it is newer than we are."""
    try:
        return str(enum.Name(value)).removeprefix(prefix).lower().replace("_", " ")
    except ValueError:
        return str(value)


class Output:
    """Where a command's results go. With `as_json` every result is one JSON object on its own line."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        # No markup: names of groups are other people's, and "[/x]" in one is text.
        self.console = Console(highlight=False, soft_wrap=True, markup=False)

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
