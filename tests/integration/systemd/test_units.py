"""Our units under a real systemd: installed as the README says, on a machine that boots."""

from __future__ import annotations

from pathlib import Path

import pytest
from mediaagent.v1 import agent_pb2, event_pb2, view_pb2

from tests.integration.daemon.driver import WITHIN
from tests.integration.systemd.house import LOBBY, SOCKET, House, in_call, override, restarted
from tests.integration.systemd.machine import CommandError, machine, unavailable

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))


async def test_a_call_with_an_installed_agent(house: House, tmp_path: Path) -> None:
    """Everything that a call needs, the units allow: DTLS, codecs, threads, the state."""
    async with in_call(house, tmp_path) as (visitor, lobby):
        for looker, other in ((visitor, "lobby"), (lobby, "visitor")):
            request = view_pb2.TakeSnapshotRequest(user_id=other)
            snapshot = await looker.view.TakeSnapshot(request, timeout=WITHIN)
            assert snapshot.image.startswith(b"\x89PNG")
            assert (snapshot.width, snapshot.height) == (1280, 720)
        (peer,) = (await lobby.agent.GetStats(agent_pb2.GetStatsRequest())).peers
        assert peer.audio_received.packets > 0
        # Ended as a machine is switched off: the visitor is told, and the agent leaves by itself.
        await house.box.run("systemctl", "stop", LOBBY)
        over = (await visitor.event(event_pb2.EVENT_TYPE_CALL_END)).call_ended.call
        assert over.ended_by == "lobby"
    assert await house.box.shows(LOBBY, "Result") == "success"
    assert await house.box.shows(LOBBY, "ExecMainStatus") == "0"
    for unit in (LOBBY, "mediaagent-hub"):
        log = await house.box.journal(unit)
        assert '"level": "warning"' not in log, log
        assert '"level": "error"' not in log, log
        assert "Traceback" not in log, log


async def test_who_it_is_and_who_may_use_it(house: House) -> None:
    async with house.lobby():
        pid = await house.box.shows(LOBBY, "MainPID")
        status = house.box.path(f"/proc/{pid}/status").read_text()
        owner = await house.box.run("stat", "--format=%U %G %a", SOCKET)
        state = await house.box.run("stat", "--format=%U %a", "/var/lib/mediaagent")
    assert owner == "mediaagent mediaagent 660"
    assert state == "mediaagent 700"
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status


async def test_what_people_ask_of_an_installed_agent(house: House) -> None:
    """The UserSig lies where only root and the unit see it; the file speaks of the hub's secrets too."""
    async with house.lobby():
        found = await house.box.run("mediaagentd", "check")
        assert "ok\tuser_sig\tgood until" in found
        assert "missing" not in found
        everyone = ("runuser", "-u", "nobody", "--")
        assert "ok\tuser_sig\tnot seen" in await house.box.run(
            *everyone, "sh", "-c", "mediaagentd check; true"
        )
        with pytest.raises(CommandError, match="Permission denied"):
            await house.box.run(*everyone, "mediaagent", "status")
        people = ("runuser", "-u", "nobody", "-g", "mediaagent", "--")
        assert "lobby" in await house.box.run(*people, "mediaagent", "status")
        minted = await house.box.run(
            "mediaagentd", "usersig", "x", "--key-file", "/etc/credstore/mediaagent.hub_keys"
        )
        assert minted


async def test_an_agent_that_nothing_was_told_starts(tmp_path: Path) -> None:
    """After the README's last step, with every default: no UserSig, no hub, no device."""
    async with machine(tmp_path) as box:
        await box.run("systemctl", "enable", "--now", LOBBY)
        assert "LOGGED_OUT" in await box.run("mediaagent", "status", "--json")


async def test_what_ends_it_starts_it_again(house: House) -> None:
    """Killed, and hanging: the watchdog's case."""
    await override(house.box, LOBBY, "RestartSec=0.1", "WatchdogSec=2", "TimeoutStopSec=1")
    await house.box.run("systemctl", "restart", LOBBY)
    for number, blow in enumerate(("KILL", "STOP"), 1):
        async with house.lobby() as lobby:
            device = (await lobby.status()).session.device_id
            await house.box.run("systemctl", "kill", "--kill-whom=main", f"--signal={blow}", LOBBY)
            await lobby.gone()
        await restarted(house.box, LOBBY, number)
        async with house.lobby() as lobby:
            assert (await lobby.status()).session.device_id == device


async def test_a_rule_that_is_broken_waits_for_a_person(house: House) -> None:
    house.configure(log_level="loud")
    with pytest.raises(CommandError):
        await house.box.run("systemctl", "restart", LOBBY)
    assert await house.box.shows(LOBBY, "ExecMainStatus") == "78"
    assert await house.box.shows(LOBBY, "ActiveState") == "failed"
    assert await house.box.shows(LOBBY, "NRestarts") == "0"
    assert "log_level: " in await house.box.journal(LOBBY)
