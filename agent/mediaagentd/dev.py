"""`mediaagentd run --dev`: everything that one needs to try a call, in one command.

A hub in this process, the user `me` logged in, and `echo`, who answers every call, as a second agent in a
process of its own: two agents in one process would share its event loop, as no two devices do.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path

import structlog
from pydantic import SecretStr

from mediaagentd import children
from mediaagentd.config import Config, HubConfig
from mediaagentd.hub.usersig import mint

_log = structlog.stdlib.get_logger()

USER = "me"
ECHO = "echo"
LOCAL = ("127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10")
"""Where candidates may point beside the usual: both agents are on this machine, which may have no network."""

EXPIRE = 30 * 86400
"""Seconds that the minted UserSigs are good for: longer than anybody tries."""

READY_WITHIN = 20.0
"""Seconds that the echo agent may take to start."""

STOP_WITHIN = 4.0
"""Seconds that it may take to leave."""


def furnished(config: Config) -> Config:
    """The configuration with a hub on a free port of the loop-back interface, a fresh key, and `me`."""
    key = secrets.token_hex(32)
    target = f"127.0.0.1:{children.free_port()}"
    hub = HubConfig(listen=target, keys=(SecretStr(key),), allowed_candidates=LOCAL)
    user_sig = mint(config.sdk_app_id, key, USER, now=int(time.time()), expire=EXPIRE)
    return config.model_copy(
        update={"hub": hub, "hub_target": target, "user_id": USER, "user_sig": SecretStr(user_sig)}
    )


class EchoProcess:
    """The agent `echo` as a child process, ended with us however we end."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._directory = tempfile.TemporaryDirectory(prefix="mediaagent-echo-")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Starts it and waits until it is logged in. Raises OSError when it ends or keeps silent."""
        with children.ears() as (ears, address):
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "mediaagentd", "echo", "--with-parent",
                env={**os.environ, **self._environment(), "NOTIFY_SOCKET": address},
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us; we end it in our own order.
            )  # fmt: skip
            try:
                failed = await children.until_ready(self._process, ears, READY_WITHIN)
            except BaseException:
                await self.stop()
                raise
        if failed:
            await self.stop()
            raise OSError("the echo agent did not start; its log is above")

    async def stop(self) -> None:
        """Ends it, by force when it does not listen."""
        if self._process is not None:
            await children.end(self._process, STOP_WITHIN)
        self._directory.cleanup()

    async def healthy(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.returncode is None

    def _environment(self) -> dict[str, str]:
        """What configures it; the rest of the environment (log level, codecs) it shares with us."""
        directory = Path(self._directory.name)
        key = self._config.hub.keys[0].get_secret_value()
        user_sig = mint(self._config.sdk_app_id, key, ECHO, now=int(time.time()), expire=EXPIRE)
        return {
            "MEDIAAGENT_CONFIG": os.devnull,
            "MEDIAAGENT_SOCKET": str(directory / "agent.sock"),
            "MEDIAAGENT_STATE_DIR": str(directory / "state"),
            "MEDIAAGENT_DEVICE_ID": ECHO,
            "MEDIAAGENT_HUB_TARGET": self._config.hub_target,
            "MEDIAAGENT_SDK_APP_ID": str(self._config.sdk_app_id),
            "MEDIAAGENT_USER_ID": ECHO,
            "MEDIAAGENT_USER_SIG": user_sig,
            "MEDIAAGENT_LOG_LEVEL": "warning",
        }
