"""Transport-wide feedback: when each packet of the whole transport arrived, so that a browser estimates
the bandwidth by itself (draft-holmer-rmcat-transport-wide-cc-extensions-01). Pure.

Told only of a bitrate (REMB), Chromium starts at 0.3 Mbit/s and adds 8 % a second; told of arrivals, it
probes. Far ends of our own kind do not number their packets for it, and go on with REMB.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from mediaagentd.media.rtc.reception import Unwrapper

URI: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
"""Of the RTP header extension with the transport-wide sequence number."""

INTERVAL: Final = 0.05
"""Seconds of arrivals that make one report; libwebrtc's are of 50 to 250 ms."""

REMEMBERED: Final = 0.5
"""Seconds that an arrival is told of again, should one from before it still come."""

MOST: Final = 400
"""Arrivals in one report: it fits into one datagram. What is over waits for the next."""

START: Final = 600
"""Kilobits a second with which a browser that is told of arrivals shall begin (libwebrtc's
`x-google-start-bitrate`). It begins with 300 by itself, chooses 320x180 for that, which takes 600 at the
most, and leaves that size late: when pictures are easy.
"""

FORMAT: Final = 15
"""FMT of the transport-layer feedback message (section 3.1)."""

_TICK: Final = 0.00025
_REFERENCE: Final = 0.064
_LOST, _SMALL, _LARGE = 0, 1, 2
_LONGEST_RUN: Final = 8191
_VECTOR: Final = 7

_EXTMAP: Final = re.compile(r"a=extmap:(\d{1,2})(?:/\w+)? " + re.escape(URI) + r"(?: .*)?")
_CODEC: Final = re.compile(r"a=rtpmap:(\d+) (?!rtx/).*")
_ANY_EXTMAP: Final = re.compile(r"^a=extmap:(\d{1,2})", re.MULTILINE)


class Arrivals:
    """The packets of one transport as they come, and the reports on them."""

    def __init__(self) -> None:
        self._unwrap = Unwrapper(16)
        self._arrived: dict[int, float] = {}
        self._next: int | None = None
        self._due: float | None = None
        self._count = 0

    def add(self, sequence: int, now: float) -> None:
        """A packet that arrived at `now` seconds."""
        extended = self._unwrap.unwrap(sequence)
        if extended in self._arrived:
            return
        self._arrived[extended] = now
        self._next = extended if self._next is None else min(self._next, extended)
        if self._due is None:
            self._due = now + INTERVAL

    def deadline(self) -> float | None:
        """When a report is due; None when there is nothing to tell."""
        return self._due

    def report(self, now: float) -> bytes | None:
        """The feedback control information (section 3.1) when it is due."""
        if self._due is None or now < self._due:
            return None
        assert self._next is not None
        told = self._told(self._next)
        fci = _encode(self._next, told, self._arrived, self._count)
        self._count = (self._count + 1) & 0xFF
        self._next = told[-1] + 1
        rest = any(number >= self._next for number in self._arrived)
        self._due = now if rest else None
        self._arrived = {n: at for n, at in self._arrived.items() if at > now - REMEMBERED or n >= self._next}
        return fci

    def _told(self, first: int) -> list[int]:
        """Which arrivals the next report tells of: as many as fit, none too far in time from the one
        before it.
        """
        waiting = sorted(number for number in self._arrived if number >= first)[:MOST]
        clock = self._arrived[waiting[0]]
        for index, number in enumerate(waiting):
            if abs(self._arrived[number] - clock) > 8 or number - first > 0x7FFF:
                return waiting[:index]
            clock = self._arrived[number]
        return waiting


def _encode(base: int, told: Sequence[int], arrived: dict[int, float], count: int) -> bytes:
    """Reference time, a status for every number from `base` to the last told, a delta for each arrival."""
    reference = int(arrived[told[0]] / _REFERENCE)
    clock = round(reference * _REFERENCE / _TICK)
    statuses, deltas = [], bytearray()
    expected = base
    for number in told:
        statuses += [_LOST] * (number - expected)
        expected = number + 1
        at = round(arrived[number] / _TICK)
        delta, clock = at - clock, at
        small = 0 <= delta <= 0xFF
        statuses.append(_SMALL if small else _LARGE)
        deltas += struct.pack("!B", delta) if small else struct.pack("!h", delta)
    head = struct.pack("!HH", base & 0xFFFF, len(statuses))
    time = ((reference & 0xFFFFFF) << 8 | count).to_bytes(4, "big")
    return head + time + b"".join(_chunks(statuses)) + bytes(deltas)


