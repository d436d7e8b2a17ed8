"""Hosts, their links, and what is done to them. See the package."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import itertools
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, TypeVar

from tests.netlab.profiles import CLEAN, Impairment, Phase

T = TypeVar("T")

REPOSITORY = Path(__file__).resolve().parents[2]
PREFIX = "netlab"
_NAMESPACES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_SIOCETHTOOL: Final = 0x8946
_OFFLOADS: Final = (0x17, 0x1F, 0x24)  # ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO
_libc = ctypes.CDLL(None, use_errno=True)
_labs = itertools.count()


def unavailable() -> str | None:
    """Why there can be no laboratory here; None when there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in ("ip", "nft") if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


class Host:
    """A namespace with one interface `eth0`. Its address changes with `readdress`."""

    def __init__(self, name: str, namespace: str, number: int, family: int = 4) -> None:
        self.name = name
        self._family = family
        self.namespace = namespace
        self.number = number
        self.impairment = CLEAN
        self._moves = 0

    @property
    def address(self) -> str:
        """The present address."""
        return self._at(self._moves)

    def _at(self, place: int) -> str:
        host = self.number + 1
        return f"10.77.{place}.{host}" if self._family == 4 else f"fd77::{place}:{host}"

    @property
    def network(self) -> str:
        """What follows the address where it is made one of the interface's."""
        return "/16 dev eth0" if self._family == 4 else "/64 dev eth0 nodad"

    @property
    def mac(self) -> str:
        """Of its interface, for ever."""
        return f"02:77:00:00:00:{self.number + 1:02x}"

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put in front of a command so that it runs here."""
        return ("ip", "netns", "exec", self.namespace)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is in the namespace: sockets that it makes stay there. Never await in it."""
        with (
            Path("/proc/thread-self/ns/net").open("rb") as home,
            (_NAMESPACES / self.namespace).open("rb") as here,
        ):
            _enter(here.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def udp(self, port: int = 0) -> socket.socket:
        """A socket of this host, not blocking."""
        with self.inside():
            family = socket.AF_INET if self._family == 4 else socket.AF_INET6
            sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.setblocking(False)
        sock.bind((self.address, port))
        return sock

    async def link(self, *, up: bool) -> None:
        """Plugs the cable in or out; processes here are told by the kernel."""
        await asyncio.to_thread(_ip, f"-n {self.namespace} link set eth0 {'up' if up else 'down'}")

    async def another_address(self) -> str:
        """One more, as when a cable is plugged in; the present one stays."""
        address = self._at(200)
        await asyncio.to_thread(_ip, f"-n {self.namespace} address add {address}{self.network}")
        return address

    async def readdress(self) -> None:
        """Another address instead of the present one, as when a device roams."""
        before = self.address
        self._moves += 1
        await asyncio.to_thread(
            _ip,
            f"-n {self.namespace} address add {self.address}{self.network}",
            f"-n {self.namespace} address delete {before}{self.network.removesuffix(' nodad')}",
        )


class Lab:
    """As many hosts as names, with IPv4 or (`family` 6) IPv6 alone. `seed` makes the relay's decisions
    repeatable.
    """

    def __init__(self, *names: str, seed: int = 1, family: int = 4) -> None:
        number = next(_labs)
        stem = f"{PREFIX}-{os.getpid()}-{number}"
        self.hosts = tuple(Host(name, f"{stem}-{name}", index, family) for index, name in enumerate(names))
        self._family = family
        self._core = f"{stem}-core"
        self._seed = seed
        self._relay: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()

    def __getitem__(self, name: str) -> Host:
        return next(host for host in self.hosts if host.name == name)

    async def __aenter__(self) -> Lab:
        try:
            await asyncio.to_thread(self._build)
            self._relay = await asyncio.create_subprocess_exec(
                "ip", "netns", "exec", self._core, sys.executable, "-m", "tests.netlab.relay",
                *(f"port{host.number}" for host in self.hosts), cwd=REPOSITORY,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            await self._answer()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._relay is not None:
            assert self._relay.stdin is not None
            self._relay.stdin.close()
            await self._relay.wait()
        await asyncio.to_thread(self._remove)

    async def impair(self, host: Host, impairment: Impairment) -> None:
        """From now on that host's link is like that, both ways. What is under way arrives as before."""
        async with self._lock:
            host.impairment = impairment
            self._seed += 2
            order = {"port": host.number, "seed": self._seed, "impairment": asdict(impairment)}
            assert self._relay is not None
            assert self._relay.stdin is not None
            self._relay.stdin.write(json.dumps(order).encode() + b"\n")
            await self._answer()
            await asyncio.gather(*(asyncio.to_thread(self._filter, each) for each in self.hosts))

    async def play(self, host: Host, phases: Sequence[Phase]) -> None:
        """One after the other, each for its time; the last one stays."""
        for phase in phases:
            await self.impair(host, phase.impairment)
            await asyncio.sleep(phase.seconds)

    async def _answer(self) -> None:
        assert self._relay is not None
        assert self._relay.stdout is not None
        async with asyncio.timeout(30):
            if not await self._relay.stdout.readline():
                raise RuntimeError("the relay has ended")

    def _build(self) -> None:
        _remove_orphans()
        _ip(f"netns add {self._core}")
        _settle(self._core)
        for host in self.hosts:
            _ip(f"netns add {host.namespace}")
            _settle(host.namespace, self._family)
            port = f"port{host.number}"
            _ip(
                f"-n {self._core} link add {port} type veth peer name eth0 netns {host.namespace}",
                f"-n {self._core} link set {port} up",
                f"-n {host.namespace} link set lo up",
                f"-n {host.namespace} link set eth0 address {host.mac}",
                f"-n {host.namespace} address add {host.address}{host.network}",
                f"-n {host.namespace} link set eth0 up",
            )
            in_thread(lambda host=host: _no_offload(host))  # type: ignore[misc]

    def _remove(self) -> None:
        for namespace in (self._core, *(host.namespace for host in self.hosts)):
            if (_NAMESPACES / namespace).exists():
                _remove(namespace)

    def _filter(self, host: Host) -> None:
        """The loss of packets to this host: its own link's, and that of each sender's link."""
        rules = [_drop("", host.impairment.filtered_loss)]
        rules += [
            _drop(f"ether saddr {other.mac} ", other.impairment.filtered_loss)
            for other in self.hosts
            if other is not host
        ]
        text = (
            "table inet lab\ndelete table inet lab\ntable inet lab {\nchain arriving {\n"
            "type filter hook prerouting priority raw; policy accept;\n"
            'iifname "lo" accept\n' + "".join(rules) + "}\n}\n"
        )
        subprocess.run([*host.prefix, "nft", "-f", "-"], input=text.encode(), check=True, timeout=30)


def in_thread(work: Callable[[], T]) -> T:
    """Runs in a thread of its own, whose namespace may be changed."""
    result: list[T] = []
    thread = threading.Thread(target=lambda: result.append(work()))
    thread.start()
    thread.join()
    return result[0]


def _drop(match: str, loss: float) -> str:
    return f"{match}numgen random mod 10000 < {round(loss * 10000)} drop\n" if loss > 0 else ""


def _ip(*commands: str) -> None:
    for command in commands:
        done = subprocess.run(["ip", *command.split()], capture_output=True, text=True, timeout=30)
        if done.returncode:
            raise RuntimeError(f"ip {command}: {done.stderr.strip()}")


def _settle(namespace: str, family: int = 4) -> None:
    """No IPv6 unless it is wanted, since its own messages would be packets that nobody asked for, and no
    address of it that nobody gave; a second address of a net stays when the first goes.
    """
    without = str(int(family == 4))
    settings = {
        "net/ipv6/conf/all/disable_ipv6": without,
        "net/ipv6/conf/default/disable_ipv6": without,
        "net/ipv6/conf/default/accept_ra": "0",
        "net/ipv6/conf/default/accept_dad": "0",
        "net/ipv4/conf/all/promote_secondaries": "1",
    }

    def write() -> None:
        with Host("", namespace, 0).inside():
            for name, value in settings.items():
                path = Path("/proc/sys") / name
                if path.exists():
                    path.write_text(value)

    in_thread(write)


def _no_offload(host: Host) -> None:
    """Checksums and segments are made before a packet leaves: the relay copies bytes."""
    with host.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for command in _OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", command, 0), 8)
            request = struct.pack("16sP", b"eth0", ctypes.addressof(value))
            fcntl.ioctl(sock.fileno(), _SIOCETHTOOL, request)


def _enter(fd: int) -> None:
    if _libc.setns(fd, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _remove_orphans() -> None:
    """What a laboratory left whose process was killed."""
    if not _NAMESPACES.exists():
        return
    for path in _NAMESPACES.glob(f"{PREFIX}-*"):
        pid = path.name.split("-")[1]
        if not Path("/proc", pid).exists():
            _remove(path.name)


def _remove(namespace: str) -> None:
    """Deletes it; another laboratory, which clears away as well, may have been faster."""
    try:
        _ip(f"netns delete {namespace}")
    except RuntimeError:
        if (_NAMESPACES / namespace).exists():
            raise
