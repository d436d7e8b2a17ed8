"""What a story has to play with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mediaagentd.demo.actor import Actor

from tests.integration import processes

TONES = {"alice": 440, "bob": 660}


@dataclass
class Stage:
    """The running processes."""

    hub: processes.Hub
    agents: dict[str, processes.Agent]

    def heard(self, name: str) -> Path:
        """The WAV file with what that user's speaker played."""
        return self.agents[name].directory / "heard.wav"

    def actor(self, name: str) -> Actor:
        """One more client of that user's daemon; not entered."""
        return Actor(name, self.agents[name].socket)
