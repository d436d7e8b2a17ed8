"""A machine that boots: systemd as process 1 over this machine's own files, with our units installed as the
README says. What it writes is gone with it; the network is shared. See `boot.sh`.

    async with machine(directory) as box:
        await box.run("systemctl", "start", "mediaagentd")
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from mediaagentd.children import ears, until_ready

from tests.integration.processes import REPOSITORY

BOOTED_WITHIN, HALTED_WITHIN, DONE_WITHIN = 60.0, 30.0, 60.0
"""Seconds for a boot, a halt and a command, on a loaded machine."""

HALT: Final = signal.SIGRTMIN + 3
"""What tells systemd to stop everything and end (systemd(1), signals)."""

_LIBRARIES = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
_PATHS = ("/opt/mediaagent/agent", "/opt/mediaagent/clients/python", f"/opt/venv/{_LIBRARIES}")

_COMMAND = f"""\
#!/bin/sh
export PYTHONPATH={":".join(_PATHS)} PYTHONDONTWRITEBYTECODE=1 LD_LIBRARY_PATH=/opt/python/lib
exec /opt/python/bin/python{sys.version_info.major}.{sys.version_info.minor} -m MODULE "$@"
"""


def unavailable() -> str | None:
    """Why no machine can be booted here; None when one can."""
    if os.geteuid() != 0:
        return "a machine of its own needs root"
    if not Path("/lib/systemd/systemd").exists():
        return "not installed: systemd"
    missing = [name for name in ("unshare", "nsenter", "setpriv") if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    known = Path("/proc/filesystems").read_text().split()
    missing = [name for name in ("overlay", "cgroup2") if name not in known]
    return f"the kernel has no {', '.join(missing)}" if missing else None


class CommandError(Exception):
    """A command in the machine failed; the message has what it wrote."""


class Machine:
    """A booted machine. `pid` is that of its process 1."""

    def __init__(self, process: Process, pid: int) -> None:
        self._process = process
        self.pid = pid

    def path(self, path: str) -> Path:
        """Where a file of the machine is seen from outside."""
        return Path(f"/proc/{self.pid}/root{path}")

    async def run(self, *command: str) -> str:
        """What it wrote, stripped. Raises `CommandError` when it failed."""
        child = await asyncio.create_subprocess_exec(
            "nsenter", f"--target={self.pid}", "--mount", "--pid", "--uts", "--ipc", "--cgroup", *command,
            stdin=DEVNULL, stdout=PIPE, stderr=STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(DONE_WITHIN):
            output = (await child.communicate())[0].decode(errors="replace").strip()
        if child.returncode:
            raise CommandError(f"{shlex.join(command)}: {child.returncode}\n{output}")
        return output

    async def shows(self, unit: str, name: str) -> str:
        """A property of a unit, as `systemctl show` says it."""
        return await self.run("systemctl", "show", "--value", "--property", name, unit)

    async def journal(self, unit: str) -> str:
        """What a unit logged."""
        return await self.run("journalctl", "--no-pager", "--output=cat", "--unit", unit)

    async def install(self) -> None:
        """The README's steps, but that the program is not copied."""
        etc, shipped = self.path("/etc"), REPOSITORY / "systemd"
        for name in ("mediaagentd", "mediaagent"):
            program = self.path(f"/usr/bin/{name}")
            program.write_text(_COMMAND.replace("MODULE", name))
            program.chmod(0o755)
        for unit in shipped.glob("*.service"):
            shutil.copy(unit, etc / "systemd/system")
        (etc / "sysusers.d").mkdir(exist_ok=True)
        (etc / "tmpfiles.d").mkdir(exist_ok=True)
        shutil.copy(shipped / "mediaagent.sysusers.conf", etc / "sysusers.d/mediaagent.conf")
        shutil.copy(shipped / "mediaagent.tmpfiles.conf", etc / "tmpfiles.d/mediaagent.conf")
        await self.run("systemd-sysusers")
        await self.run("systemd-tmpfiles", "--create", "mediaagent.conf")
        shutil.copy(shipped / "agent.toml", etc / "mediaagent/agent.toml")
        await self.run("systemctl", "daemon-reload")

    def configure(self, **settings: str | int) -> None:
        """These keys in front of the shipped configuration, in which all is commented out."""
        shipped = (REPOSITORY / "systemd/agent.toml").read_text()
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
        self.path("/etc/mediaagent/agent.toml").write_text(lines + shipped)

    def keep_secret(self, name: str, value: str) -> None:
        """A credential of a unit."""
        place = self.path(f"/etc/credstore/mediaagent.{name}")
        place.write_text(value)
        place.chmod(0o600)

    async def halt(self) -> None:
        """Stops everything in it, as at the end of a day."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, HALT)
        try:
            async with asyncio.timeout(HALTED_WITHIN):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            await self._process.wait()


@asynccontextmanager
async def machine(directory: Path) -> AsyncIterator[Machine]:
    """Boots one, with our units installed, and halts it at the end."""
    place = directory / "machine"
    place.mkdir(parents=True)
    with ears() as (sock, address):
        process = await asyncio.create_subprocess_exec(
            "setpriv", "--pdeathsig=TERM", "sh", str(Path(__file__).with_name("boot.sh")),
            str(place), str(REPOSITORY), sys.prefix, sys.base_prefix,
            stdin=DEVNULL, stdout=PIPE, env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": address},
        )  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(BOOTED_WITHIN):
            first = await process.stdout.readline()
        assert first, "it did not boot: see above"
        box = Machine(process, int(first))
        try:
            failed = await until_ready(process, sock, BOOTED_WITHIN)
            assert not failed, f"the machine {failed}"
            await box.install()
            yield box
        finally:
            await box.halt()
