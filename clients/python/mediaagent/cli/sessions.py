"""login and logout."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mediaagent.cli.app import DONE, Common, app, connected
from mediaagent.cli.output import word
from mediaagent.v1 import session_pb2

VARIABLE = "MEDIAAGENT_USER_SIG"


@app.command
def login(
    user: str,
    /,
    *,
    user_sig: Annotated[str | None, Parameter(help=f"The UserSig [env: {VARIABLE}].")] = None,
    user_sig_file: Annotated[Path | None, Parameter(help="File with the UserSig; - for stdin.")] = None,
    common: Common | None = None,
) -> int:
    """Logs USER in. The UserSig comes from an option, the environment, a file, or else from stdin."""
    # Not in the event loop, where a signal is only noted: whoever waits for a line would go on waiting.
    return asyncio.run(_login(user, _user_sig(user_sig, user_sig_file), common))


async def _login(user: str, user_sig: str, common: Common | None) -> int:
    async with connected(common) as (agent, out):
        session = await agent.login(user, user_sig)
        out.result(session, f"logged in as {session.user_id}: {_state(session)}")
    return DONE


@app.command
async def logout(*, common: Common | None = None) -> int:
    """Logs out; hangs up first."""
    async with connected(common) as (agent, out):
        out.result(await agent.logout(), "logged out")
    return DONE


def _state(session: session_pb2.Session) -> str:
    return word(session_pb2.SessionState, session.state, "SESSION_STATE_")


def _user_sig(given: str | None, file: Path | None) -> str:
    """The UserSig from the first place that has one. Arguments are seen by every user of the machine:
    files, the environment and stdin are not.
    """
    if given:
        return given
    if file is not None and str(file) != "-":
        return file.read_text(errors="replace").strip()  # what is no UserSig is for the hub to say
    if file is None and os.environ.get(VARIABLE):
        return os.environ[VARIABLE]
    if sys.stdin.isatty():
        return getpass.getpass("UserSig: ").strip()
    return sys.stdin.buffer.read().decode(errors="replace").strip()
