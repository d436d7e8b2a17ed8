"""Two media engines that each have a host and a process of their own; signals pass from hand to hand.

The process is `engine_process.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from typing import Any, TypeVar

from mediaagentd.call.signal import Signal
from mediaagentd.call.types import CameraOpened, PeerUp, Report
from mediaagentd.media.settings import MediaSettings, PeerFigures

from tests.netlab.lab import REPOSITORY, Host, Lab
from tests.netlab.messages import Seen, packed, unpacked

T = TypeVar("T")

CALL = "call-1"
PATIENCE = 30.0


class NetEnd:
    """The test's handle of one engine in its process."""

    def __init__(self, host: Host, user_id: str, settings: MediaSettings) -> None:
        self.host = host
        self.user_id = user_id
        self.other: NetEnd
        self.reports: list[Report] = []
        self.connected_signals = True
        self._settings = settings
        self._changed = asyncio.Event()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._asked = 0
        self._process: asyncio.subprocess.Process
        self._writer: asyncio.StreamWriter
        self._reading: asyncio.Task[None]

    @property
    def pid(self) -> int:
        """Of the engine's process (of `ip`, which becomes it)."""
        return self._process.pid

    async def start(self) -> None:
        """Starts the process and the engine in it."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *self.host.prefix, sys.executable, "-m", "tests.netlab.engine_process", str(theirs.fileno()),
                pass_fds=[theirs.fileno()], cwd=REPOSITORY,
            )  # fmt: skip
        reader, self._writer = await asyncio.open_unix_connection(sock=ours)
        self._reading = asyncio.create_task(self._read(reader))
        await self._ask("", self._settings)

    async def stop(self) -> None:
        """Stops engine and process."""
        with contextlib.suppress(TimeoutError, ConnectionError):
            await self._ask("stop")
        self._writer.close()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        except TimeoutError:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()

    async def do(self, method: str, *arguments: Any) -> Any:
        """Calls a method of the `MediaEngine`; what it returns or raises."""
        return await self._ask(method, *arguments)

    async def figures(self) -> PeerFigures:
        """Of the connection with the other."""
        (figures,) = await self.do("figures")
        assert isinstance(figures, PeerFigures)
        return figures

    async def look(self) -> None:
        """From now on the other's pictures are decoded and their numbers read; see `seen`."""
        await self._ask("look", self.other.user_id)

    async def seen(self) -> list[Seen]:
        """Every picture since `look`."""
        found: list[Seen] = await self._ask("seen")
        return found

    async def until_seen(self, count: int) -> list[Seen]:
        """Waits for so many pictures since `look`."""
        async with asyncio.timeout(PATIENCE):
            while len(seen := await self.seen()) < count:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
        return seen

    async def open_camera(self, op: int = 1) -> None:
        """Opens the camera and waits for it."""
        await self.do("probe_camera", op)
        await self.reported(CameraOpened)

    async def dial(self, *, offers: bool, attempt: int = 2) -> None:
        """Opens the peer."""
        await self.do("set_in_call", True)
        await self.do("open_peer", CALL, self.other.user_id, attempt, offers)

    async def reported(self, kind: type[T], patience: float = PATIENCE) -> T:
        """The first report of that kind, which is taken away."""
        async with asyncio.timeout(patience):
            while True:
                for report in self.reports:
                    if isinstance(report, kind):
                        self.reports.remove(report)
                        return report
                self._changed.clear()
                await self._changed.wait()

    async def _ask(self, method: str, *arguments: Any) -> Any:
        self._asked += 1
        answer = self._answers[self._asked] = asyncio.get_running_loop().create_future()
        self._writer.write(packed((self._asked, method, arguments)))
        async with asyncio.timeout(PATIENCE):
            return await answer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while (message := await unpacked(reader)) is not None:
            kind, *values = message
            if kind == "report":
                self.reports.append(values[0])
                self._changed.set()
            elif kind == "signal":
                self._pass_on(*values)
            else:
                number, failed, value = values
                future = self._answers.pop(number)
                if not future.done():
                    future.set_exception(value) if failed else future.set_result(value)
        for future in self._answers.values():
            if not future.done():
                future.set_exception(ConnectionError(f"{self.user_id}'s process has ended"))

    def _pass_on(self, call_id: str, user_id: str, body: Signal) -> None:
        """The hub's part; `connected_signals` False loses them."""
        assert user_id == self.other.user_id
        if self.connected_signals:
            arguments = (call_id, self.user_id, body)
            self.other._writer.write(packed((0, "receive_signal", arguments)))


class NetPair:
    """Alice, who is called, on the laboratory's first host, and Bob, who makes the offer, on the second."""

    def __init__(self, lab: Lab, alice: MediaSettings, bob: MediaSettings) -> None:
        self.alice = NetEnd(lab.hosts[0], "alice", alice)
        self.bob = NetEnd(lab.hosts[1], "bob", bob)
        self.alice.other, self.bob.other = self.bob, self.alice

    @property
    def ends(self) -> tuple[NetEnd, NetEnd]:
        """Both."""
        return self.alice, self.bob

    async def __aenter__(self) -> NetPair:
        await asyncio.gather(*(end.start() for end in self.ends))
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(end.stop() for end in self.ends))

    async def connect(self, *, audio: bool = True, video: bool = True) -> None:
        """Cameras open (with video), both in a call, both up."""
        if video:
            await asyncio.gather(*(end.open_camera() for end in self.ends))
        for end in self.ends:
            await end.do("set_sending", audio, video)
            await end.dial(offers=end is self.bob)
        await asyncio.gather(*(end.reported(PeerUp) for end in self.ends))
