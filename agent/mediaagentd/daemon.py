"""The composition root: configuration -> build -> start -> serve -> stop in reverse.

Only this module knows who is real. Everything else gets what it needs in its constructor.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import structlog

from mediaagentd import config as configuration
from mediaagentd import configured, lock, version
from mediaagentd.answering import answer_all
from mediaagentd.api.clock import WallClock
from mediaagentd.api.convert import Conversion
from mediaagentd.api.house import About, House
from mediaagentd.api.server import Server
from mediaagentd.call.signal import IceServer, Signal
from mediaagentd.call.types import Link, PeerDown, Report, SessionChanged, SessionPhase
from mediaagentd.calls import Calls
from mediaagentd.config import Config, ConfigError
from mediaagentd.events import EventLog
from mediaagentd.faults import Fault, Faults, Sabotage
from mediaagentd.history.history import History
from mediaagentd.history.types import Record, Retention
from mediaagentd.lag import LoopLag
from mediaagentd.lending import LendingLoop
from mediaagentd.lifecycle import Part, end_with_parent, serve, step
from mediaagentd.media.door import MediaDoor
from mediaagentd.network import NetworkWatch
from mediaagentd.signalling.client import HubClient
from mediaagentd.standing import StandingLogin
from mediaagentd.systemd import Notifier

_log = structlog.stdlib.get_logger()


class Wires:
    """Connects signalling, media and calls, who do not know each other."""

    def __init__(self) -> None:
        self.calls: Calls
        self.media: MediaDoor
        self.hub: HubClient
        self.history: History
        self.standing: StandingLogin

    def report(self, report: Report) -> None:
        """Signalling and media tell the call machine; media hears when signals can be sent again."""
        self.calls.handle(report)
        if isinstance(report, SessionChanged):
            self.standing.look()
            if report.session is SessionPhase.ONLINE:
                self.media.signalling_back()
        elif isinstance(report, PeerDown) and not report.final:
            self.hub.network_changed(lost=False)  # what swallows media may swallow signals
        call = self.calls.state.call
        links = [each.link for each in call.participants] if call is not None else []
        self.hub.set_urgent(Link.RECONNECTING in links)

    def network_changed(self, now: frozenset[str], before: frozenset[str]) -> None:
        """The kernel says so."""
        self.hub.network_changed(lost=bool(before - now))
        self.media.network_changed(now, now - before)

    def notified(self) -> int:
        """A client says so: how many connections are made anew."""
        self.hub.network_changed(lost=True)
        return self.media.network_changed(None)

    def media_changed(self) -> None:
        """Media knows its devices, or follows what it has measured."""
        self.calls.media_changed()

    def on_signal(self, call_id: str, sender: str, signal: Signal) -> None:
        """A peer's SDP or candidate passes by the call machine."""
        self.media.receive_signal(call_id, sender, signal)

    def send_signal(self, call_id: str, user_id: str, signal: Signal) -> None:
        """Ours too."""
        self.hub.send_signal(call_id, user_id, signal)

    def on_missed(self, records: Sequence[Record]) -> None:
        """Calls that came while the user was away."""
        self.history.note_missed(records)

    def acknowledge_missed(self, invite_ids: Sequence[str]) -> None:
        """They are on the disk."""
        self.hub.acknowledge_missed(invite_ids)

    def on_ice_servers(self, servers: Sequence[IceServer]) -> None:
        """The hub's STUN and TURN servers."""
        self.media.set_ice_servers(servers)


