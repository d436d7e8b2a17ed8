"""The hub and the daemons of the demonstration as processes of their own."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mediaagentd import children
from mediaagentd.dev import LOCAL
from mediaagentd.hub.usersig import mint

APP_ID = 1400000000
READY_WITHIN = 20.0
STOP_WITHIN = 10.0
SOCKET_PATH_LIMIT = 107
"""Bytes of a unix socket's path (sockaddr_un, with its final zero)."""


class ProcessError(Exception):
    """A process did not start as it should; the message ends with its last line."""


@dataclass(slots=True)
class Child:
    """One process of ours and the file with everything that it wrote."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    async def stop(self) -> int:
        """SIGTERM, and SIGKILL for one that does not listen. Its exit code."""
        return await children.end(self.process, STOP_WITHIN)

    def last_words(self, lines: int = 15) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class House:
    """Everything that the processes share: directory, key, the hub's address."""

    def __init__(self, directory: Path) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        self.directory = directory
        self.children: list[Child] = []
        self._key = secrets.token_hex(32)
        self._hub = f"127.0.0.1:{children.free_port()}"
        self._sockets = directory
        if len(os.fsencode(directory)) + len("/someone/agent.sock") > SOCKET_PATH_LIMIT:
            self._sockets = Path(tempfile.mkdtemp(prefix="mediaagent-demo-"))

    def user_sig(self, user_id: str) -> str:
        """A UserSig of that user, good for an hour."""
        return mint(APP_ID, self._key, user_id, now=int(time.time()), expire=3600)

    def socket(self, name: str) -> Path:
        """Where the daemon of that name listens."""
        return self._sockets / name / "agent.sock"

    async def start_hub(self) -> None:
        """Starts the hub; returns when it serves."""
        await self._start(
            "hub",
            "hub",
            {
                "MEDIAAGENT_HUB__LISTEN": self._hub,
                "MEDIAAGENT_HUB__KEYS": self._key,
                "MEDIAAGENT_HUB__ALLOWED_CANDIDATES": ",".join(LOCAL),
                "MEDIAAGENT_HUB__DATABASE": str(self.directory / "hub.sqlite"),
            },
        )

    async def start_agent(self, name: str, **settings: str) -> None:
        """Starts a daemon with synthetic devices; returns when it serves."""
        self.socket(name).parent.mkdir(parents=True, exist_ok=True)
        await self._start(
            name,
            "run",
            {
                "MEDIAAGENT_HUB_TARGET": self._hub,
                "MEDIAAGENT_SOCKET": str(self.socket(name)),
                "MEDIAAGENT_STATE_DIR": str(self.directory / name / "state"),
                "MEDIAAGENT_DEVICE_ID": name,
                "MEDIAAGENT_CAMERA": "synthetic",
                "MEDIAAGENT_MICROPHONE": "synthetic",
                "MEDIAAGENT_SPEAKER": "null",
                **{f"MEDIAAGENT_{key.upper()}": value for key, value in settings.items()},
            },
        )

    async def stop(self) -> dict[str, int]:
        """Stops everything, the hub last. Exit codes by name."""
        codes = {}
        for child in reversed(self.children):
            codes[child.name] = await child.stop()
        self.children.clear()
        if self._sockets != self.directory:
            shutil.rmtree(self._sockets, ignore_errors=True)
        return codes

    async def _start(self, name: str, command: str, settings: Mapping[str, str]) -> None:
        """One process; it is ready when it tells so as it would tell systemd."""
        directory = self.directory / name
        directory.mkdir(parents=True, exist_ok=True)
        clean = {key: value for key, value in os.environ.items() if not key.startswith("MEDIAAGENT_")}
        log = directory / "log"
        with children.ears() as (ears, address):
            ours = {"MEDIAAGENT_SDK_APP_ID": str(APP_ID), "NOTIFY_SOCKET": address}
            with log.open("wb") as stream:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "mediaagentd", command, "--with-parent",
                    stdin=asyncio.subprocess.DEVNULL, stdout=stream, stderr=stream,
                    env={**clean, **ours, **settings},
                )  # fmt: skip
            child = Child(name, process, log)
            self.children.append(child)
            if failed := await children.until_ready(process, ears, READY_WITHIN):
                raise ProcessError(f"{name} {failed}: {child.last_words(1)}")
