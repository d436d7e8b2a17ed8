from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np
import pytest
from mediaagentd.media.capture.planes import luma_of

from tests.bench import content, ears, eyes, networks, report
from tests.bench.__main__ import main, run_one
from tests.bench.figures import Figure, percentile, told
from tests.bench.peers import tree_cpu

CONTEXT = np.random.default_rng(1)


def test_a_ratio_is_taken_to_the_best_of_the_others_and_a_goal_has_a_side() -> None:
    figure = Figure("cpu", "core", (0.2, 0.3, 0.25), "", {"one": (0.5,), "two": (1.0,)}, goal=0.26)
    assert figure.ratio == 0.5
    assert figure.met
    assert not Figure("psnr", "dB", (33.0,), "", goal=33.4, at_least=True).met
    assert Figure("x", "s", (1.0,), "").met is Figure("x", "s", (1.0,), "").ratio is None


def test_percentiles_and_how_figures_are_told() -> None:
    assert percentile(range(100), 0.99) == 99
    assert percentile([1.0], 0.5) == 1.0
    assert told(()) == "-"
    assert told((1.0, 2.0, 3.0)) == "2 (1 to 3; 3)"


def test_a_picture_is_as_old_as_its_latest_capture() -> None:
    captured = [(7, 1.0), (7, 4.0), (8, 4.033)]
    assert eyes.latencies(captured, [(7, 4.01), (None, 4.02), (9, 4.03)]) == [pytest.approx(10)]


def test_a_picture_is_compared_with_the_original_whose_number_it_bears(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    originals = list(itertools.islice(content.pictures(), 3))
    monkeypatch.setattr(content, "originals", lambda _path: originals)
    lumas = [luma_of(frame).copy() for frame in originals[:3]]
    same = eyes.compare([lumas[1], lumas[1]])
    assert same == {"psnr": [99.0, 99.0], "unread": 0, "different": 1}
    noisy = np.clip(lumas[2] + CONTEXT.normal(0, 5, lumas[2].shape), 0, 255).astype(np.uint8)
    told = eyes.compare([lumas[0], noisy, np.zeros_like(noisy)])
    assert told["unread"] == 1
    assert told["different"] == 2
    assert told["psnr"][1] == pytest.approx(10 * np.log10(255**2 / 25), abs=0.3)


def test_figures_of_other_scenarios_stay_and_the_table_goes_between_its_marks(tmp_path: Path) -> None:
    path, readme = tmp_path / "report.json", tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.keep(
        "one", [Figure("cpu", "core", (0.3,), "it was", {"stock": (0.4,)}, goal=0.26, why="Old.")], 1, path
    )
    report.keep("two", [Figure("fps", "1/s", (30.0,), "counted")], 1, path)
    report.publish(["two", "one"], path, readme)
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| cpu | core | 0.3 | <= 0.26 MISSED | stock 0.4 | 0.75 | it was |" in text
    assert "- cpu: 0.3 core, goal at most 0.26. Old." in text
    assert text.index("### two") < text.index("### one")
    report.publish(["two", "one"], path, readme)
    assert readme.read_text() == text


def test_the_number_in_sound_is_read_and_what_was_made_up_brings_none() -> None:
    late = np.concatenate([np.zeros(312, np.int16), *(ears.slot(number) for number in range(95, 110))])
    blocks = late[: 15 * ears.SLOT].reshape(15, ears.SLOT)
    numbers = [ears.read(block) for block in blocks]
    assert numbers == [number % ears.NUMBERS for number in range(95, 110)]
    assert ears.in_order(numbers) == 15
    assert ears.in_order([*numbers[:7], numbers[6], *numbers[8:]]) == 14, "a slot that repeats the one before"
    heard = ears.Ears()
    heard.listen()
    for block in [*blocks, np.zeros(ears.SLOT, np.int16)]:
        heard.heard(block)
    assert heard.tell() == {"slots": 16, "loud": 15, "numbered": 15}
    assert heard.count == 15


def test_a_frozen_picture_is_no_new_one() -> None:
    times = [(1, 0.1), (2, 0.2), (2, 0.3), (None, 0.4), (3, 0.9), (4, 1.1)]
    seen = networks.judged(times, 0.0, 1.0)
    assert seen.fps == 3.0
    assert seen.gap == pytest.approx(0.7)


def test_a_scenario_that_fails_or_lacks_something_is_named_and_ends_nothing() -> None:
    def failing(_directory: Path) -> list[Figure]:
        raise AssertionError("nothing came")

    def needing(_directory: Path) -> list[Figure]:
        raise networks.NeedsError("root")

    assert run_one("x", failing) == "failed: AssertionError: nothing came"
    assert run_one("x", needing) == "not run: root"
    assert main(["nonsense"]) == main(["--help"]) == 2


def test_the_cpu_of_a_process_is_read() -> None:
    used = sum(os.times()[:2])
    assert tree_cpu(os.getpid()) == pytest.approx(used, abs=0.5)
