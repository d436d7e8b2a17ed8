"""The group chapter: three daemons in one call, each sees both others, and a picture of what one sees."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mediaagent import Event, VideoProfile
from mediaagent.v1 import call_pb2

from mediaagentd.demo import figures
from mediaagentd.demo.actor import Actor, having
from mediaagentd.demo.pictures import grid, luma_of_image, shows_label
from mediaagentd.demo.processes import House
from mediaagentd.demo.timeline import Timeline, expect
from mediaagentd.demo.watching import watching

GROUP = "family"

LOOK = 3.0
"""Seconds that all look at each other."""


@dataclass(slots=True)
class GroupChapter:
    """Alice, bob and carol, and what they do together."""

    house: House
    timeline: Timeline
    album: Path
    actors: tuple[Actor, Actor, Actor]
    pictures: list[str]

    async def tell(self) -> None:
        """The whole chapter."""
        self.timeline.chapter("a group")
        await self._log_in()
        await self._call()
        await self._everyone_sees_everyone()
        await self._picture()
        await self._leave_and_join()
        await self._go_one_by_one()
        await self._log_out()

    async def _log_in(self) -> None:
        """All log in; alice makes a group of them."""
        async with self.timeline.step("alice, bob and carol log in, at 480p"):
            for actor in self.actors:
                await actor.agent.login(actor.name, self.house.user_sig(actor.name))
                await actor.agent.set_video_quality(VideoProfile.P480)
        async with self.timeline.step(f"alice makes the group {GROUP}") as step:
            group = await self.actors[0].agent.groups.create(["bob", "carol"], group_id=GROUP)
            step.detail = ", ".join(member.user_id for member in group.members)

    async def _call(self) -> None:
        """One message calls the group; both accept."""
        alice, *others = self.actors
        marks = {actor.name: actor.mark for actor in self.actors}
        async with self.timeline.step(f"alice calls the group {GROUP} with one message"):
            await alice.agent.group_call(group_id=GROUP, timeout=30)
        for actor in others:
            async with self.timeline.step(f"{actor.name} is INVITED from the group and accepts") as step:
                invited = await actor.expect(Event.INVITED, marks[actor.name], having(sponsor="alice"))
                expect(invited.is_from_group, "it does not come from a group")
                await actor.agent.accept(invited.invite_id)
                step.detail = f"with {', '.join(invited.user_id_list)}"
        async with self.timeline.step("each gets USER_ENTER of both others"):
            for actor, other in self._pairs():
                await actor.expect(Event.USER_ENTER, marks[actor.name], having(user_id=other.name))

    async def _everyone_sees_everyone(self) -> None:
        """The number in each of six pictures goes forward."""
        async with self.timeline.step(f"each sees both others for {LOOK:.0f} s", LOOK + 20) as step:
            async with contextlib.AsyncExitStack() as looks:
                watches = [
                    await looks.enter_async_context(watching(actor, other.name))
                    for actor, other in self._pairs()
                ]
                await asyncio.gather(*(watch.first_picture() for watch in watches))
                for watch in watches:
                    watch.forget()
                before = await figures.read(self.actors[0])
                await asyncio.sleep(LOOK)  # The story's own time, not a wait for something.
                after = await figures.read(self.actors[0])
                for watch in watches:
                    watch.check(LOOK, least_fps=8)
            cpu = figures.between("alice", "bob", before, after, 0).cpu_share
            step.detail = f"6 pictures live; alice's daemon takes {cpu:.2f} of a core"

    async def _picture(self) -> None:
        """What alice sees, as one picture: herself, bob, carol."""
        alice = self.actors[0]
        async with self.timeline.step("alice takes a picture of all three") as step:
            own = await alice.agent.take_snapshot()
            others = [await alice.agent.take_snapshot(actor.name) for actor in self.actors[1:]]
            for actor, reply in zip(self.actors[1:], others, strict=True):
                expect(shows_label(luma_of_image(reply.image), actor.name), f"{actor.name} is not in it")
            words = ["what alice sees", f"group {GROUP}", "3 in the call"]
            file = self.album / "alice-sees-the-group.png"
            file.write_bytes(grid([own.image, *(reply.image for reply in others)], words))
            self.pictures.append(str(file))
            step.detail = file.name

    async def _leave_and_join(self) -> None:
        """Carol leaves and comes back by herself."""
        alice, bob, carol = self.actors
        marks = alice.mark, bob.mark
        async with self.timeline.step("carol leaves; alice and bob get USER_LEAVE"):
            await carol.agent.hangup()
            for actor, mark in zip((alice, bob), marks, strict=True):
                await actor.expect(Event.USER_LEAVE, mark, having(user_id="carol"))
        async with self.timeline.step("carol joins the running call of the group again"):
            call = await carol.agent.join_group_call(group_id=GROUP)
            expect(call.is_group, f"the call is {call}")
            for actor, mark in zip((alice, bob), marks, strict=True):
                await actor.expect(Event.USER_ENTER, mark, having(user_id="carol"))

    async def _go_one_by_one(self) -> None:
        """The last one who is left gets CALL_END; the history remembers."""
        alice, bob, carol = self.actors
        mark = alice.mark
        async with self.timeline.step("bob leaves, then carol: alice, the last one, gets CALL_END"):
            await bob.agent.hangup()
            await alice.expect(Event.USER_LEAVE, mark, having(user_id="bob"))
            await carol.agent.hangup()
            end = (await alice.expect(Event.CALL_END, mark)).call
            expect(end.end_reason == call_pb2.END_REASON_HANGUP, f"the call is {end}")
        async with self.timeline.step("alice's history has it") as step:
            newest = (await alice.agent.history.page(size=1)).records[0]
            expect(newest.group_id == GROUP, f"the newest record is {newest}")
            step.detail = f"{newest.duration.ToTimedelta().total_seconds():.1f} s with {GROUP}"

    async def _log_out(self) -> None:
        """All go home."""
        async with self.timeline.step("all log out"):
            for actor in self.actors:
                await actor.agent.logout()

    def _pairs(self) -> Iterator[tuple[Actor, Actor]]:
        """Who looks at whom."""
        return ((one, other) for one in self.actors for other in self.actors if one is not other)
