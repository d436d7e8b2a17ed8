"""How often pictures come."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from mediaagentd.media.rate import LEAST_SHARE, Cadence


def shares(cadence: Cadence, times: Iterable[float]) -> list[float]:
    seen = []
    for time in times:
        cadence.note(time)
        seen.append(cadence.share)
    return seen


def every(interval: float, seconds: float, begin: float = 100.0) -> list[float]:
    return [begin + number * interval for number in range(round(seconds / interval))]


def test_all_until_it_is_known() -> None:
    assert set(shares(Cadence(30), every(1 / 15, 0.5))) == {1.0}


@pytest.mark.parametrize("fps", [30.0, 25.0, 15.0, 10.0, 7.5])
def test_a_camera_that_gives_less(fps: float) -> None:
    assert shares(Cadence(30), every(1 / fps, 3.0))[-1] == pytest.approx(fps / 30, rel=0.11)


@pytest.mark.parametrize("interval", [0.8, 1.0, 1.02, 5.0])
def test_a_slide_show_counts_as_the_least(interval: float) -> None:
    cadence = Cadence(30)
    assert shares(cadence, every(interval, 10 * interval))[-1] == LEAST_SHARE


def test_after_a_slide_show_the_first_that_comes_sooner_counts() -> None:
    cadence = Cadence(30)
    shares(cadence, every(1.5, 15.0))
    assert set(shares(cadence, every(1 / 30, 3.0, 113.6))) == {1.0}
    cadence.expect(0.5)
    assert shares(cadence, every(1.5, 15.0, 120.0))[0] == 0.5


def test_more_of_them_are_noticed_at_once_fewer_within_a_second() -> None:
    dark, light = every(1 / 15, 3.0), every(1 / 30, 3.0, 103.0)
    seen = shares(Cadence(30), [*dark, *light])
    assert seen[len(dark) + 6] == pytest.approx(1.0)
    seen = shares(Cadence(30), [*every(1 / 30, 3.0), *every(1 / 15, 1.1, 103.0)])
    assert seen[-1] == pytest.approx(0.5, rel=0.11)


def test_a_camera_is_not_to_the_millisecond_and_a_network_s_pictures_come_together() -> None:
    swaying = [time + 0.008 * (number % 3 - 1) for number, time in enumerate(every(1 / 30, 5.0))]
    assert set(shares(Cadence(30), swaying)) == {1.0}
    bursts = [100 + number // 3 * 0.1 + number % 3 * 0.001 for number in range(150)]
    assert min(shares(Cadence(30), bursts)) >= 0.9


def test_a_pause_tells_nothing() -> None:
    cadence = Cadence(30)
    assert shares(cadence, every(1 / 15, 3.0))[-1] == pytest.approx(0.5, rel=0.11)
    before = cadence.share
    assert set(shares(cadence, every(1 / 15, 3.0, 163.0))) == {before}


def test_what_somebody_knows_holds_until_it_is_seen_otherwise() -> None:
    cadence = Cadence(30)
    shares(cadence, every(1 / 30, 3.0))
    cadence.expect(0.5)
    assert set(shares(cadence, every(1 / 15, 3.0, 103.0))) == {0.5}
    assert shares(cadence, every(1 / 7.5, 3.0, 106.0))[-1] == pytest.approx(0.25, rel=0.11)


def test_times_that_go_back_or_stand_still_are_no_failure() -> None:
    assert shares(Cadence(30), [100.0] * 50 + [99.0, 98.0, 98.0])[-1] == 1.0
