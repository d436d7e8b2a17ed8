"""Finds out, in the background, how video is best encoded on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path

import structlog

from mediaagentd.media.codec import remembered
from mediaagentd.media.codec.tuning import Choice

_log = structlog.stdlib.get_logger()


async def suited(directory: Path) -> Choice:
    """What was measured before and is kept in `directory`; else measures, in a thread of its own with little
    priority. A failure gives the default. At the first starts the thread measures again afterwards.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Choice] = loop.create_future()

    def tell(choice: Choice) -> None:
        if not found.done():
            found.set_result(choice)

    def work() -> None:
        known, choice = remembered.kept(directory) is not None, Choice()
        try:
            choice = remembered.choice(directory)
        except Exception as error:  # a library that fails here will say so again in a call
            _log.warning("codecs_not_measured", error=repr(error))
        try:
            loop.call_soon_threadsafe(tell, choice)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return
        if known:
            with contextlib.suppress(Exception):  # it is only for the next start
                remembered.refine(directory)

    threading.Thread(target=work, name="measure codecs", daemon=True).start()
    return await found
