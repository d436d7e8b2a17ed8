"""The sockets of one connection, guarded: what the layers above do not survive ends here."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Iterator
from typing import Any

from aioice import Connection, stun
from aioice import ice as library

from mediaagentd.media.rtc.gate import Gate
from mediaagentd.media.rtc.proof import is_signed

REMOTE_CANDIDATES = 128
"""Remote candidates, those learned from checks too, beyond which new sources are not looked at."""

RETRY = 0.5
PATIENCE = 25.0
"""Seconds between the repetitions of a request, and until it has failed. The library doubles the pause up to
16 s: a network that comes back would not be noticed for as long."""

RETRIES = (0.1, 0.1, 0.1, 0.2, 0.2, 0.3)
FEW = 16
"""The first pauses, sooner than the 0.5 s of RFC 8445 section 14.3: browsers ask every 48 ms. Not where a far
end names more candidates than that: it may name others' addresses for us to ask.
"""

ANSWER = 5.0
"""Seconds that an answer to a request that is not repeated may take."""

MARK = 0x88
"""DSCP AF41 (RFC 2597), "multimedia conferencing" of RFC 4594 section 4.4. Audio and video share one
socket: EF for both would let a picture's burst be policed away, and the sound with it; one mark for both
keeps their order, on which jitter and loss detection rest."""

_COOKIE = stun.COOKIE.to_bytes(4, "big")
_REQUEST, _INDICATION, _SUCCESS, _ERROR = 0x0001, 0x0011, 0x0101, 0x0111  # of method Binding


class Exchange:
    """One request that waits for its answer; what the library calls a transaction."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        self.answer: asyncio.Future[tuple[stun.Message, tuple[str, int]]] = asyncio.Future()

    def response_received(self, message: stun.Message, addr: tuple[str, int]) -> None:
        """An answer; one that is not signed with the key is ignored (RFC 8489 section 9.1.4)."""
        if self._key is not None and not message.check_message_integrity(self._key):
            return
        if not self.answer.done():
            self.answer.set_result((message, addr))


class GuardedProtocol(library.StunProtocol):
    """Lets through only what the layers above survive, and of strangers nothing.

    Stock: one empty datagram ends the call (`data[0]` in the DTLS loop), malformed STUN raises
    `struct.error` out of the event loop, data is taken from anybody. The first byte tells who a datagram is
    for (RFC 7983 section 7).
    """

    def __init__(self, receiver: Connection, gate: Gate) -> None:
        super().__init__(receiver)
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._fragment = f"{receiver.local_username}:".encode()
        self._password = receiver.local_password.encode()

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Hands one datagram on or drops it."""
        if not data or isinstance(data, str):
            return self._gate.tally.add()
        first = data[0]
        if first < 4:
            return self._stun(data, (addr[0], addr[1]))
        if (128 <= first < 192 or 20 <= first < 64) and (addr[0], addr[1]) in self._gate.trusted:
            return self.receiver.data_received(data, self.local_candidate.component)
        return self._gate.tally.add()

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        """A success says that the far end's request was authentic."""
        if message.message_class == stun.Class.RESPONSE:
            self._gate.trust(addr, self._loop.time())
        super().send_stun(message, addr)

    async def request(
        self,
        request: stun.Message,
        addr: tuple[str, int],
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[stun.Message, tuple[str, int]]:
        """As the library's, but patient; with `retransmissions` 0 it is sent once. TransactionError."""
        if integrity_key is not None:
            request.add_message_integrity(integrity_key)
        exchange = Exchange(integrity_key)
        self.transactions[request.transaction_id] = exchange  # type: ignore[assignment] # in its place
        try:
            for pause in (ANSWER,) if retransmissions == 0 else self._pauses():
                self.send_stun(request, addr)
                if (await asyncio.wait([exchange.answer], timeout=pause))[0]:
                    break
            else:
                raise stun.TransactionTimeout
        finally:
            del self.transactions[request.transaction_id]
        message, source = exchange.answer.result()
        if message.message_class == stun.Class.ERROR:
            raise stun.TransactionFailed(message)
        if integrity_key is not None:
            self._gate.trust(source, self._loop.time())
        return message, source

    def _pauses(self) -> Iterator[float]:
        retries = RETRIES if len(self.receiver._remote_candidates) <= FEW else ()
        yield from retries
        yield from itertools.repeat(RETRY, round((PATIENCE - sum(retries)) / RETRY))

    def _stun(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._is_wanted(data, addr):
            if not self._is_late(data, addr):
                self._gate.tally.add()
            return
        try:
            super().datagram_received(data, addr)
        except Exception:  # whatever a hostile datagram provokes ends here
            self._gate.tally.add()

    def _is_wanted(self, data: bytes, addr: tuple[str, int]) -> bool:
        """Before any of it is parsed, which costs ten to a hundred times as much. What is forged in the far
        end's name must not use up its rate, or its consent would starve (RFC 7675).
        """
        if not _is_stun(data):
            return False
        kind = data[0] << 8 | data[1]
        if kind in (_SUCCESS, _ERROR):
            return data[8:20] in self.transactions
        if kind != _REQUEST or self._fragment not in data:
            return kind == _INDICATION and addr in self._gate.trusted
        if not is_signed(data, self._password) or not self._gate.may_ask(addr, self._loop.time()):
            return False
        return addr in self._gate.trusted or len(self.receiver._remote_candidates) < REMOTE_CANDIDATES

    def _is_late(self, data: bytes, addr: tuple[str, int]) -> bool:
        """Whether it is a further answer of the far end's to a request that was repeated."""
        kind = int.from_bytes(data[:2], "big")
        return _is_stun(data) and kind in (_SUCCESS, _ERROR) and addr in self._gate.trusted


def mark(sock: socket.socket | None) -> None:
    """Marks what the socket sends; a system that does not allow it loses nothing else."""
    if sock is None:
        return
    try:
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, MARK)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, MARK)
    except OSError:
        return


def _is_stun(data: bytes) -> bool:
    return len(data) >= 20 and data[4:8] == _COOKIE
