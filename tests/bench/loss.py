"""Video with a fifth of all packets lost each way, 100 ms there and back, 720p30 and sound both ways."""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path

from tests.bench.call import quality
from tests.bench.contenders import CONTENDERS, OURS, STOCK, Setting
from tests.bench.figures import Figure
from tests.bench.networks import Shown, impair, laboratory, shown
from tests.netlab import round_trip

PATH = round_trip(0.1, 0.2)
LEARNING = 5.0
SECONDS = 15.0
RUNS = 3


async def _run(who: str, directory: Path) -> tuple[list[Shown], float]:
    async with laboratory("ann", "ben") as lab:
        await impair(lab, lab["ben"], PATH)
        how = Setting(prefixes=(lab["ann"].prefix, lab["ben"].prefix))
        async with CONTENDERS[who](directory, how) as pair:
            await asyncio.sleep(LEARNING)
            return await shown(pair, SECONDS), await quality(pair)


def run_all(directory: Path) -> list[Figure]:
    """Interleaved; both ends count, of a gap the worse."""
    found: dict[str, list[tuple[list[Shown], float]]] = {OURS: [], STOCK: []}
    for number in range(RUNS):
        for who, runs in found.items():
            runs.append(asyncio.run(_run(who, directory / f"{number}-{who.replace(' ', '-')}")))
    fps = {
        who: tuple(statistics.mean(end.fps for end in ends) for ends, _ in runs)
        for who, runs in found.items()
    }
    gap = {who: tuple(max(end.gap for end in ends) for ends, _ in runs) for who, runs in found.items()}
    psnr = {who: tuple(value for _, value in runs) for who, runs in found.items()}
    checked = "loss probed, numbers in the pictures read"
    return [
        Figure("720p30 at 20 % loss, 100 ms: pictures seen", "1/s", fps.pop(OURS), checked, fps, 24, True),
        Figure("longest time without a new picture", "s", gap.pop(OURS), checked, gap, 0.5),
        Figure("PSNR of luma, smaller pictures enlarged", "dB", psnr.pop(OURS), checked, psnr),
    ]
