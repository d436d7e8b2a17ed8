"""When pictures may leave, by arithmetic on `now`."""

from __future__ import annotations

from mediaagentd.media.rtc.pacer import BREATH, BREATH_APART, BREATH_LEAST, DRAIN_MOST, TIGHT, Pacer

PACKET = 1200


def leave(pacer: Pacer, packets: int, now: float) -> list[float]:
    """Sends so many as soon as they may go; when each left."""
    left = []
    for _ in range(packets):
        while (wait := pacer.wait(now)) > 0:
            now += wait + 1e-9
        pacer.sent(PACKET, now)
        left.append(now)
    return left


def stream(pacer: Pacer, rate: int, seconds: float, now: float) -> float:
    """A sender of that rate, a packet at a time; until when."""
    end = now + seconds
    while now < end:
        pacer.sent(PACKET, now)
        now += PACKET * 8 / rate
    return now


def test_a_picture_of_usual_size_leaves_at_once_and_a_large_one_is_spread() -> None:
    assert leave(Pacer(), 10, 5.0) == [5.0] * 10
    left = leave(Pacer(), 60, 5.0)
    assert 0.07 < left[-1] - left[0] < 0.1  # 6 Mbit/s


def test_on_a_wide_path_it_leaves_at_three_times_what_gets_through() -> None:
    pacer = Pacer()
    pacer.told(2_000_000, 4.0)
    left = leave(pacer, 60, 5.0)
    assert 0.07 < left[-1] - left[0] < 0.1
    pacer.told(200_000, 60.0)
    pacer.told(200_000, 70.0)
    left = leave(pacer, 60, 70.0)
    assert 0.4 < left[-1] - left[0] < 0.7  # 1 Mbit/s at least: it is not known to be tight


def test_when_less_gets_through_than_is_sent_it_drains_first_and_then_goes_as_it_gets_through() -> None:
    pacer = Pacer()
    pacer.told(1_500_000, 0.0)
    now = stream(pacer, 1_200_000, 2.0, 0.5)
    assert pacer.told(300_000, now)
    assert pacer.tight(now)
    left = leave(pacer, 20, now)
    assert abs(left[0] - now - DRAIN_MOST) < 0.01
    assert abs((left[-1] - left[2]) - 17 * PACKET * 8 / 300_000) < 0.1
    assert left[3] - left[2] > 0.02  # sound goes in between
    assert not pacer.told(300_000, left[-1])
    assert not pacer.tight(left[-1] + TIGHT)


def test_a_little_less_is_no_reason_to_stop() -> None:
    pacer = Pacer()
    pacer.told(1_500_000, 0.0)
    now = stream(pacer, 1_200_000, 2.0, 0.5)
    assert not pacer.told(1_100_000, now)
    assert pacer.tight(now)
    assert pacer.wait(now + 0.1) == 0


def test_a_camera_that_was_off_has_sent_nothing_that_must_drain() -> None:
    pacer = Pacer()
    pacer.told(1_500_000, 0.0)
    now = stream(pacer, 1_200_000, 2.0, 0.5)
    assert not pacer.told(300_000, now + 2.0)


def test_a_queue_on_the_way_to_us_stops_pictures_for_a_breath_and_not_again_at_once() -> None:
    pacer = Pacer()
    pacer.breathe(1.0)
    assert abs(pacer.wait(1.0) - BREATH) < 1e-9
    assert pacer.wait(1.0 + BREATH) == 0
    pacer.breathe(1.0 + BREATH)
    assert pacer.wait(1.0 + BREATH) == 0
    pacer.breathe(1.0 + BREATH_APART)
    assert pacer.wait(1.0 + BREATH_APART) > 0


def test_a_breath_ends_with_word_from_the_far_end_that_is_not_from_before_it() -> None:
    pacer = Pacer()
    pacer.told(1_500_000, 0.0)
    pacer.breathe(1.0)
    pacer.told(1_500_000, 1.0 + BREATH_LEAST - 0.1)
    assert pacer.wait(1.0 + BREATH_LEAST - 0.1) > 0
    pacer.told(1_500_000, 1.0 + BREATH_LEAST)
    assert pacer.wait(1.0 + BREATH_LEAST) == 0
    pacer.breathe(10.0)
    pacer.told(300_000, 10.05)
    assert pacer.wait(10.05) == 0


def test_what_was_sent_before_a_breath_counts_and_the_breath_has_drained_it() -> None:
    pacer = Pacer()
    pacer.told(1_500_000, 0.0)
    now = stream(pacer, 1_200_000, 2.0, 0.5)
    pacer.breathe(now)
    assert pacer.told(300_000, now + DRAIN_MOST) > 3
    assert pacer.wait(now + DRAIN_MOST) == 0
    assert pacer.told(290_000, now + DRAIN_MOST + 0.1) == 0


def test_a_far_end_that_takes_nothing_stops_pictures_only_for_a_while() -> None:
    pacer = Pacer()
    now = stream(pacer, 1_200_000, 2.0, 0.5)
    assert pacer.told(0, now) > 0
    assert leave(pacer, 3, now)[-1] - now < 2


def test_as_many_leave_together_as_would_leave_one_after_the_other() -> None:
    for tight in (False, True):
        single, grouped = Pacer(), Pacer()
        for pacer in (single, grouped):
            pacer.told(1_000_000, 0.0)
            if tight:
                pacer.told(400_000, 0.1)
        left = leave(single, 40, 1.0)
        now, rest, together = 1.0, 40, list[float]()
        while rest:
            while (wait := grouped.wait(now)) > 0:
                now += wait + 1e-9
            count = grouped.grant([PACKET] * rest, now)
            together += [now] * count
            rest -= count
        assert all(abs(one - other) < 1e-6 for one, other in zip(left, together, strict=True))
