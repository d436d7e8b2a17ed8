"""The switch of a laboratory: `python -m tests.netlab.relay INTERFACE ...`, in its own namespace.

Learns which address is behind which port, as switches do. Each port has a wire up and a wire down. Orders
come as JSON lines on stdin, `{"port": 0, "seed": 1, "impairment": {...}}`, and are answered by a line
each. ARP passes unimpaired except through an outage.
"""

from __future__ import annotations

import heapq
import itertools
import json
import os
import select
import socket
import sys
import time
from dataclasses import dataclass, field

from tests.netlab.profiles import CLEAN, Impairment
from tests.netlab.wire import Wire

_SOL_PACKET, _IGNORE_OUTGOING = 263, 23
_EVERY_PROTOCOL, _ARP, _BROADCAST_BIT = 3, 0x0806, 1
_ETHERNET = 14
"""Bytes of a header that the wire's rate does not count."""


@dataclass(slots=True)
class _Port:
    number: int
    sock: socket.socket
    impairment: Impairment = CLEAN
    up: Wire = field(default_factory=lambda: Wire(CLEAN, 0))
    down: Wire = field(default_factory=lambda: Wire(CLEAN, 0))


class Switch:
    """Moves frames between the ports until stdin ends."""

    def __init__(self, interfaces: list[str]) -> None:
        self._ports = [_Port(number, _listen(name)) for number, name in enumerate(interfaces)]
        self._homes: dict[bytes, _Port] = {}
        self._due: list[tuple[float, int, _Port, bytes]] = []
        self._count = itertools.count()
        self._orders = b""

    def run(self) -> None:
        """Until stdin ends."""
        by_fd = {port.sock.fileno(): port for port in self._ports}
        while True:
            wait = self._due[0][0] - time.monotonic() if self._due else None
            ready, _, _ = select.select([0, *by_fd], [], [], None if wait is None else max(0.0, wait))
            for fd in ready:
                if fd == 0 and not self._obey():
                    return
                if fd in by_fd:
                    self._receive(by_fd[fd])
            self._deliver(time.monotonic())

    def _obey(self) -> bool:
        data = os.read(0, 65536)
        *lines, self._orders = (self._orders + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            port = self._ports[order["port"]]
            port.impairment = Impairment(**order["impairment"])
            port.up = Wire(port.impairment, order["seed"])
            port.down = Wire(port.impairment, order["seed"] + 1)
            print("done", flush=True)
        return bool(data)

    def _receive(self, port: _Port) -> None:
        for _ in range(64):
            try:
                frame = port.sock.recv(65536)
            except BlockingIOError:
                return
            except OSError:  # the interface is down
                return
            self._homes[frame[6:12]] = port
            now = time.monotonic()
            for target in self._targets(frame, port):
                for due in _times(frame, port, target, now):
                    heapq.heappush(self._due, (due, next(self._count), target, frame))

    def _targets(self, frame: bytes, origin: _Port) -> list[_Port]:
        home = self._homes.get(frame[:6])
        if home is not None and not frame[0] & _BROADCAST_BIT:
            return [home] if home is not origin else []
        return [port for port in self._ports if port is not origin]

    def _deliver(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            _, _, port, frame = heapq.heappop(self._due)
            try:
                port.sock.send(frame)
            except OSError:  # the interface is down, or its queue full: lost
                continue


def _times(frame: bytes, origin: _Port, target: _Port, now: float) -> list[float]:
    """Arrival at `target` of what left `origin` at `now`."""
    if int.from_bytes(frame[12:14], "big") == _ARP:
        return [] if origin.impairment.loss >= 1 or target.impairment.loss >= 1 else [now]
    size = len(frame) - _ETHERNET
    return [due for there in origin.up.carry(size, now) for due in target.down.carry(size, there)]


def _listen(interface: str) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind((interface, _EVERY_PROTOCOL))
    sock.setblocking(False)
    return sock


if __name__ == "__main__":
    switch = Switch(sys.argv[1:])
    print("ready", flush=True)
    switch.run()
