"""Consent to send (RFC 7675), kept our way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from aioice import Connection
from aioice import ice as library
from aioice.stun import TransactionError

INTERVAL = 1.0
"""Seconds between two consent checks; RFC 7675 section 5.1 allows randomly more or less by a fifth."""

ROUND_TRIP_WEIGHT = 0.6
"""Of the former round trip in the smoothed one."""

EXPIRY = 30.0
"""Seconds since the last valid answer after which consent has expired (RFC 7675 section 5.1)."""


class Consent:
    """Closes the connection when no check has been answered for 30 s.

    Checks overlap, so that a round trip longer than their interval is no loss: the library allows
    each 0.5 s and six in a row, and so loses every call beyond 500 ms. `keep` takes the place of its
    `query_consent`; `on_check` is called about every second, `on_expired` before the connection closes.
    """

    def __init__(
        self,
        connection: Connection,
        on_expired: Callable[[], None],
        on_check: Callable[[], None] = lambda: None,
    ) -> None:
        self._connection = connection
        self._on_expired = on_expired
        self._on_check = on_check
        self._loop = asyncio.get_running_loop()
        self._answered = 0.0
        self._stopped = False
        self._checks: set[asyncio.Task[None]] = set()
        self.round_trip: float | None = None
        """Seconds, smoothed; it is known also to who sends nothing that the far end could report on."""

    async def keep(self) -> None:
        """Checks until expired, stopped or cancelled."""
        if self._stopped:  # the library begins in a connection that has been closed a moment before
            return
        self._answered = self._loop.time()
        self.ask()  # what it is told of the path is wanted when DTLS is up
        try:
            while self._loop.time() - self._answered < EXPIRY:
                await asyncio.sleep(INTERVAL * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
                self.ask()
                self._on_check()
        finally:
            for task in self._checks:
                task.cancel()
        self._on_expired()
        self._connection._query_consent_task = None  # close() would wait for this very task
        await self._connection.close()

    def stop(self) -> None:
        """No checks are wanted any more."""
        self._stopped = True

    def ask(self) -> None:
        """One more check of each nominated pair, now: an answer is a sign of life too."""
        for pair in self._connection._nominated.values():
            task = asyncio.create_task(self._check(pair))
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    async def _check(self, pair: library.CandidatePair) -> None:
        connection = self._connection
        request = connection.build_request(pair, nominate=False)
        key = (connection.remote_password or "").encode()
        asked = self._loop.time()
        try:
            await pair.protocol.request(request, pair.remote_addr, key, retransmissions=0)
        except TransactionError:
            return
        self._answered = self._loop.time()
        took = self._answered - asked
        before = took if self.round_trip is None else self.round_trip
        self.round_trip = ROUND_TRIP_WEIGHT * before + (1 - ROUND_TRIP_WEIGHT) * took
