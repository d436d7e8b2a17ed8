"""Starting and leaving: the lock, signals, a crash, a hub that comes later, errors for people."""

from __future__ import annotations

import contextlib
import shlex
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from mediaagent.v1 import call_pb2, event_pb2, session_pb2
from mediaagentd.children import free_port

from tests.integration.daemon.driver import drive
from tests.integration.processes import (
    KEY,
    Agent,
    ChildProcess,
    Hub,
    agent,
    agent_environment,
    house,
    hub,
    running,
    spawn,
)


async def test_second_daemon_on_the_socket_says_so(tmp_path: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    async with agent(tmp_path, "ann", nowhere) as first, drive(first) as ann:
        second = await spawn("second", ["run"], tmp_path, agent_environment(tmp_path, "ann", nowhere))
        assert await second.wait() == 73
        assert f"another daemon (process {first.child.pid})" in second.tail()
        assert "Traceback" not in second.tail()
        await ann.status()


async def test_second_daemon_in_the_state_directory_says_so(tmp_path: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    async with agent(tmp_path, "ann", nowhere) as first, drive(first) as ann:
        environment = agent_environment(tmp_path, "bob", nowhere, state_dir=str(tmp_path / "ann" / "state"))
        second = await spawn("second", ["run"], tmp_path, environment)
        assert await second.wait() == 73
        assert f"another daemon (process {first.child.pid}) holds {tmp_path}/ann/state/lock" in second.tail()
        assert not (tmp_path / "bob" / "agent.sock").exists()
        await ann.status()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_leaving_hangs_up_and_removes_the_socket(tmp_path: Path, number: signal.Signals) -> None:
    async with (
        house(tmp_path, "ann", "bob") as (the_hub, (left, right)),
        drive(left) as ann,
        drive(right) as bob,
    ):
        await ann.login(the_hub)
        await bob.login(the_hub)
        call = await ann.dial("bob", call_pb2.CALL_TYPE_AUDIO)
        await bob.event(event_pb2.EVENT_TYPE_INVITED)
        await bob.call.Accept(call_pb2.AcceptRequest(invite_id=call.invite_id))
        await bob.connected("ann")
        left.child.signal(number)
        ended = (await ann.event(event_pb2.EVENT_TYPE_CALL_END)).call_ended.call
        assert ended.end_reason == call_pb2.END_REASON_LOGGED_OUT
        assert await left.child.wait() == 0
        assert not left.socket.exists()
        there = (await bob.event(event_pb2.EVENT_TYPE_CALL_END)).call_ended.call
        assert there.ended_by == "ann"
        assert "Traceback" not in left.child.tail(200)


async def test_the_newer_login_wins_and_the_older_is_told(tmp_path: Path) -> None:
    async with (
        house(tmp_path, "old", "new") as (the_hub, (left, right)),
        drive(left, "ann") as old,
        drive(right, "ann") as new,
    ):
        await old.login(the_hub)
        await new.login(the_hub)
        kicked = (await old.event(event_pb2.EVENT_TYPE_KICKED_OUT)).kicked_out
        assert kicked.device_id == "new"
        assert (await old.status()).session.state == session_pb2.SESSION_STATE_KICKED_OUT
        assert (await new.status()).session.state == session_pb2.SESSION_STATE_ONLINE
        await old.login(the_hub)
        assert (await new.event(event_pb2.EVENT_TYPE_KICKED_OUT)).kicked_out.device_id == "old"


async def test_a_logout_whose_client_leaves_is_a_logout(tmp_path: Path) -> None:
    """The hub is slow, the client's deadline short: the agent must not stay ONLINE with nothing behind it."""
    async with house(tmp_path, "ann") as (the_hub, (daemon,)), drive(daemon) as ann:
        await ann.login(the_hub)
        the_hub.child.signal(signal.SIGSTOP)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await ann.session.Logout(session_pb2.LogoutRequest(), timeout=0.3)
        assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        the_hub.child.signal(signal.SIGCONT)
        while (await ann.event(event_pb2.EVENT_TYPE_SESSION_CHANGED)).session_changed.session.user_id:
            pass
        await ann.login(the_hub)
        refusal = await ann.refused(ann.dial("nobody", call_pb2.CALL_TYPE_AUDIO))
        assert refusal.reason == "USER_UNKNOWN", "the hub is asked"


async def test_starts_again_after_a_crash(tmp_path: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    async with agent(tmp_path, "ann", nowhere, device_id="") as first, drive(first) as ann:
        device = (await ann.status()).session.device_id
        first.child.signal(signal.SIGKILL)
        await first.child.wait()
        assert first.socket.exists()
    async with agent(tmp_path, "ann", nowhere, device_id="") as second, drive(second) as ann:
        assert (await ann.status()).session.device_id == device != ""


async def test_logs_in_by_itself_when_the_hub_comes(tmp_path: Path) -> None:
    port = free_port()
    sig = Hub.mint(Hub(None, ""), "ann")  # type: ignore[arg-type] # minting needs no process
    target = f"127.0.0.1:{port}"
    async with agent(tmp_path, "ann", target, user_id="ann", user_sig=sig) as daemon, drive(daemon) as ann:
        assert (await ann.status()).session.state == session_pb2.SESSION_STATE_LOGGED_OUT
        async with hub(tmp_path, port=port):
            event = await ann.event(event_pb2.EVENT_TYPE_SESSION_CHANGED)
            assert event.session_changed.session.state == session_pb2.SESSION_STATE_ONLINE


MISTAKES: list[tuple[str, dict[str, str], int, str]] = [
    ("run", {"MEDIAAGENT_LOG_LEVEL": "loud"}, 78, "log_level: "),
    ("run --config /none.toml", {}, 69, "/none.toml: there is no such file"),
    ("run", {"MEDIAAGENT_SOCKET": "/proc/none/agent.sock"}, 69, "/proc/none"),
    ("run", {"MEDIAAGENT_LISTEN": "192.0.2.250:9"}, 69, "192.0.2.250:9"),
    ("run --with-hub", {}, 78, "hub.keys: "),
    ("hub", {}, 78, "hub.keys: "),
    ("hub --listen 192.0.2.250:9", {"MEDIAAGENT_HUB__KEYS": KEY}, 69, "192.0.2.250:9"),
    ("usersig a\\ b", {"MEDIAAGENT_HUB__KEYS": KEY}, 1, "user_id"),
    ("usersig ann", {}, 78, "hub.keys: "),
    ("echo", {}, 78, "user_id, user_sig: "),
    ("dance", {}, 2, "dance"),
    ("check", {"MEDIAAGENT_HUB_TARGET": "127.0.0.1:9"}, 1, "127.0.0.1:9 does not answer"),
]
"""A command, its environment, its exit code, and words of what it says."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mistaken(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[ChildProcess]]:
    """Each of them, run to its end: all at once, since each is loading for most of its life."""
    children = []
    for arguments, environment, *_ in MISTAKES:
        place = tmp_path_factory.mktemp("mistake")
        places = {
            "MEDIAAGENT_STATE_DIR": str(place),
            "MEDIAAGENT_SOCKET": str(place / "agent.sock"),
            "MEDIAAGENT_CAMERA": "none",
        }
        children.append(await spawn("child", shlex.split(arguments), place, {**places, **environment}))
    for child in children:
        with contextlib.suppress(TimeoutError):  # its test fails, and no other
            await child.wait(60)
    yield children
    for child in children:
        await child.stop()


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [(number, *expected) for number, (_, _, *expected) in enumerate(MISTAKES)],
    ids=[" ".join((arguments, *environment)) for arguments, environment, *_ in MISTAKES],
)
def test_errors_for_people(mistaken: list[ChildProcess], number: int, code: int, words: str) -> None:
    child = mistaken[number]
    assert child.exit_code == code
    assert words in " ".join(child.tail().split())
    assert "Traceback" not in child.tail()
    assert not (child.log.parent / "agent.sock").exists()


async def test_a_hub_in_the_same_process(tmp_path: Path) -> None:
    target = f"127.0.0.1:{free_port()}"
    environment = agent_environment(tmp_path, "ann", target, hub__listen=target, hub__keys=KEY)
    async with running("ann", ["run", "--with-hub"], tmp_path, environment) as child:
        daemon = Agent(child, Path(environment["MEDIAAGENT_SOCKET"]), tmp_path)
        async with drive(daemon, "ann") as ann:
            await ann.login(Hub(child, target))
            assert (await ann.status()).session.state == session_pb2.SESSION_STATE_ONLINE


async def test_usersig_for_scripts(tmp_path: Path) -> None:
    async with house(tmp_path, "ann") as (_, (daemon,)), drive(daemon) as ann:
        child = await spawn("mint", ["usersig", "ann"], tmp_path, {"MEDIAAGENT_HUB__KEYS": KEY})
        assert await child.wait(30) == 0
        request = session_pb2.LoginRequest(user_id="ann", user_sig=child.tail().strip())
        assert (await ann.session.Login(request)).session.user_id == "ann"


async def test_dev_gives_everything_and_leaves_cleanly(tmp_path: Path) -> None:
    environment = {
        "MEDIAAGENT_SOCKET": str(tmp_path / "agent.sock"),
        "MEDIAAGENT_STATE_DIR": str(tmp_path / "state"),
        "MEDIAAGENT_CAMERA": "synthetic",
        "MEDIAAGENT_MICROPHONE": "synthetic",
        "MEDIAAGENT_SPEAKER": "null",
    }
    async with running("dev", ["run", "--dev"], tmp_path, environment) as child:
        async with drive(Agent(child, tmp_path / "agent.sock", tmp_path)) as me:
            assert (await me.status()).session.user_id == "me"
            assert "mediaagent call echo --video" in child.tail()
            await me.dial("echo", call_pb2.CALL_TYPE_VIDEO)
            await me.connected("echo")
        child.signal(signal.SIGINT)
        assert await child.wait() == 0
        assert "Traceback" not in child.tail(200)
