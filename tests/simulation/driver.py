"""Who uses a simulated world: a driver that looks at the state and mostly does what makes sense."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from random import Random

from mediaagentd.call import types as t

from tests.simulation.device import Device
from tests.simulation.rules import CALM, Broken, Rules, some_faults, some_town
from tests.simulation.world import World

DAY = 86400.0

HEAL = 60.0
"""Seconds until everything has settled: away 30 at the most, then links 20; leases 20 and 26, ringing at most
20 and its grace."""


class Driver:
    """Acts some twenty times (more in a crowd), at moments that the seed chooses."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = world.random
        self._requests = 0
        self._dialled: dict[str, t.Dial] = {}
        self._asked: dict[tuple[str, str], t.InviteUsers] = {}

    def act(self) -> None:
        world, random = self._world, self._random
        self._fault()
        device = random.choice(world.devices)
        if random.random() < world.faults.misuse:
            self._misuse(device)
            return
        state = device.state
        if state.session in (t.SessionPhase.LOGGED_OUT, t.SessionPhase.KICKED_OUT):
            device.login()
        elif state.pending is not None:
            self._impatient(device, state.pending.command)
        elif state.call is None:
            self._idle(device)
        elif state.call.phase is t.Phase.RINGING:
            self._ringing(device, state.call)
        else:
            self._in_call(device, state.call)

    def _idle(self, device: Device) -> None:
        match self._random.randrange(12):
            case 0:
                device.command(t.OpenCamera)
            case 1:
                device.command(t.CloseCamera)
            case 2:
                device.command(lambda op: t.SetMicMute(op, not device.state.muted))
            case 3:
                device.logout()
            case 4 | 5 if self._world.town.group or self._world.town.users > 2:
                self._join(device)
            case _:
                self._dial(device)

    def _dial(self, device: Device) -> None:
        random = self._random
        others = self._others(device)
        users = tuple(others if random.random() < 0.3 else others[:1])
        group = "g" if self._world.town.group and random.random() < 0.6 else ""
        if group and random.random() < 0.6:
            users = ()
        type_ = random.choice((t.CallType.AUDIO, t.CallType.VIDEO))
        timeout = random.choice((None, 2.0, 6.0, 20.0))
        dial = t.Dial(0, users, type_, timeout, group, self._request())
        # As clients do that have not heard an answer: the one before, again.
        if random.random() < 0.2:
            dial = self._dialled.get(device.device_id, dial)
        self._dialled[device.device_id] = dial
        device.command(lambda op: replace(dial, op=op))
        if device.state.pending is not None and random.random() < 0.1:
            device.command(lambda op: replace(dial, op=op))

    def _others(self, device: Device) -> list[str]:
        others = [user for user in self._world.users if user != device.user_id]
        self._random.shuffle(others)
        return others

    def _request(self) -> str:
        self._requests += 1
        return f"r{self._requests}"

    def _join(self, device: Device) -> None:
        """The group's call, or the last one that this device was in."""
        last = device.state.previous
        if last is not None and self._random.random() < 0.4:
            call_id = last.hub.call_id
            device.command(lambda op: t.Join(op, call_id))
        else:
            device.command(lambda op: t.Join(op, group_id="g"))

    def _invite_more(self, device: Device, call: t.Call) -> None:
        users = tuple(self._others(device)[: self._random.choice((1, 1, 2))])
        asked = t.InviteUsers(0, users, self._random.choice((None, 2.0, 6.0)), self._request())
        name = (device.device_id, call.hub.call_id)
        if self._random.random() < 0.5:
            asked = self._asked.get(name, asked)
        self._asked[name] = asked
        device.command(lambda op: replace(asked, op=op))

    def _ringing(self, device: Device, call: t.Call) -> None:
        invite = call.hub.invite_id
        match self._random.randrange(12):
            case 0:
                device.command(lambda op: t.Decline(op, invite, is_busy=True))
            case 1 | 2:
                device.command(lambda op: t.Decline(op, invite))
            case 3:
                device.command(t.Hangup)
            case 4:
                pass
            case 5:
                device.logout()
            case _:
                device.command(lambda op: t.Answer(op, invite, call.hub.room_id, call.hub.type))

    def _in_call(self, device: Device, call: t.Call) -> None:
        match self._random.randrange(14):
            case 0 | 1 | 2:
                device.command(t.Hangup)
            case 3 | 4 | 5:
                other = t.CallType.AUDIO if call.hub.type is t.CallType.VIDEO else t.CallType.VIDEO
                device.command(lambda op: t.Switch(op, other))
            case 6:
                device.command(t.OpenCamera)
            case 7:
                device.command(t.CloseCamera)
            case 8 | 9:
                device.command(lambda op: t.SetMicMute(op, not device.state.muted))
            case 10 if self._random.random() < 0.3:
                device.logout()
            case 11 | 12 if self._world.town.users > 2:
                self._invite_more(device, call)
            case _:
                pass

    def _impatient(self, device: Device, command: t.HubCommand) -> None:
        match command:
            case t.Accept(invite_id) if self._random.random() < 0.3:
                device.command(lambda op: t.Answer(op, invite_id))
            case t.Reject(invite_id, is_busy) if self._random.random() < 0.3:
                device.command(lambda op: t.Decline(op, invite_id, is_busy))
            case t.SwitchCallType(_, type_) if self._random.random() < 0.3:
                device.command(lambda op: t.Switch(op, type_))
            case _ if self._random.random() < 0.5:
                device.command(t.Hangup)
            case _:
                pass

    def _misuse(self, device: Device) -> None:
        random = self._random
        me = device.user_id
        call = device.state.call
        invite = call.hub.invite_id if call else "i0"
        commands = (
            lambda op: t.Dial(op, (me,), t.CallType.AUDIO, None, "", "x"),
            lambda op: t.Dial(op, ("nobody",), t.CallType.AUDIO, None, "", f"y{op}"),
            lambda op: t.Dial(op, ("alice", "bob"), t.CallType.VIDEO, 3.0, "", f"z{op}"),
            lambda op: t.Answer(op, "i0"),
            lambda op: t.Answer(op, invite, 99),
            lambda op: t.Decline(op, invite, False, t.CallType.AUDIO),
            lambda op: t.Switch(op, random.choice((t.CallType.AUDIO, t.CallType.VIDEO))),
            t.Hangup,
        )
        device.command(random.choice(commands))

    def _fault(self) -> None:
        world, random = self._world, self._random
        faults = world.faults
        device = random.choice(world.devices)
        if random.random() < faults.stream_break:
            device.lose_stream()
        if faults.crash and random.random() < faults.crash and world.hub.up:
            stepped = faults.clock_step and random.random() < faults.clock_step
            world.hub.crash(random.choice((-DAY, DAY)) if stepped else 0.0)
        if faults.device_lost and random.random() < faults.device_lost and not device.cut:
            world.cut(device)
        if faults.reboot and random.random() < faults.reboot:
            device.reboot()
        if faults.second_login and random.random() < faults.second_login:
            world.usurp(device.user_id)
        if world.town.group and random.random() < 0.05:
            world.regroup(random.choice(world.users[1:]))