def _chunks(statuses: Sequence[int]) -> Iterator[bytes]:
    """Run-length chunks (section 3.1.3) for what is long enough, else two-bit vectors (3.1.4)."""
    runs = [(status, len(list(group))) for status, group in groupby(statuses)]
    waiting: list[int] = []
    for status, length in runs:
        left = length
        if waiting or left < _VECTOR:
            fill = min(left, _VECTOR - len(waiting))
            waiting += [status] * fill
            left -= fill
            if len(waiting) == _VECTOR:
                yield _vector(waiting)
                waiting = []
        while left >= _VECTOR:
            run = min(left, _LONGEST_RUN)
            yield struct.pack("!H", status << 13 | run)
            left -= run
        waiting += [status] * left
    if waiting:
        yield _vector(waiting)


def _vector(statuses: Sequence[int]) -> bytes:
    bits = 0
    for status in [*statuses, *[_LOST] * (_VECTOR - len(statuses))]:
        bits = bits << 2 | status
    return struct.pack("!H", 0xC000 | bits)


def packet(sender: int, media: int, fci: bytes) -> bytes:
    """The RTCP packet, padded to whole words (RFC 4585 section 6.1)."""
    pad = -len(fci) % 4
    padding = bytes(pad - 1) + bytes([pad]) if pad else b""
    words = (12 + len(fci) + pad) // 4 - 1
    first = 0x80 | (0x20 if pad else 0) | FORMAT
    return struct.pack("!BBHII", first, 205, words, sender, media) + fci + padding


# --------------------------------------------------------------------------------- descriptions


def extension(sdp: str) -> int | None:
    """The extension's number in the video section of a description; None without it."""
    found = [match for line in _video(sdp) if (match := _EXTMAP.fullmatch(line))]
    return next((number for match in found if 1 <= (number := int(match[1])) <= 14), None)


def offer(sdp: str) -> str:
    """Our offer with it, under a number that is free in all sections: they are bundled."""
    taken = {int(number) for number in _ANY_EXTMAP.findall(sdp)}
    free = next((number for number in range(1, 15) if number not in taken), None)
    return sdp if free is None else _with(sdp, free)


def answer(sdp: str, remote: str) -> str:
    """Our answer, with it when `remote` offers it."""
    number = extension(remote)
    offered = any(line.startswith("a=rtcp-fb:") and line.endswith(" transport-cc") for line in _video(remote))
    return _with(sdp, number) if number is not None and offered else sdp


def agreed(local: str, remote: str) -> int | None:
    """The extension's number when both descriptions have it."""
    number = extension(local)
    return number if number is not None and number == extension(remote) else None


def _video(sdp: str) -> list[str]:
    """The lines of the video section."""
    lines = sdp.replace("\r\n", "\n").split("\n")
    start = next((number for number, line in enumerate(lines) if line.startswith("m=video ")), len(lines))
    end = next(
        (number for number, line in enumerate(lines[start + 1 :], start + 1) if line.startswith("m=")),
        len(lines),
    )
    return lines[start:end]


def _with(sdp: str, number: int) -> str:
    """The description with the extension, and the feedback and start of each codec in its video section."""
    section = _video(sdp)
    if not section:
        return sdp
    formats = {match[1] for line in section if (match := _CODEC.fullmatch(line))}
    described = {line.removeprefix("a=fmtp:").split(" ")[0] for line in section if line.startswith("a=fmtp:")}
    out = []
    for line in section:
        kind, _, format_ = line.split(" ")[0].partition(":")
        own = kind == "a=fmtp" and format_ in formats
        out.append(f"{line};x-google-start-bitrate={START}" if own else line)
        if kind == "a=rtpmap" and format_ in formats:
            out.append(f"a=rtcp-fb:{format_} transport-cc")
            if format_ not in described:
                out.append(f"a=fmtp:{format_} x-google-start-bitrate={START}")
        elif kind == "a=mid":
            out.append(f"a=extmap:{number} {URI}")
    lines = sdp.replace("\r\n", "\n").split("\n")
    start = lines.index(section[0])
    return "\r\n".join([*lines[:start], *out, *lines[start + len(section) :]])
