"""What a session is to be told: a ring of pushes with sequence numbers, and the one stream that reads it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.signals import Candidates
from mediaagentd.hub.types import PushCall, PushMissed, PushSignal, Session

SIZE = 256
"""Pushes that a session may be behind."""

WEIGHT = 1 << 20
"""Bytes of relayed signals among them."""

STALL = 10.0
"""Seconds that a stream which has lost pushes may take to hear of it. After that nothing is kept for it: gRPC
can cut no stream whose far end reads nothing, so it must at least cost nothing.
"""


@dataclass(frozen=True, slots=True)
class Kicked:
    """A newer login won; the last push of a session."""

    device_id: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """A relayed signal as it came, opaque behind the edge, and its bytes."""

    signal: object
    weight: int


@dataclass(frozen=True, slots=True)
class Push:
    """One entry; `weight` in bytes."""

    sequence: int
    body: PushCall | PushMissed | PushSignal | Kicked
    weight: int


class Outbox:
    """The pushes of one session. When full the oldest go, and a reader that has not had them is cut.

    `base` is a number above every sequence that an earlier life of the hub may have given, so that an old
    cursor is never taken for one of ours. `restored`: what was pushed before is unknown.
    """

    def __init__(self, session: Session, base: int, *, restored: bool = False) -> None:
        self.session = session
        self.candidates = Candidates()
        self.ended = False
        self.kicked_by = ""
        self._base = base
        self._last = base
        self._fresh = not restored
        self._ring: deque[Push] = deque()
        self._weight = 0
        self._reader: Reader | None = None

    def push(self, body: PushCall | PushMissed | PushSignal | Kicked) -> None:
        """Adds a push; nothing after the end."""
        if self.ended:
            return
        weight = body.signal.weight if isinstance(body, PushSignal) and isinstance(body.signal, Parcel) else 0
        self._last += 1
        if self._reader is not None and self._reader.stalled and not isinstance(body, Kicked):
            return
        self._ring.append(Push(self._last, body, weight))
        self._weight += weight
        while len(self._ring) > SIZE or (self._weight > WEIGHT and len(self._ring) > 1):
            self._weight -= self._ring.popleft().weight
        if self._reader is not None:
            self._reader.wake()
            self._reader.look(self._first)

    def end(self, kicked_by: str = "") -> None:
        """The session is over; a kicked one is told by whom, now or when it comes back. No more than that is
        kept of it once nobody reads.
        """
        if kicked_by:
            self.kicked_by = kicked_by
            self.push(Kicked(kicked_by))
        self.ended = True
        self.candidates = Candidates()
        self._wake()
        if self._reader is None:
            self._keep_kick()
        else:
            self._reader.expect()

    def cut(self, refused: Refused) -> None:
        """Ends the stream, if there is one, for that reason."""
        if self._reader is not None:
            self._reader.cut(refused)

    def open(self, cursor: int) -> Reader:
        """The session's stream from now on: after `cursor` if the ring has all that followed it, else from
        now. Ends the stream before it. Of what was pushed while nobody read, each call is told as it is last:
        an invitation that is over meanwhile must not ring. (A signal may follow a revision that is left out:
        its call is in the welcome.)
        """
        position = self._base if cursor == 0 and self._fresh else cursor
        resumed = self._first - 1 <= position <= self._last
        older = self._reader
        self._reader = Reader(self, position if resumed else self._begin, resumed, self._outdated())
        if older is not None:
            older.cut(Refused(Reason.STREAM_REPLACED, "a newer stream of this session has begun"))
        return self._reader

    def give_up(self, reader: Reader) -> None:
        """That reader takes nothing. If it has not been replaced, nothing is kept for it but a kick."""
        if self._reader is reader:
            self._keep_kick()

    def shut(self, reader: Reader) -> None:
        """That reader has gone."""
        if self._reader is reader:
            self._reader = None
            if self.ended:
                self._keep_kick()

    def after(self, position: int) -> Push | None:
        """The next push. Refused: SUBSCRIBER_TOO_SLOW when it is in the ring no more."""
        if position == self._last:
            return None
        if position < self._first - 1:
            raise Refused(Reason.SUBSCRIBER_TOO_SLOW, f"more than {SIZE} pushes behind", {"limit": str(SIZE)})
        return self._ring[position + 1 - self._first]

    def _keep_kick(self) -> None:
        kick = [push for push in self._ring if isinstance(push.body, Kicked)]
        self._ring.clear()
        self._weight = 0
        self._ring.extend(kick)

    def _outdated(self) -> frozenset[int]:
        """The pushes of calls of which there is a newer one."""
        calls = [(p.sequence, p.body.call.call_id) for p in self._ring if isinstance(p.body, PushCall)]
        newest = {call_id: sequence for sequence, call_id in calls}
        return frozenset(sequence for sequence, call_id in calls if newest[call_id] != sequence)

    @property
    def _first(self) -> int:
        return self._ring[0].sequence if self._ring else self._last + 1

    @property
    def _begin(self) -> int:
        """Where a stream that does not resume begins: behind all, but a kick is never missed."""
        kicked = self._ring and isinstance(self._ring[-1].body, Kicked)
        return self._last - 1 if kicked else self._last

    def _wake(self) -> None:
        if self._reader is not None:
            self._reader.wake()


class Reader:
    """One stream's place in an outbox. `outdated` are pushes that it leaves out."""

    def __init__(self, outbox: Outbox, position: int, resumed: bool, outdated: frozenset[int]) -> None:
        self.resumed = resumed
        self._outdated = outdated
        self._outbox = outbox
        self._position = position
        self._refused: Refused | None = None
        self.stalled = False
        self._patience: asyncio.TimerHandle | None = None
        self._news = asyncio.Event()

    def wake(self) -> None:
        """There may be something new."""
        self._news.set()

    def look(self, first: int) -> None:
        """`first` is the oldest push that is left. Who has lost some is told so at its next turn; who takes
        none, because the far end reads nothing, has nothing kept for it after a while.
        """
        if self._position < first - 1:
            self.expect()

    def expect(self) -> None:
        """The far end has a while to read what ends this stream."""
        if self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(STALL, self._stall)

    def cut(self, refused: Refused) -> None:
        """The stream has to end, for that reason."""
        self._refused = refused
        self.wake()

    async def next(self, timeout: float) -> Push | None:
        """The next push; None when there was none for `timeout` seconds.

        Refused: SUBSCRIBER_TOO_SLOW, STREAM_REPLACED, SHUTTING_DOWN; SESSION_UNKNOWN when all is over.
        """
        try:
            async with asyncio.timeout(timeout):
                while (push := self._take()) is None:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return None
        return push

    def close(self) -> None:
        """The stream is over."""
        if self._patience is not None:
            self._patience.cancel()
        self._outbox.shut(self)

    def _stall(self) -> None:
        self.stalled = True
        self._outbox.give_up(self)

    def _take(self) -> Push | None:
        if self._refused is not None:
            raise self._refused
        while (push := self._outbox.after(self._position)) is not None:
            self._position = push.sequence
            if push.sequence not in self._outdated:
                return push
        if self._outbox.ended:
            raise Refused(Reason.SESSION_UNKNOWN, "the session is over: log in again")
        return None
