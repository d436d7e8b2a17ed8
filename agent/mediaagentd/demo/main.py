"""Sets the stage, tells the story, writes the report."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from mediaagentd.demo import figures
from mediaagentd.demo.actor import Actor
from mediaagentd.demo.group import GroupChapter
from mediaagentd.demo.processes import House, ProcessError
from mediaagentd.demo.story import Story
from mediaagentd.demo.timeline import StepFailed, Timeline, expect

OUTPUT = Path("build") / "demo"


def run(output: Path = OUTPUT) -> int:
    """The demonstration; 0 when every step happened, 1 otherwise, 130 when interrupted."""
    try:
        return asyncio.run(_interruptible(output.absolute()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130


async def _interruptible(output: Path) -> int:
    """SIGTERM, and a terminal that closes, end it as Ctrl-C does: in order."""
    performance = asyncio.current_task()
    assert performance is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            asyncio.get_running_loop().add_signal_handler(number, performance.cancel)
    return await _perform(output)


async def _perform(output: Path) -> int:
    """One performance with its report."""
    console = Console(highlight=False, soft_wrap=True)
    album = _empty_album(output)
    timeline = Timeline(console)
    started = datetime.datetime.now(datetime.UTC).isoformat()
    report: dict[str, Any] = {"started": started, "failed": "interrupted"}
    story: Story | None = None
    try:
        async with _stage(output, album, timeline) as story:
            await story.tell()
            await _group(story)
            await _leave(story)
        report["failed"] = None
        figures.show(console, story.figures)
    except StepFailed as failure:
        report["failed"] = str(failure)
        console.print(f"the demonstration failed at: {failure}", style="red", markup=False)
    finally:
        _write(output / "report.json", report, timeline, story)
    seconds = time.monotonic() - timeline.began
    console.print(
        f"{len(timeline.steps)} steps in {seconds:.1f} s; {output / 'report.json'} and {album}/*.png"
    )
    return 0 if report["failed"] is None else 1


def _empty_album(output: Path) -> Path:
    """The directory of the pictures, without those of an earlier performance."""
    output.mkdir(parents=True, exist_ok=True)
    for old in output.glob("*.png"):
        old.unlink()
    return output


@contextlib.asynccontextmanager
async def _stage(output: Path, album: Path, timeline: Timeline) -> AsyncIterator[Story]:
    """One hub, two daemons, two clients; gone at the end whatever happens."""
    house = House(output / "run")
    try:
        async with contextlib.AsyncExitStack() as stack:
            await _start(house, timeline)
            actors = [Actor(name, house.socket(name)) for name in ("alice", "bob")]
            async with timeline.step("a thin client connects to each daemon"):
                alice, bob = [await stack.enter_async_context(actor) for actor in actors]
            yield Story(house, timeline, album, alice, bob)
    except StepFailed:
        _last_words(house, timeline)
        raise
    finally:
        await house.stop()


async def _group(story: Story) -> None:
    """The chapter of three, for which one more daemon starts."""
    carol = Actor("carol", story.house.socket("carol"))
    async with story.timeline.step("a third daemon starts", 30):
        await _told(story.house.start_agent("carol"))
    async with carol:
        actors = (story.alice, story.bob, carol)
        await GroupChapter(story.house, story.timeline, story.album, actors, story.pictures).tell()


async def _start(house: House, timeline: Timeline) -> None:
    """The processes."""
    async with timeline.step("the hub starts", 30):
        await _told(house.start_hub())
    async with timeline.step("two daemons start", 30) as step:
        await asyncio.gather(*(_told(house.start_agent(name)) for name in ("alice", "bob")))
        step.detail = ", ".join(f"{child.name} {child.process.pid}" for child in house.children)


async def _told(start: Any) -> None:
    """A process that does not start is an unexpected turn like any other."""
    try:
        await start
    except ProcessError as error:
        expect(False, str(error))


async def _leave(story: Story) -> None:
    """Everything stops in order."""
    async with story.timeline.step("daemons and hub stop", 30):
        codes = await story.house.stop()
        expect(not any(codes.values()), f"exit codes {codes}")


def _last_words(house: House, timeline: Timeline) -> None:
    """What the processes wrote last, for whoever has to find out why."""
    for child in house.children:
        timeline.console.print(f"--- {child.name} ({child.log})", markup=False)
        timeline.console.print(child.last_words(), markup=False, style="dim")


def _write(file: Path, report: dict[str, Any], timeline: Timeline, story: Story | None) -> None:
    """report.json."""
    report["seconds"] = round(time.monotonic() - timeline.began, 3)
    report["steps"] = [
        {**asdict(step), "at_ms": round(step.at_ms, 1), "took_ms": round(step.took_ms, 1)}
        for step in timeline.steps
    ]
    report["table"] = [one.as_json() for one in story.figures] if story is not None else []
    report["pictures"] = story.pictures if story is not None else []
    file.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