def play(seed: int, rules: Rules | None = None, trace: list[str] | None = None) -> World:
    """One whole world: some twenty acts under its faults, healing, agreement, farewell. Broken."""
    random = Random(seed)
    faults, town = some_faults(random), some_town(random)
    if rules is not None:
        faults, town = replace(faults, **rules.faults), rules.town or town
    world = World(seed, faults, town, rules, trace)
    try:
        _live(world)
    except Broken as broken:
        world.note("", f"BROKEN: {broken}")
        broken.add_note(f"seed {seed}")
        raise
    except AssertionError as error:
        raise Broken(f"seed {seed}: {error!r}") from error
    return world


def _live(world: World) -> None:
    random = world.random
    driver = Driver(world)
    for device in world.devices:
        device.login()
    world.run(1.0 + 3 * world.faults.delay)
    world.found()
    crowd = max(1, len(world.devices) // 3)
    for _ in range(crowd * random.randrange(8, 24)):
        world.run(world.now + random.choice((0.02, 0.2, 0.8, 2.5)) * random.random() * 2 / crowd)
        driver.act()
    heal(world)
    world.check_quiet()
    farewell(world)


def heal(world: World) -> None:
    """No more faults, and time for everything to settle; who is cut off comes back in its time."""
    world.faults = replace(CALM, delay=0.05)
    world.run(world.now + HEAL)


def farewell(world: World) -> None:
    """Everyone hangs up; nothing remains."""
    for device in world.devices:
        device.command(t.Hangup)
        device.command(t.CloseCamera)
    world.run(world.now + 12.0)
    world.check_quiet()
    if world.hub.calls:
        raise Broken(f"calls outlive everyone: {world.hub.calls}")
    for device in world.devices:
        device.watch.finish()


def broken(seeds: range) -> tuple[int, str] | None:
    """Plays worlds until one breaks: its seed and why. None when all hold."""
    for seed in seeds:
        try:
            play(seed)
        except Broken as reason:
            return seed, str(reason)
    return None


def transcript(seed: int) -> str:
    """Everything that happens in that world."""
    lines: list[str] = []
    with suppress(Broken):
        play(seed, trace=lines)
    return "\n".join(lines)
