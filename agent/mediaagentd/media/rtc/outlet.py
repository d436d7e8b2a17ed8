"""RTP from us to the socket: sealed in place, and what leaves together in one system call.

The system's cost of a packet is mostly that of a call and of a way through its layers; it takes packets of
one size, of which the last may be smaller, as one large datagram and cuts them apart at the end of that
way (UDP generic segmentation offload, udp(7): UDP_SEGMENT).
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from pylibsrtp import Session

from mediaagentd.media.rtc import seams

TOGETHER: Final = 16
"""Packets that are sealed and handed over together; the pacer lets no more go at once."""

SLOT: Final = 1536
"""Bytes of the place of one packet, trailer included: a multiple of the words that SRTP works on."""

UDP_SEGMENT: Final = 103
"""Of linux/udp.h."""

CANNOT: Final = frozenset({errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP})
"""What a system says that cannot cut packets apart on that way: no checksums by the device, a path narrower
than the packets."""

_SIZE = struct.Struct("@H")


class Outlet:
    """Of one connection; `way` as `seams.outgoing` gives it. What goes by itself is copied: a relay's
    transport keeps it for later.
    """

    def __init__(self, way: Callable[[], tuple[seams.Way, Session]]) -> None:
        self._way = way
        self._slots = seams.Slots(TOGETHER, SLOT)
        self._socket: socket.socket | None = None
        self._known: object = None  # the transport that `_socket` is of, if it cuts packets apart

    def send(self, packets: Sequence[bytes]) -> None:
        """Raises: ConnectionError."""
        way, session = self._way()
        if len(packets) == 1:  # sound
            way.transport.sendto(bytes(self._slots.seal(session, packets)[0]), way.address)
            return
        if way.transport is not self._known:
            self._known, self._socket = way.transport, cutting(seams.udp_socket(way.transport))
        for at in range(0, len(packets), TOGETHER):
            sealed = self._slots.seal(session, packets[at : at + TOGETHER])
            for begin, end in runs([len(each) for each in sealed]):
                if end - begin == 1 or not self._together(sealed[begin:end], way):
                    for each in sealed[begin:end]:
                        way.transport.sendto(bytes(each), way.address)

    def _together(self, run: Sequence[memoryview], way: seams.Way) -> bool:
        """Whether all have been handed over in one call."""
        if self._socket is None or seams.backlog(way.transport):
            return False
        cut = [(socket.IPPROTO_UDP, UDP_SEGMENT, _SIZE.pack(len(run[0])))]
        try:
            self._socket.sendmsg(run, cut, 0, way.address)
        except OSError as error:  # what it is about, if it is anything else, shows when they go one by one
            if error.errno in CANNOT:
                self._socket = None
            return False
        return True


def cutting(sock: socket.socket | None) -> socket.socket | None:
    """The socket, if its system knows how to cut packets apart: one that does not would send them as one."""
    try:
        if sock is not None:
            sock.getsockopt(socket.IPPROTO_UDP, UDP_SEGMENT)
    except OSError:
        return None
    return sock


def runs(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Begin and end of what can go in one call: as many of one size as there are, and one that is smaller."""
    begin = 0
    for at in range(1, len(sizes)):
        if sizes[at] > sizes[begin] or sizes[at - 1] < sizes[begin]:
            yield begin, at
            begin = at
    if sizes:
        yield begin, len(sizes)
