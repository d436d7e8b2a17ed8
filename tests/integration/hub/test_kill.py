"""A hub that is killed at random points, again and again, under a crowd that calls each other: no
invitation that was acknowledged is lost, and none rings twice. More by `--kills 1000`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import defaultdict
from functools import partial
from pathlib import Path
from random import Random

import pytest
from google.protobuf.duration_pb2 import Duration
from mediaagent.hub.v1 import group_pb2, hub_pb2
from mediaagent.v1 import call_pb2
from mediaagentd.errors import Reason, Refused

from tests.fakes.hub_phone import Phone
from tests.integration.hub.conftest import APP, KEY, sig

RUNNER = Path(__file__).with_name("hub_heir.py")
LINES = 4
"""Callers; each calls one of as many callees, or its group of two."""


class Dynasty:
    """One hub after the other on the same socket and database, all of them loaded already."""

    def __init__(self, directory: Path) -> None:
        self.target = f"unix:{directory}/hub.sock"
        self._arguments = (f"{directory}/hub.sock", f"{directory}/hub.sqlite", str(APP), KEY, "MULTI")
        self._parent: asyncio.subprocess.Process
        self._hub = 0

    async def __aenter__(self) -> Dynasty:
        self._parent = await asyncio.create_subprocess_exec(
            sys.executable, str(RUNNER), *self._arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, start_new_session=True,
        )  # fmt: skip
        return self

    async def __aexit__(self, *_: object) -> None:
        """The parent and whatever hub it has, in whatever state."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._parent.pid, signal.SIGKILL)
        await self._parent.wait()

    async def begin(self) -> None:
        """The next one begins; it may not serve yet."""
        assert self._parent.stdin is not None
        self._parent.stdin.write(b"\n")
        self._hub = int((await self._said("born")).split()[1])

    async def ready(self) -> None:
        """It serves."""
        await self._said("ready")

    async def kill(self) -> None:
        """It dies, wherever it is."""
        os.kill(self._hub, signal.SIGKILL)
        await self._said("dead", "ready")
        self._hub = 0

    async def _said(self, word: str, *skipped: str) -> str:
        assert self._parent.stdout is not None
        async with asyncio.timeout(30):
            while (line := (await self._parent.stdout.readline()).decode()).strip() in skipped:
                continue
        assert line.startswith(word), f"{line!r}, not {word}"
        return line


