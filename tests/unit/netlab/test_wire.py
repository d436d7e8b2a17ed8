"""The laboratory's wire by arithmetic on `now`."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.netlab.profiles import REORDER_DELAY, Impairment, round_trip
from tests.netlab.wire import Wire

SPACING = 0.005


def carried(impairment: Impairment, packets: int = 20_000, seed: int = 7) -> list[tuple[float, ...]]:
    """Delays of packets of 160 bytes that are sent every 5 ms."""
    wire = Wire(impairment, seed)
    return [
        tuple(due - number * SPACING for due in wire.carry(160, number * SPACING))
        for number in range(packets)
    ]


def test_the_same_seed_does_the_same() -> None:
    rough = Impairment(0.1, 0.05, 0.1, 3.0, 0.02, 0.05, 300_000)
    assert carried(rough) == carried(rough)
    assert carried(rough) != carried(rough, seed=8)


def test_a_clean_wire_only_delays() -> None:
    assert all(abs(delay - 0.05) < 1e-9 for (delay,) in carried(round_trip(0.1)))


def test_losses_come_in_runs_of_the_mean_length() -> None:
    lost = [not arrivals for arrivals in carried(Impairment(loss=0.1, burst=3.0))]
    runs = sum(now and not before for before, now in pairwise([False, *lost]))
    assert abs(sum(lost) / len(lost) - 0.1) < 0.01
    assert abs(sum(lost) / runs - 3.0) < 0.3


def test_independent_loss_is_left_to_the_filter() -> None:
    assert all(carried(Impairment(loss=0.3)))
    assert not any(carried(Impairment(loss=1.0)))


def test_jitter_stays_in_its_bounds_and_in_order() -> None:
    delays = [delay for (delay,) in carried(Impairment(delay=0.1, jitter=0.05))]
    assert 0.05 <= min(delays) < 0.06
    assert 0.14 < max(delays) <= 0.15
    assert all(after - before >= -SPACING - 1e-9 for before, after in pairwise(delays))


def test_some_are_doubled_and_some_overtaken() -> None:
    arrivals = carried(Impairment(duplicate=0.02, reorder=0.05))
    doubled = sum(len(each) == 2 for each in arrivals)
    held = sum(abs(each[0] - REORDER_DELAY) < 1e-6 for each in arrivals)
    assert abs(doubled / len(arrivals) - 0.02) < 0.005
    assert abs(held / len(arrivals) - 0.05) < 0.01


def test_a_clean_wire_leaves_overtaken_what_came_so() -> None:
    wire = Wire(round_trip(0.1), 1)
    arrivals = [wire.carry(160, sent)[0] for sent in (0.03, 0.01, 0.04)]
    assert arrivals == pytest.approx([0.08, 0.06, 0.09])


def test_a_narrow_wire_queues_and_then_drops() -> None:
    wire = Wire(Impairment(rate=300_000, queue=0.2), 1)
    arrivals = [wire.carry(1250, number * 0.01) for number in range(1000)]  # 1 Mbit/s
    delivered = [each[0] for each in arrivals if each]
    assert abs(len(delivered) * 10_000 / delivered[-1] - 300_000) < 6_000
    assert max(each[0] - number * 0.01 for number, each in enumerate(arrivals) if each) < 0.24