class Agent:
    """One agent. `echo`: it answers every call by itself and sends back what it receives. `read` reads the
    configuration again, for a UserSig that was replaced.
    """

    def __init__(
        self, config: Config, *, echo: bool = False, read: Callable[[], Config] | None = None
    ) -> None:
        self._config = config
        self._echo = echo
        self._held = ExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        device_id = configuration.device_id(config)
        loop = asyncio.get_running_loop()
        wires = Wires()
        self._media = wires.media = MediaDoor(
            configured.media_settings(config, device_id, echo),
            report=wires.report,
            send_signal=wires.send_signal,
            changed=wires.media_changed,
        )
        faults = Faults() if config.faults.enabled else None
        self._hub = wires.hub = _hub_client(config, device_id, wires, faults)
        self._events = EventLog(uuid.uuid4().hex[:12], loop.time)
        self._history = wires.history = History(
            config.state_dir / "history.sqlite",
            Retention(config.history.records, config.history.days * 86400),
            monotonic=loop.time,
            wall=time.time,
            publish=self._events.publish,
            acknowledge=wires.acknowledge_missed,
        )
        self._calls = wires.calls = Calls(self._hub, self._media, self._events, self._history)
        self._standing = wires.standing = StandingLogin(self._calls, config, read)
        conversion = Conversion(WallClock(loop.time, time.time), device_id, config.sdk_app_id)
        self._lag = LoopLag(loop)
        about = About(version(), config.hub_target, loop.time, loop.time(), lambda: self._lag.p99)
        house = House(
            self._calls,
            self._media,
            self._events,
            self._history,
            self._hub.groups,
            conversion,
            about,
            wires.notified,
            _sabotage(faults, self._hub, self._media) if faults is not None else None,
        )
        self._server = Server(house, config.socket, config.listen)
        self._network = NetworkWatch(wires.network_changed)

    async def start(self) -> None:
        """Takes the locks, opens the socket, begins to log in if a user is configured.

        Raises LockedError, OSError.
        """
        path = self._config.socket
        try:
            path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._held.enter_context(lock.hold(path.with_name(path.name + ".lock")))
        except OSError as error:
            advice = "choose another place with --socket or MEDIAAGENT_SOCKET"
            raise OSError(f"socket: {error.strerror}: {path.parent}; {advice}") from None
        try:
            self._hold_state()
            await self._history.start()
            await self._server.start()
        except BaseException:
            await self.stop()
            raise
        self._media.begin()
        self._network.start()
        if self._config.user_id:
            self._tasks.append(asyncio.create_task(self._stay_logged_in(), name="login"))
        if self._echo:
            self._tasks.append(asyncio.create_task(answer_all(self._calls, self._events), name="answer"))
        _log.info("serving", socket=str(path), version=version())

    def _hold_state(self) -> None:
        """Two daemons in one state directory would be one device to the hub, and fight over its files."""
        try:
            self._config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._held.enter_context(lock.hold(self._config.state_dir / "lock"))
        except OSError as error:  # the history says what cannot be kept there
            _log.warning("state_dir_not_locked", error=error.strerror)

    async def logged_in(self, within: float) -> None:
        """Waits until the configured user is logged in or was refused, at most `within` seconds."""
        if self._config.user_id:
            await self._standing.settled(within)

    async def stop(self) -> None:
        """Hangs up, logs out, closes the peers, lets clients read the last events, removes the socket."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._network.stop()
        await step("log out", self._calls.stop())
        await step("close signalling", self._hub.close())
        await step("stop media", self._media.stop())
        await step("write the history", self._history.close())
        self._events.close()
        self._calls.close()
        await step("stop serving", self._server.stop(grace=1.0))
        self._lag.close()
        self._held.close()

    async def healthy(self) -> bool:
        """Whether media works, and a client would get an answer from the socket within five seconds."""
        return not self._media.failed and await self._server.answers(within=5.0)

    async def _stay_logged_in(self) -> None:
        await self._media.opened()
        await self._standing.run()


# --------------------------------------------------------------------------------- serving


def run_agent(
    config: Config,
    *,
    read: Callable[[], Config] | None = None,
    echo: bool = False,
    with_hub: bool = False,
    with_parent: bool = False,
) -> int:
    """Runs an agent until it is told to leave. `read` reads the configuration again; `with_hub`: a hub in
    this process too; `with_parent`: ends with the process that started it.

    Raises ConfigError, LockedError, OSError.
    """
    if with_parent:
        end_with_parent()
    if echo and not config.user_id:
        raise ConfigError("user_id, user_sig: an echo must be somebody who can be called")

    async def run() -> None:
        agent = Agent(config, echo=echo, read=read)
        parts: list[Part] = [_hub(config), agent] if with_hub else [agent]

        async def ready() -> str:
            # Whoever starts an echo wants to call it: it is ready when it can be.
            await agent.logged_in(within=5.0 if echo else 0.0)
            return f"serving {config.socket}"

        await serve(parts, Notifier(), ready)

    with asyncio.Runner(loop_factory=LendingLoop) as runner:
        runner.run(run())
    return 0


def run_dev(config: Config, say: Callable[[Path], None]) -> int:
    """Runs a hub, an agent for `me`, and `echo` in a process of its own; `say` gets the socket when all is
    ready. Raises ConfigError, LockedError, OSError.
    """
    from mediaagentd import dev

    furnished = dev.furnished(config)

    async def run() -> None:
        agent = Agent(furnished)

        async def ready() -> str:
            await agent.logged_in(within=5.0)
            say(furnished.socket)
            return f"serving {furnished.socket}"

        parts: list[Part] = [_hub(furnished), agent, dev.EchoProcess(furnished)]
        await serve(parts, Notifier(), ready)

    with asyncio.Runner(loop_factory=LendingLoop) as runner:
        runner.run(run())
    return 0


def _hub(config: Config) -> Part:
    """A hub in this process; loaded only then."""
    from mediaagentd.hub_daemon import Hub

    return Hub(config)


def _hub_client(config: Config, device_id: str, wires: Wires, faults: Faults | None) -> HubClient:
    """Who speaks with the hub."""
    return HubClient(
        config.hub_target,
        device_id=device_id,
        sdk_app_id=config.sdk_app_id,
        listener=wires,
        tls=config.hub_tls,
        ca=configured.hub_authorities(config),
        faults=faults,
    )


def _sabotage(faults: Faults, hub: HubClient, media: MediaDoor) -> Sabotage:
    """What FaultService may break."""
    return Sabotage(
        faults,
        drop_hub=hub.drop,
        kill_peer=media.kill_peer,
        lose_camera=lambda: media.lose_camera(lambda: faults.left(Fault.CAMERA_LOST) > 0),
    )
