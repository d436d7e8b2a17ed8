"""The command line as scripts see it: what it prints and how it exits."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mediaagent.cli.running import run
from mediaagent.v1 import call_pb2, event_pb2

from tests.fakes.agent import PNG, FakeAgent

PYTHON_PATH = os.pathsep.join(
    str(Path(__file__).resolve().parents[3] / p) for p in ("clients/python", "agent")
)


HASTY = "-c", "import sys; from mediaagent.cli import main, views; views.SILENCE = 0.1; sys.exit(main())"
"""The command line, which says after a tenth of a second what else it says after three."""

IN_BACKGROUND = (
    "-c",
    (
        "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "from mediaagent.cli import main; sys.exit(main())"
    ),
)
"""The command line as a script starts it with `&`."""

SHORT_TEMPERED = (
    "-c",
    (
        "import sys; from mediaagent import Agent; Agent.__init__.__kwdefaults__['timeout'] = 0.5;"
        "from mediaagent.cli import main, calls; calls.PATIENCE = 0.1; sys.exit(main())"
    ),
)
"""The command line, which waits half a second for an answer, and hardly for an agent to come back."""


@dataclass
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return [json.loads(line) for line in self.out.splitlines()]


def started(
    socket: str, *arguments: str, **env: str
) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    return running(("-m", "mediaagent"), socket, *arguments, **env)


@asynccontextmanager
async def running(
    program: tuple[str, str], socket: str, *arguments: str, **env: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, *program, *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": PYTHON_PATH, "MEDIAAGENT_SOCKET": socket, **env},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def command(socket: str, *arguments: str, stdin: str = "", **env: str) -> Ended:
    async with started(socket, *arguments, **env) as process:
        out, err = await asyncio.wait_for(process.communicate(stdin.encode()), 20)
        assert process.returncode is not None
        ended = Ended(process.returncode, out.decode(), err.decode())
        assert "Traceback" not in ended.err
        return ended


@pytest.mark.parametrize("way", ["option", "file", "environment", "stdin", "hyphen"])
async def test_login_takes_the_user_sig_from_anywhere(
    fake: FakeAgent, socket: str, tmp_path: Path, way: str
) -> None:
    (tmp_path / "sig").write_text("sig-1\n")
    arguments = {
        "option": ["--user-sig", "sig-1"],
        "file": ["--user-sig-file", str(tmp_path / "sig")],
        "hyphen": ["--user-sig-file", "-"],
    }
    env = {"MEDIAAGENT_USER_SIG": "sig-1"} if way == "environment" else {}
    ended = await command(socket, "login", "alice", *arguments.get(way, []), stdin="sig-1\n", **env)
    assert ended.code == 0
    assert fake.requests[-1].user_sig == "sig-1"
    assert "logged in as alice" in ended.out


async def test_a_refusal_is_1_and_a_program_gets_its_reason(fake: FakeAgent, socket: str) -> None:
    ended = await command(socket, "login", "alice", "--user-sig", "expired", "--json")
    assert ended.code == 1
    assert ended.out == ""
    assert json.loads(ended.err)["error"] == {
        "reason": "USER_SIG_EXPIRED",
        "status": "UNAUTHENTICATED",
        "message": "it has expired",
        "metadata": {"code": "70001"},
    }


async def test_wrong_usage_is_2(fake: FakeAgent, socket: str) -> None:
    ended = await command(socket, "quality", "4k")
    assert ended.code == 2
    assert "480p" in ended.err


async def test_no_agent_is_3(tmp_path: Path) -> None:
    ended = await command(str(tmp_path / "nothing.sock"), "status")
    assert ended.code == 3
    assert "no agent answers" in ended.err


async def test_an_agent_that_hangs_is_3(fake: FakeAgent, socket: str) -> None:
    fake.hang = True
    async with running(SHORT_TEMPERED, socket, "call", "bob") as process:
        _, err = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 3
    assert b"did not answer in time" in err


async def test_an_agent_that_does_not_come_back_is_3_for_a_call_that_is_waited_for(
    fake: FakeAgent, socket: str
) -> None:
    async with running(SHORT_TEMPERED, socket, "call", "bob", "--wait") as process:
        assert process.stdout is not None
        await process.stdout.readline()
        await fake.stop()
        assert await asyncio.wait_for(process.wait(), 20) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["call", "bob", "--timeout", "nan"], "it is no time in seconds"),
        (["call", "bob", "--timeout", "1e30"], "it is no time in seconds"),
        (["snapshot", "--timeout", "inf"], "it is no time in seconds"),
        (["snapshot", "-o", "picture.gif"], "it would be PNG or JPEG, not .gif"),
        (["snapshot", "-o", "picture.webp"], "it would be PNG or JPEG, not .webp"),
        (["fault", "delay", "nan"], "it is no time in seconds"),
        (["view", "--width", "-1"], "it must be 0 or more"),
        (["history", "--since", "0001-01-01"], "out of range"),
        (["history", "--user", "\udcff"], "an argument is not UTF-8"),
        (["events", "--cursor", "\udcff"], "an argument is not UTF-8"),
    ],
    ids=lambda value: (
        " ".join(value).encode("ascii", "replace").decode() if isinstance(value, list) else None
    ),
)
def test_what_cannot_be_said_is_wrong_usage(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MEDIAAGENT_SOCKET", str(tmp_path / "nothing.sock"))
    assert run(arguments) == 2
    assert words in " ".join(capfd.readouterr().err.replace("│", "").split())


def test_a_path_at_which_no_socket_can_be_is_3(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--socket", f"{tmp_path}/{'x' * 100}"]) == 3
    assert "at most 107 bytes" in capfd.readouterr().err


async def test_a_user_sig_file_that_is_no_text_is_the_agents_to_refuse(
    fake: FakeAgent, socket: str, tmp_path: Path
) -> None:
    (tmp_path / "sig").write_bytes(b"\x7fELF\xff\xfe")
    ended = await command(socket, "login", "alice", "--user-sig-file", str(tmp_path / "sig"))
    assert ended.code == 0  # the fake takes any
    assert fake.requests[-1].user_sig.startswith("\x7fELF")


@pytest.mark.parametrize("name", ["[/x]", "[bold]brackets[/bold]"])
async def test_a_name_is_text_and_no_markup(fake: FakeAgent, socket: str, name: str) -> None:
    ended = await command(socket, "group", "create", "--id", "g1", "--name", name)
    assert name in ended.out
    ended = await command(socket, "group", "list")
    assert name in ended.out


async def test_a_busy_call_that_is_waited_for_is_4(fake: FakeAgent, socket: str) -> None:
    fake.busy = True
    ended = await command(socket, "call", "bob", "--wait", "--json")
    assert ended.code == 4
    assert [call["state"] for call in ended.json][-1] == "CALL_STATE_ENDED"
    assert ended.json[-1]["endReason"] == "END_REASON_BUSY"


async def test_a_call_that_is_answered_is_0(fake: FakeAgent, socket: str) -> None:
    async with started(socket, "call", "bob", "--wait", "--audio", "--timeout", "5") as process:
        assert (await fake.heard(call_pb2.CallRequest)).type == call_pb2.CALL_TYPE_AUDIO
        assert fake.current is not None
        fake.current.state = call_pb2.CALL_STATE_ACTIVE
        await fake.publish(event_pb2.EVENT_TYPE_CALL_CHANGED, call_changed={"call": fake.current})
        assert await asyncio.wait_for(process.wait(), 15) == 0


ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", ENDINGS)
async def test_interrupting_the_wait_cancels_the_call_and_is_130(
    fake: FakeAgent, socket: str, number: signal.Signals
) -> None:
    async with started(socket, "call", "bob", "--wait") as process:
        assert process.stdout is not None
        await process.stdout.readline()
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 15) == 130
        assert fake.current is None
        assert fake.log[-1].call_ended.call.end_reason == call_pb2.END_REASON_HANGUP


async def test_answer_waits_for_an_invitation(fake: FakeAgent, socket: str) -> None:
    async with started(socket, "answer", "--json") as process:
        await fake.heard(event_pb2.SubscribeRequest)
        fake.current = call_pb2.Call(call_id="c", invite_id="i7", state=call_pb2.CALL_STATE_RINGING)
        body = {"sponsor": "bob", "invite_id": "i7", "call": fake.current}
        await fake.publish(event_pb2.EVENT_TYPE_INVITED, invited=body)
        out, _ = await asyncio.wait_for(process.communicate(), 15)
        assert process.returncode == 0
    assert json.loads(out)["state"] == "CALL_STATE_CONNECTING"
    assert fake.requests[-1].invite_id == "i7"


async def test_answer_gives_up(fake: FakeAgent, socket: str) -> None:
    ended = await command(socket, "answer", "--timeout", "0.1")
    assert (ended.code, "nobody called" in ended.err) == (1, True)


async def test_reject_takes_what_rings(fake: FakeAgent, socket: str) -> None:
    assert (await command(socket, "reject")).code == 1
    fake.current = call_pb2.Call(call_id="c", invite_id="i7", state=call_pb2.CALL_STATE_RINGING)
    assert (await command(socket, "reject", "--busy")).code == 0
    assert fake.requests[-1].invite_id == "i7"
    assert fake.requests[-1].is_busy


async def test_snapshot_writes_a_file(fake: FakeAgent, socket: str, tmp_path: Path) -> None:
    file = tmp_path / "bob.png"
    ended = await command(socket, "snapshot", "bob", "-o", str(file), "--json")
    assert file.read_bytes() == PNG
    assert ended.json[0]["file"] == str(file)


@pytest.mark.parametrize("option", [["-o", "-"], ["--output", "-"], ["--output=-"]], ids=" ".join)
async def test_a_hyphen_is_stdout(fake: FakeAgent, socket: str, option: list[str]) -> None:
    async with started(socket, "snapshot", "bob", *option) as process:
        assert await asyncio.wait_for(process.communicate(), 20) == (PNG, b"")
    async with started(socket, "view", "bob", "--count", "2", *option) as process:
        assert await asyncio.wait_for(process.communicate(), 20) == (b"jpegjpeg", b"")
    assert fake.views == {}


async def test_show_opens_a_window_that_stays_until_it_is_stopped(fake: FakeAgent, socket: str) -> None:
    assert (await command(socket, "show", "bob", "--fullscreen", "--display", ":1")).code == 0
    view = fake.requests[-1]
    assert view.view_id == "window-bob"
    assert (view.user_id, view.window.display, view.window.is_fullscreen) == ("bob", ":1", True)
    assert (await command(socket, "show", "bob", "--stop")).code == 0
    assert (await command(socket, "show", "--json")).json[0] == {"view_id": "window-camera", "is_shown": True}
    assert list(fake.views) == ["window-camera"]


async def test_view_saves_pictures(fake: FakeAgent, socket: str, tmp_path: Path) -> None:
    ended = await command(socket, "view", "bob", "-o", str(tmp_path / "p"), "--count", "3", "--json")
    assert len(list((tmp_path / "p").iterdir())) == 3
    assert ended.json[-1]["sequence"] == "3"
    assert fake.views == {}


@pytest.mark.parametrize(
    ("program", "number"),
    [*((("-m", "mediaagent"), number) for number in ENDINGS), (IN_BACKGROUND, signal.SIGTERM)],
)
async def test_a_view_that_is_ended_leaves_nothing(
    fake: FakeAgent, socket: str, program: tuple[str, str], number: signal.Signals
) -> None:
    async with running(program, socket, "view", "bob", "-o", "-") as process:
        assert process.stdout is not None
        await process.stdout.readexactly(4)
        process.send_signal(number)
        await asyncio.wait_for(process.communicate(), 15)
        assert process.returncode == 130
    assert fake.views == {}


async def test_view_of_a_closed_camera_says_why_nothing_comes(fake: FakeAgent, socket: str) -> None:
    async with running(HASTY, socket, "view", "--count", "1") as process:
        assert process.stderr is not None
        line = await asyncio.wait_for(process.stderr.readline(), 15)
        assert line == b"mediaagent: no picture yet: is the camera open?\n"
        assert (await command(socket, "camera", "on")).code == 0
        out, err = await asyncio.wait_for(process.communicate(), 15)
        assert process.returncode == 0
    assert b"64x48" in out
    assert err == b"", "it is said once"


async def test_events_are_lines(fake: FakeAgent, socket: str) -> None:
    async with started(socket, "events", "user-enter", "--json", "--count", "1") as process:
        assert process.stdout is not None
        first = json.loads(await asyncio.wait_for(process.stdout.readline(), 15))
        await fake.publish(event_pb2.EVENT_TYPE_USER_ENTER, user_entered={"user_id": "bob"})
        second = json.loads(await asyncio.wait_for(process.stdout.readline(), 15))
        assert await asyncio.wait_for(process.wait(), 15) == 0
    assert list(first) == ["snapshot"]
    assert second["event"]["userEntered"]["userId"] == "bob"


async def test_events_are_told_in_the_time_of_the_place(fake: FakeAgent, socket: str) -> None:
    await fake.publish(event_pb2.EVENT_TYPE_CALL_CHANGED, event_time={"seconds": 3600})
    await fake.publish(event_pb2.EVENT_TYPE_USER_ENTER, event_time={"seconds": 3600})
    ended = await command(socket, "events", "--cursor", "1", "--count", "1", TZ="UTC-5")
    assert ended.out.startswith("06:00:00.000  USER_ENTER")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["logout"], "logged out"),
        (["hangup"], "there is no call"),
        (["mute"], "microphone muted"),
        (["mute", "off"], "microphone on"),
        (["camera", "on"], "camera on"),
        (["quality", "1080p"], "1080p from now on"),
        (["switch", "video"], "video call"),
        (["status"], "nobody: logged out"),
        (["stats", "--interval", "0"], "bob"),
        (["fault", "list"], "no faults in force"),
        (["fault", "drop-hub", "--for", "60"], "hub dropped: "),
        (["fault", "drop-hub"], "no faults in force"),
        (["fault", "refuse", "--for", "60"], "signalling refused: "),
        (["fault", "delay", "0.5"], "delay: 0.5 s"),
        (["fault", "lose-camera"], "camera lost: "),
        (["fault", "kill-peer", "bob"], "the connection with bob is dead"),
        (["fault", "clear"], "no faults in force"),
        (["network-changed"], "2 media connections"),
        (["call", "bob", "carol"], "dialling"),
        (["completion", "bash"], "_mediaagent"),
        (["--help"], "Exit codes"),
    ],
)
async def test_every_command_says_what_it_did(
    fake: FakeAgent, socket: str, arguments: list[str], text: str
) -> None:
    ended = await command(socket, *arguments)
    assert ended.code == 0, ended.err
    assert text in ended.out
