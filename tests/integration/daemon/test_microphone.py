"""A daemon whose microphone cannot be opened: ERROR 60003 for its clients, no sound for the other."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from mediaagent import Event
from mediaagent.v1 import call_pb2
from mediaagentd.children import free_port
from mediaagentd.demo.actor import Actor, having

from tests.integration import processes


async def test_a_microphone_that_is_not_there_and_comes_back(tmp_path: Path) -> None:
    sound = tmp_path / "voice.wav"
    async with AsyncExitStack() as stack:
        port = free_port()
        target = f"127.0.0.1:{port}"
        daemons = (
            processes.agent(tmp_path, "alice", target, microphone=f"file:{sound}"),
            processes.agent(tmp_path, "bob", target),
        )
        household = processes.household(processes.hub(tmp_path, port=port), *daemons)
        hub, started = await stack.enter_async_context(household)
        actors = []
        for name, daemon in zip(("alice", "bob"), started, strict=True):
            actor = await stack.enter_async_context(Actor(name, daemon.socket))
            await actor.agent.login(name, hub.mint(name))
            actors.append(actor)
        alice, bob = actors
        marks = alice.mark, bob.mark
        await alice.agent.call("bob", "audio", timeout=30)
        invited = await bob.expect(Event.INVITED, marks[1])
        await bob.agent.accept(invited.call.invite_id)
        error = await alice.expect(Event.ERROR, marks[0])
        assert error.code == 60003
        assert "voice.wav" in error.message
        await bob.expect(
            Event.USER_AUDIO_AVAILABLE, marks[1], having(user_id="alice", is_audio_available=False)
        )
        await alice.expect_call(having(state=call_pb2.CALL_STATE_ACTIVE))
        mark = bob.mark
        write_second(sound)
        await bob.expect(Event.USER_AUDIO_AVAILABLE, mark, having(user_id="alice", is_audio_available=True))


def write_second(path: Path) -> None:
    """One second of silence, there all at once."""
    import wave

    draft = path.with_suffix(".part")
    with wave.open(str(draft), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(48_000)
        writer.writeframes(bytes(96_000))
    draft.rename(path)
