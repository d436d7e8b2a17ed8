"""Where the agent is: a socket's path, or a gRPC target."""

from __future__ import annotations

import os
from pathlib import Path

import grpc

from mediaagent.errors import AgentUnavailable

PATH_LIMIT = 107
"""Bytes of a unix socket's path (sockaddr_un, with its final zero); gRPC's words for it fill a screen."""

SERVICE = Path("/run/mediaagent/agent.sock")
"""The socket of the machine's service; its unit lets a group of users in (RuntimeDirectoryMode=0750)."""

VARIABLE = "MEDIAAGENT_SOCKET"
"""Environment variable with the agent's socket."""


def default_socket() -> Path:
    """Where an agent listens unless told otherwise: one of this user's own, else the machine's service. Of
    places that this user may not look into the service's counts: connecting says so.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if not runtime or os.geteuid() == 0:
        return SERVICE
    own = Path(runtime) / "mediaagent" / "agent.sock"
    if os.path.exists(own):  # noqa: PTH110 # Path's raises where one may not look
        return own
    try:
        return SERVICE if SERVICE.exists() else own
    except PermissionError:
        return SERVICE


def resolve(target: str | os.PathLike[str] | None) -> str:
    """The gRPC target of a path, a target, or nothing (the variable, then the default socket). Raises
    AgentUnavailable for a path at which no socket can be.
    """
    chosen = os.fspath(target) if target is not None else os.environ.get(VARIABLE, "")
    if not chosen:
        chosen = str(default_socket())
    if chosen.startswith(("/", ".", "~")) or ":" not in chosen:
        path = Path(chosen).expanduser().absolute()
        if len(os.fsencode(path)) > PATH_LIMIT:
            told = f"no agent answers at unix:{path}: a socket's path has at most {PATH_LIMIT} bytes"
            raise AgentUnavailable("AGENT_UNREACHABLE", grpc.StatusCode.UNAVAILABLE, told)
        return f"unix:{path}"
    return chosen
