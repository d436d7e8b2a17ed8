"""A socket that is read when there is something to send anyway, instead of waking for what comes.

A call of sound wakes a device fifty times a second to send and fifty times to read, and what a wake-up costs
is less the work than the caches that a sleep of some milliseconds has left cold. Where nothing but sound
flows and nothing is lost, the second fifty are left out: the microphone's thread, which borrows the loop to
send its 20 ms (`lending.py`), reads what has come, and the speaker's does before it plays. So sound is heard
no later. Answers wait, for 20 ms at the most; hence the first sign of trouble, or of pictures, ends it.
What is measured by arrivals goes by the system's own stamps (SO_TIMESTAMPNS, socket(7)).
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from mediaagentd.lending import LendingLoop
from mediaagentd.media.rtc import seams
from mediaagentd.media.rtc.wire import LARGEST, Wire

_log = structlog.stdlib.get_logger()

CALM: Final = 5.0
"""Seconds without any sign of trouble or of pictures before a socket is polled."""

FLOWS: Final = 40.0
"""Packets of sound that are sent a second, at least."""

FEW: Final = 8
"""Datagrams at once, beyond which it is not calm."""

SO_TIMESTAMPNS: Final = 35
"""Of asm-generic/socket.h."""

_TIMESPEC: Final = struct.Struct("@ll")
_SPACE: Final = socket.CMSG_SPACE(_TIMESPEC.size)


class Calm:
    """Whether it is, by looks about every second. `signs`: counters of what is no calm. Pure."""

    def __init__(self) -> None:
        self._signs: tuple[int, ...] = ()
        self._since = math.inf
        self._flow: tuple[int, int] = (0, 0)
        self._looked = -math.inf

    def look(self, now: float, sent: int, borrowed: int, signs: tuple[int, ...]) -> bool:
        """`sent`: packets of sound so far, `borrowed`: turns of the loop. Where that sends by itself, as an
        echo does, nobody else reads.
        """
        if signs != self._signs:
            self._signs, self._since = signs, now
        flow = min(sent - self._flow[0], borrowed - self._flow[1])
        flows = flow >= FLOWS * (now - self._looked)
        self._flow, self._looked = (sent, borrowed), now
        return flows and now - self._since >= CALM


class Polling:
    """Of one connection; `sent` counts packets of our sound, `signs` what is no calm. Only on a loop that
    lends its turn, and not over a relay.
    """

    def __init__(self, wire: Wire, *, sent: Callable[[], int], signs: Callable[[], tuple[int, ...]]) -> None:
        self._wire = wire
        self._sent = sent
        self._signs = signs
        loop = asyncio.get_running_loop()
        self._loop = loop if isinstance(loop, LendingLoop) else None
        self._calm = Calm()
        self._known: tuple[int, ...] = ()
        self._stops = 0
        self._transport: asyncio.DatagramTransport | None = None
        self._socket: socket.socket | None = None
        self._protocol: Any = None
        self._closed = False
        if self._loop is not None:
            self._loop.expect(1)

    @property
    def polls(self) -> bool:
        """Whether it does at present."""
        return self._socket is not None

    def look(self) -> None:
        """About every second: whether to begin or to end."""
        if self._loop is None or self._closed:
            return
        known, now = self._signs(), self._loop.time()
        if not self._calm.look(now, self._sent(), self._loop.borrowed, (*known, self._stops)):
            self._end()
            return
        try:
            transport = self._wire.way()[0].transport
        except ConnectionError:
            return
        if transport is not self._transport:
            self._end()
            self._begin(transport, known, self._loop)

    def poll(self) -> None:
        """Reads what has come; see `Polled`."""
        sock, transport, loop = self._socket, self._transport, self._loop
        if sock is None or transport is None or loop is None:
            return
        # What came while the loop was at work would not have been read sooner either; and the machine's clock
        # may have been set behind a stamp.
        idle = loop.idle
        try:
            for _ in range(FEW):
                data, ancillary, _, address = sock.recvmsg(LARGEST, _SPACE)
                self._wire.late = min(idle, waited(ancillary))
                self._protocol.datagram_received(data, address)
            self.stop()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self._protocol.error_received(error)
        finally:
            self._wire.late = 0.0
        if self._signs() != self._known or transport.is_closing():
            self.stop()

    def stop(self) -> None:
        """The loop waits for the socket again, for `CALM` seconds at least."""
        self._stops += 1
        self._end()

    def close(self) -> None:
        """The connection is over."""
        self.stop()
        if self._loop is not None and not self._closed:
            self._closed = True
            self._loop.expect(-1)

    def _end(self) -> None:
        transport, self._transport, self._socket = self._transport, None, None
        if transport is not None and self._loop is not None:
            self._loop.leave(self)
            _log.debug("sound_awaited")
            seams.read_again(transport)

    def _begin(self, transport: asyncio.DatagramTransport, known: tuple[int, ...], loop: LendingLoop) -> None:
        sock = seams.udp_socket(transport)
        if sock is None or not _stamps(sock):
            return
        self._transport, self._socket, self._protocol = transport, sock, transport.get_protocol()
        self._known = known
        _log.debug("sound_polled")
        seams.read_no_more(transport)
        loop.poll(self)


def waited(ancillary: Sequence[tuple[int, int, bytes]]) -> float:
    """Seconds since the system got what it has stamped so; 0 when it has not."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            stamped: float = seconds + nanoseconds / 1e9
            return max(0.0, time.time() - stamped)
    return 0.0


def _stamps(sock: socket.socket) -> bool:
    """Whether what comes is stamped from now on."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True
