"""What a session shows with each RPC: `authorization: Bearer <session_token>`."""

from __future__ import annotations

from typing import Any

from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.shell import digest

_BEARER = "Bearer "

Context = Any  # grpc.aio.ServicerContext; its generic arguments differ by RPC


def bearer(context: Context) -> str:
    """The secret in the metadata, empty when there is none."""
    for key, value in context.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str) and value.startswith(_BEARER):
            return value.removeprefix(_BEARER)
    return ""


def token(context: Context) -> str:
    """The digest of the session's secret. Refused: SESSION_UNKNOWN when there is none."""
    secret = bearer(context)
    if not secret:
        raise Refused(Reason.SESSION_UNKNOWN, "authorization: log in first")
    return digest(secret)