class Crowd:
    """Callers who call and remember what was acknowledged, callees who do whatever people do."""

    def __init__(self, target: str, random: Random) -> None:
        self.random = random
        self.callers = [self._phone(target, f"ann{n}") for n in range(LINES)]
        self.callees = [
            self._phone(target, f"bob{n}", device)
            for n in range(LINES)
            for device in ("desk", "hall")[: n % 2 + 1]
        ]
        self.over = asyncio.Event()
        self.acknowledged: dict[str, set[str]] = {}

    def _phone(self, target: str, user: str, device: str = "") -> Phone:
        return Phone(target, APP, user, sig(user), device)

    async def gather(self) -> None:
        """Everyone logs in, and each caller makes a group of two callees."""
        phones = (*self.callees, *self.callers)
        await asyncio.gather(*(phone.login() for phone in phones))
        for n, caller in enumerate(self.callers):
            members = [f"bob{n}", f"bob{(n + 1) % LINES}"]
            request = group_pb2.CreateGroupRequest(group_id=f"g{n}", member_ids=members, request_id="g")
            await caller.insist("CreateGroup", request)

    async def live(self) -> None:
        """Until it is over."""
        await asyncio.gather(*(self._call(n) for n in range(LINES)), *map(self._answer, self.callees))

    async def _call(self, n: int) -> None:
        caller, random = self.callers[n], self.random
        for count in range(10**6):
            if self.over.is_set():
                return
            name = f"{caller.user_id}/{count}"
            try:
                call = await caller.insist("Invite", self._invitation(n, name))
            except Refused as refused:
                if refused.reason is not Reason.GROUP_IN_CALL:
                    raise
                await self._join(caller, f"g{n}")  # the callees go on without their caller
                continue
            busy = hub_pb2.MEMBER_STATE_BUSY
            reached = {m.user_id for m in call.call.members[1:] if m.state != busy or m.device_id}
            self.acknowledged[name] = reached
            await self._within(random.uniform(0.0, 0.4), caller, call.call.call_id)
            await caller.insist("Hangup", hub_pb2.HangupRequest(call_id=call.call.call_id))

    async def _join(self, caller: Phone, group_id: str) -> None:
        try:
            call = await caller.insist("JoinCall", hub_pb2.JoinCallRequest(group_id=group_id))
        except Refused as refused:
            if refused.reason is not Reason.CALL_UNKNOWN:
                raise
        else:
            await caller.insist("Hangup", hub_pb2.HangupRequest(call_id=call.call.call_id))

    def _invitation(self, n: int, name: str) -> hub_pb2.InviteRequest:
        random = self.random
        whole_group = random.random() < 0.3
        return hub_pb2.InviteRequest(
            user_ids=[] if whole_group else [f"bob{random.randrange(LINES)}"],
            group_id=f"g{n}" if whole_group else "",
            type=call_pb2.CALL_TYPE_VIDEO,
            timeout=Duration(nanos=random.randrange(100_000_000, 500_000_000)),
            request_id=name,
            user_data=name.encode(),
        )

    async def _within(self, seconds: float, phone: Phone, call_id: str) -> None:
        """Gives the call that long to end by itself."""
        try:
            async with asyncio.timeout(seconds):
                await phone.until(lambda: call_id in phone.calls and phone.calls[call_id].ended)
        except TimeoutError:
            return

    async def _answer(self, callee: Phone) -> None:
        random = self.random
        while not self.over.is_set():
            try:
                async with asyncio.timeout(0.3):
                    call = await callee.ringing()
            except TimeoutError:
                continue
            match random.randrange(5):
                case 0:
                    await callee.logout()
                    await asyncio.sleep(random.uniform(0.0, 0.3))
                    await callee.login()
                    await callee.acknowledge()
                case 1:
                    await self._say(callee, "Reject", hub_pb2.RejectRequest(invite_id=callee.invite_id(call)))
                case 2:
                    await self._within(1.0, callee, call.call_id)
                case _:
                    await self._say(callee, "Accept", hub_pb2.AcceptRequest(invite_id=callee.invite_id(call)))
                    await self._within(random.uniform(0.0, 0.3), callee, call.call_id)
                    await self._say(callee, "Hangup", hub_pb2.HangupRequest(call_id=call.call_id))
            seen = callee.invite_id(call)
            await callee.until(partial(callee.is_quiet, seen))

    async def _say(self, phone: Phone, name: str, request: object) -> None:
        try:
            await phone.insist(name, request)  # type: ignore[arg-type]
        except Refused as refused:
            if refused.reason not in (Reason.INVITE_UNKNOWN, Reason.CALL_UNKNOWN):
                raise

    async def settle(self) -> None:
        """Everyone has hung up; whoever was away comes back once more and hears what was missed."""
        for callee in self.callees:
            await callee.logout()
            await callee.login()

    def check(self) -> None:
        heard: dict[str, set[str]] = defaultdict(set)
        made: dict[tuple[str, str], set[str]] = defaultdict(set)
        for callee in self.callees:
            entries: list[hub_pb2.Call | hub_pb2.MissedCall] = [
                *callee.rang.values(),
                *callee.missed.values(),
            ]
            for entry in entries:
                name = entry.user_data.decode()
                heard[callee.user_id].add(name)
                made[callee.user_id, name].add(entry.call_id)
        lost = [
            (user, name)
            for name, users in self.acknowledged.items()
            for user in users
            if name not in heard[user]
        ]
        assert lost == [], "acknowledged, and never heard of"
        assert {name: calls for name, calls in made.items() if len(calls) > 1} == {}, "one request, two calls"
        assert [phone.wrong for phone in (*self.callers, *self.callees) if phone.wrong] == []
        assert len(self.acknowledged) > LINES

    async def close(self) -> None:
        await asyncio.gather(*(phone.close() for phone in (*self.callers, *self.callees)))


@pytest.mark.timeout(3600)
async def test_no_acknowledged_invitation_is_lost_and_none_rings_twice(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    kills = request.config.getoption("--kills")
    random = Random(kills)
    async with Dynasty(tmp_path) as hub:
        crowd = Crowd(hub.target, random)
        await hub.begin()
        await hub.ready()
        await crowd.gather()
        living = asyncio.create_task(crowd.live())
        for kill in range(kills):
            await asyncio.sleep(random.uniform(0.0, 0.25))
            await hub.kill()
            await hub.begin()
            if random.random() < 0.8 or kill == kills - 1:
                await hub.ready()
        crowd.over.set()
        await living
        await crowd.settle()
        crowd.check()
        await crowd.close()
    print(f"{kills} kills, {len(crowd.acknowledged)} invitations")
