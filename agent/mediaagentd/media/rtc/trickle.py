"""Candidates one by one, before, in and after the descriptions (trickled, RFC 8838), both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog
from aiortc import RTCPeerConnection
from aiortc.sdp import candidate_from_sdp

from mediaagentd.media.rtc import negotiation, seams

_log = structlog.stdlib.get_logger()


class Trickle:
    """The candidates of one connection: ours never precede our description, theirs wait for theirs.

    `tell` gets each line of ours that comes after the description, "" when no more will, and its a=mid.
    """

    def __init__(self, connection: RTCPeerConnection, tell: Callable[[str, str], None]) -> None:
        self._connection = connection
        self._tell = tell
        self._described = self._applied = self._stopped = False
        self._late: list[str] = []
        self._early: list[str] = []
        self._taken = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def describe(self, sdp: str, *, complete: bool) -> str:
        """Our description as it leaves; `complete`: no more candidates will be found."""
        self._described = True
        asyncio.get_running_loop().call_soon(self._tell_late)
        return sdp if complete and not self._late else negotiation.without_end(sdp)

    def found(self, line: str) -> None:
        """One of ours, after those that the description names; "" when no more will come."""
        self._late.append(line)
        if self._described:
            self._tell_late()

    async def add(self, line: str) -> None:
        """One of theirs, "" for the end of them. Raises `Refused` when malformed or too many."""
        if line:
            if self._taken >= negotiation.MAX_CANDIDATES:
                raise negotiation.invalid(f"candidate: more than {negotiation.MAX_CANDIDATES} of them")
            negotiation.parse_candidate(line)
            self._taken += 1
        if self._applied:
            await self._add(line)
        elif line or "" not in self._early:
            self._early.append(line)

    async def apply(self, lines: Sequence[str], *, ended: bool) -> None:
        """Their description has been applied, and named these; `ended`: they are all."""
        self._applied = True
        room = negotiation.MAX_CANDIDATES - self._taken
        self._taken += len(lines)
        early, self._early = self._early, []
        ends = [""] if ended or "" in early else []
        for line in [*lines[: max(room, 0)], *filter(None, early), *ends]:
            await self._add(line)

    def stop(self) -> set[asyncio.Task[None]]:
        """Tells nothing more, looks up no more names. Returns what is still being cancelled."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        return set(self._tasks)

    def _tell_late(self) -> None:
        late, self._late = self._late, []
        for line in late:
            if not self._stopped:
                self._tell(line, seams.first_mid(self._connection))

    async def _add(self, line: str) -> None:
        transport = seams.ice_transport(self._connection)
        if not line:
            self._spawn(self._end)
            return
        parsed = negotiation.parse_candidate(line)
        if parsed is None:
            return
        candidate = candidate_from_sdp(parsed.attribute)
        if parsed.hidden:
            self._spawn(lambda: transport.addRemoteCandidate(candidate))
        else:
            await transport.addRemoteCandidate(candidate)

    async def _end(self) -> None:
        """Says that there are no more, after the names that are still being resolved."""
        current = asyncio.current_task()
        if others := [task for task in self._tasks if task is not current]:
            await asyncio.wait(others)
        await seams.ice_transport(self._connection).addRemoteCandidate(None)

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def guarded() -> None:
            try:
                await work()
            except Exception as error:
                _log.info("candidate_unusable", error=type(error).__name__)

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
