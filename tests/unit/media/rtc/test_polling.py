"""When a socket is polled, by arithmetic on `now`, and what the system's stamps say."""

from __future__ import annotations

import socket
import struct
import time

import pytest
from mediaagentd.media.rtc.polling import CALM, SO_TIMESTAMPNS, Calm, waited


class Call:
    """Looked at every second."""

    def __init__(self) -> None:
        self.calm = Calm()
        self.now, self.sent, self.borrowed, self.pictures = 100.0, 0, 0, 0

    def look(self, *, packets: int = 50, borrowed: int = 50, pictures: int = 0) -> bool:
        self.now += 1
        self.sent += packets
        self.borrowed += borrowed
        self.pictures += pictures
        return self.calm.look(self.now, self.sent, self.borrowed, (self.pictures, 0))

    def calms_after(self) -> int:
        return next(looks for looks in range(1, 100) if self.look())


def test_sound_alone_is_calm_after_a_while() -> None:
    assert Call().calms_after() == CALM + 1


def test_whatever_else_comes_is_no_calm_for_a_while() -> None:
    call = Call()
    call.calms_after()
    assert not call.look(pictures=1)
    assert call.calms_after() == CALM


@pytest.mark.parametrize(("packets", "borrowed"), [(0, 50), (30, 50), (50, 0), (50, 30)])
def test_who_sends_seldom_or_from_the_loop_itself_does_not_poll(packets: int, borrowed: int) -> None:
    call = Call()
    call.calms_after()
    assert not call.look(packets=packets, borrowed=borrowed)
    assert call.look()


def test_what_the_system_has_stamped_tells_how_long_it_waited() -> None:
    def stamped(seconds: float) -> list[tuple[int, int, bytes]]:
        whole = int(seconds)
        data = struct.pack("@ll", whole, int((seconds - whole) * 1e9))
        return [(socket.SOL_SOCKET, SO_TIMESTAMPNS, data)]

    assert waited(stamped(time.time() - 0.01)) == pytest.approx(0.01, abs=0.009)
    assert waited(stamped(time.time() + 3600)) == 0
    assert waited([]) == waited([(socket.SOL_SOCKET, SO_TIMESTAMPNS, b"?")]) == 0


def test_the_system_stamps_what_comes() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        sock.sendto(b"sent", sock.getsockname())
        sent = time.monotonic()
        data, ancillary, _, _ = sock.recvmsg(100, 100)
        assert data == b"sent"
        assert len(ancillary) == 1
        assert 0 < waited(ancillary) <= time.monotonic() - sent + 0.01
