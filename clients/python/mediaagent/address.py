"""Where the agent is: a socket's path, or a gRPC target."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "MEDIAAGENT_SOCKET"
"""Environment variable with the agent's socket."""


def default_socket() -> Path:
    """Where an agent listens unless told otherwise: one of this user's own, else the machine's service."""
    service = Path("/run/mediaagent/agent.sock")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if not runtime or os.geteuid() == 0:
        return service
    own = Path(runtime) / "mediaagent" / "agent.sock"
    return service if service.exists() and not own.exists() else own


def resolve(target: str | os.PathLike[str] | None) -> str:
    """The gRPC target of a path, a target, or nothing (the variable, then the default socket)."""
    chosen = os.fspath(target) if target is not None else os.environ.get(VARIABLE, "")
    if not chosen:
        chosen = str(default_socket())
    if chosen.startswith(("/", ".", "~")) or ":" not in chosen:
        return f"unix:{Path(chosen).expanduser().absolute()}"
    return chosen
