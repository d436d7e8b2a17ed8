"""The story: every step is an assertion with a name and a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mediaagent import AgentError, Event, VideoProfile
from mediaagent.v1 import call_pb2, media_pb2, session_pb2

from mediaagentd.demo import figures
from mediaagentd.demo.actor import Actor, having
from mediaagentd.demo.figures import Figures
from mediaagentd.demo.pictures import counter_of, luma_of_image, shows_label
from mediaagentd.demo.processes import House
from mediaagentd.demo.timeline import Timeline, expect
from mediaagentd.demo.watching import Watch, watching

LOOK = 5.0
"""Seconds that both look at each other."""

LEAST_FPS = 15.0
"""Live enough on a machine that does all of this at once."""

RING = 2.0
"""Seconds that the call that times out rings."""


@dataclass(slots=True)
class Story:
    """Two users, what they do, and what it shows."""

    house: House
    timeline: Timeline
    album: Path
    alice: Actor
    bob: Actor
    figures: list[Figures] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    _accepted: float = 0.0

    async def tell(self) -> None:
        """The whole story."""
        await self._log_in()
        await self._call()
        async with contextlib.AsyncExitStack() as looks:
            await self._see_each_other(looks)
        await self._hang_up()
        await self._rejected_call()
        await self._cancelled_call()
        await self._unanswered_call()
        await self._log_out()

    # --- logging in -------------------------------------------------------------------------------

    async def _log_in(self) -> None:
        """Both log in and choose 720p."""
        for actor in (self.alice, self.bob):
            async with self.timeline.step(f"{actor.name} logs in") as step:
                session = await actor.agent.login(actor.name, self.house.user_sig(actor.name))
                expect(session.state == session_pb2.SESSION_STATE_ONLINE, f"the session is {session}")
                step.detail = f"device {session.device_id}"
            async with self.timeline.step(f"{actor.name} chooses 720p"):
                reply = await actor.agent.set_video_quality(VideoProfile.P720)
                expect(reply.effect == media_pb2.QUALITY_EFFECT_NOW, "it takes effect later")
                expect(reply.media.profile == media_pb2.VIDEO_PROFILE_720P, f"it is {reply.media}")

    # --- the call ---------------------------------------------------------------------------------

    async def _call(self) -> None:
        """The video call is made and accepted."""
        marks = self.alice.mark, self.bob.mark
        async with self.timeline.step("alice calls bob with video"):
            call = await self.alice.agent.call("bob", "video", timeout=30)
            expect(call.state == call_pb2.CALL_STATE_DIALLING, f"the call is {call}")
        async with self.timeline.step("bob is INVITED") as step:
            invited = await self.bob.expect(Event.INVITED, marks[1], having(sponsor="alice"))
            expect(invited.invite_data.call_type == call_pb2.CALL_TYPE_VIDEO, "it is no video call")
            step.detail = f"by {invited.sponsor}, room {invited.invite_data.room_id}"
        async with self.timeline.step("bob accepts"):
            self._accepted = time.monotonic()
            call = await self.bob.agent.accept(
                invited.invite_id, invited.invite_data.room_id, invited.invite_data.call_type
            )
            expect(call.state != call_pb2.CALL_STATE_RINGING, f"the call is {call}")

    async def _see_each_other(self, looks: contextlib.AsyncExitStack) -> None:
        """Everything that happens while both look at each other."""
        alice_looks = looks.enter_async_context(watching(self.alice, "bob"))
        bob_looks = looks.enter_async_context(watching(self.bob, "alice"))
        async with self.timeline.step("both open a view of the other"):
            watches = await asyncio.gather(alice_looks, bob_looks)
        for watch in watches:
            async with self.timeline.step(f"{watch.viewer.name} sees {watch.other}") as step:
                setup = (await watch.first_picture() - self._accepted) * 1000
                step.detail = f"{setup:.0f} ms after the accept"
        for actor, other in ((self.alice, "bob"), (self.bob, "alice")):
            async with self.timeline.step(f"{actor.name} gets USER_ENTER of {other}"):
                await actor.expect(Event.USER_ENTER, 0, having(user_id=other))
                await actor.expect_call(lambda call: call.state == call_pb2.CALL_STATE_ACTIVE)
        await self._look(watches)
        await self._snapshots()
        await self._mute()
        await self._camera(watches[1])
        await self._switch(watches)

    async def _look(self, watches: Sequence[Watch]) -> None:
        """Five seconds of live video both ways, and the figures of them."""
        before = [await figures.read(watch.viewer) for watch in watches]
        for watch in watches:
            watch.forget()
        async with self.timeline.step(f"both see the other for {LOOK:.0f} s", LOOK + 10) as step:
            await asyncio.sleep(LOOK)  # The story's own time, not a wait for something.
            told = [watch.check(LOOK, LEAST_FPS) for watch in watches]
            step.detail = "; ".join(told)
        for watch, old in zip(watches, before, strict=True):
            new = await figures.read(watch.viewer)
            one = figures.between(watch.viewer.name, watch.other, old, new, watch.pictures)
            one.setup_ms = round(((watch.first or 0.0) - self._accepted) * 1000, 1)
            self.figures.append(one)

    async def _snapshots(self) -> None:
        """What each sees, as files that bear the other's number and name."""
        for actor, other in ((self.alice, "bob"), (self.bob, "alice")):
            async with self.timeline.step(f"{actor.name} takes a snapshot of {other}") as step:
                reply = await actor.agent.take_snapshot(other)
                luma = luma_of_image(reply.image)
                number = counter_of(luma)
                expect(number is not None, "there is no number in it")
                expect(luma.shape == (720, 1280), f"it is {luma.shape[1]}x{luma.shape[0]}")
                expect(shows_label(luma, other), f"it does not bear the name of {other}")
                file = self.album / f"{actor.name}-sees-{other}.png"
                file.write_bytes(reply.image)
                self.pictures.append(str(file))
                step.detail = f"{reply.width}x{reply.height}, frame {number}, {file.name}"

    async def _mute(self) -> None:
        """Bob's microphone goes off and on, and alice learns of it."""
        for mute in (True, False):
            name = f"bob {'mutes' if mute else 'unmutes'}; alice gets USER_AUDIO_AVAILABLE {not mute}"
            async with self.timeline.step(name):
                mark = self.alice.mark
                await self.bob.agent.set_mic_mute(mute)
                await self.alice.expect(
                    Event.USER_AUDIO_AVAILABLE,
                    mark,
                    having(user_id="bob", is_audio_available=not mute),
                )

    async def _camera(self, watch: Watch) -> None:
        """Alice's camera goes off and on; bob learns of it and sees her again."""
        for on in (False, True):
            name = f"alice {'opens' if on else 'closes'} the camera; bob gets USER_VIDEO_AVAILABLE {on}"
            async with self.timeline.step(name):
                mark = self.bob.mark
                await (self.alice.agent.open_camera() if on else self.alice.agent.close_camera())
                await self.bob.expect(
                    Event.USER_VIDEO_AVAILABLE,
                    mark,
                    having(user_id="alice", is_video_available=on),
                )
        async with self.timeline.step("bob sees alice again"):
            await watch.more_numbers(10)

    async def _switch(self, watches: Sequence[Watch]) -> None:
        """To audio and back, each time learnt by the other."""
        for kind, number in (("audio", call_pb2.CALL_TYPE_AUDIO), ("video", call_pb2.CALL_TYPE_VIDEO)):
            async with self.timeline.step(f"alice switches to {kind}; bob's call changes"):
                switch = (
                    self.alice.agent.switch_to_audio_call
                    if kind == "audio"
                    else self.alice.agent.switch_to_video_call
                )
                expect((await switch()).type == number, "the reply has another type")
                await self.bob.expect_call(having(type=number))
        for watch in watches:
            async with self.timeline.step(f"{watch.viewer.name} sees {watch.other} again"):
                await watch.more_numbers(10)

    # --- ends -------------------------------------------------------------------------------------

    async def _hang_up(self) -> None:
        """Alice hangs up; the call is over for both, once."""
        marks = self.alice.mark, self.bob.mark
        async with self.timeline.step("alice hangs up"):
            ended = await self.alice.agent.hangup()
            expect(ended is not None, "there was no call")
        async with self.timeline.step("bob gets USER_LEAVE"):
            await self.bob.expect(Event.USER_LEAVE, marks[1], having(user_id="alice"))
        for actor, mark in zip((self.alice, self.bob), marks, strict=True):
            async with self.timeline.step(f"{actor.name} gets CALL_END") as step:
                end = (await actor.expect(Event.CALL_END, mark)).call
                _expect_end(end, call_pb2.END_REASON_HANGUP, "alice")
                seconds = end.duration.ToTimedelta().total_seconds()
                expect(seconds > LOOK, f"it lasted {seconds} s")
                step.detail = f"after {seconds:.1f} s"
        async with self.timeline.step("hanging up again does nothing"):
            expect(await self.alice.agent.hangup() is None, "there was a call")

    async def _rejected_call(self) -> None:
        """Bob calls alice, who rejects."""
        marks = self.alice.mark, self.bob.mark
        async with self.timeline.step("bob calls alice, who is INVITED") as step:
            await self.bob.agent.call("alice", "audio", timeout=30)
            invited = await self.alice.expect(Event.INVITED, marks[0])
            step.detail = "audio"
        async with self.timeline.step("alice rejects; bob gets REJECT"):
            await self.alice.agent.reject(invited.invite_id)
            await self.bob.expect(Event.REJECT, marks[1], having(user_id="alice"))
        await self._both_end(marks, call_pb2.END_REASON_REJECTED)

    async def _cancelled_call(self) -> None:
        """Alice calls bob and thinks better of it."""
        marks = self.alice.mark, self.bob.mark
        async with self.timeline.step("alice calls bob, who is INVITED"):
            await self.alice.agent.call("bob", "video", timeout=30)
            await self.bob.expect(Event.INVITED, marks[1])
        async with self.timeline.step("alice cancels; bob gets CALLING_CANCEL"):
            await self.alice.agent.hangup()
            await self.bob.expect(Event.CALLING_CANCEL, marks[1], having(user_id="alice"))
        await self._both_end(marks, call_pb2.END_REASON_CANCELLED)

    async def _unanswered_call(self) -> None:
        """Alice calls bob, who does not answer."""
        marks = self.alice.mark, self.bob.mark
        async with self.timeline.step(f"alice calls bob for {RING:.0f} s, who is INVITED"):
            await self.alice.agent.call("bob", "audio", timeout=RING)
            await self.bob.expect(Event.INVITED, marks[1])
        async with self.timeline.step("nobody answers: bob gets CALLING_TIMEOUT, alice NO_RESP"):
            await self.bob.expect(Event.CALLING_TIMEOUT, marks[1])
            await self.alice.expect(Event.NO_RESP, marks[0], lambda e: "bob" in e.user_id_list)
        await self._both_end(marks, call_pb2.END_REASON_NO_RESPONSE)

    async def _both_end(self, marks: tuple[int, int], reason: call_pb2.EndReason.ValueType) -> None:
        """Both get CALL_END, for that reason."""
        word = call_pb2.EndReason.Name(reason).removeprefix("END_REASON_")
        async with self.timeline.step(f"both get CALL_END: {word}"):
            for actor, mark in zip((self.alice, self.bob), marks, strict=True):
                _expect_end((await actor.expect(Event.CALL_END, mark)).call, reason)

    async def _log_out(self) -> None:
        """Both log out; nothing works afterwards."""
        for actor in (self.alice, self.bob):
            async with self.timeline.step(f"{actor.name} logs out"):
                session = await actor.agent.logout()
                expect(session.state == session_pb2.SESSION_STATE_LOGGED_OUT, f"the session is {session}")
        async with self.timeline.step("alice cannot call any more") as step:
            step.detail = await _refusal(self.alice)


def _expect_end(
    call: call_pb2.Call, reason: call_pb2.EndReason.ValueType, ended_by: str | None = None
) -> None:
    """A call that is over for that reason."""
    expect(call.state == call_pb2.CALL_STATE_ENDED, f"the call is not over: {call}")
    told = call_pb2.EndReason.Name(call.end_reason)
    expect(call.end_reason == reason, f"the reason is {told}")
    expect(ended_by in (None, call.ended_by), f"it was ended by {call.ended_by!r}")


async def _refusal(actor: Actor) -> str:
    """The reason why that user cannot call."""
    try:
        await actor.agent.call("bob", "audio")
    except AgentError as error:
        expect(error.reason == "NOT_LOGGED_IN", f"it was refused for {error.reason}")
        return error.reason
    expect(False, "it was not refused")
    return ""
