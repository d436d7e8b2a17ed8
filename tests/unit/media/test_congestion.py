"""The rate that a peer can take, by arithmetic on `now`."""

from __future__ import annotations

from collections.abc import Callable

from mediaagentd.media.congestion import LEAST_BITRATE, START, RateControl
from mediaagentd.media.types import Feedback, VideoProfile


def hear(rate: RateControl, seconds: range, say: Callable[[int], Feedback]) -> None:
    """A report a second, each of which may depend on the rate so far."""
    for second in seconds:
        rate.feedback(say(rate.bitrate), float(second))


def calm(_: int) -> Feedback:
    return Feedback(None, 0.0, 0.1)


def test_a_connection_begins_carefully_and_is_soon_at_the_most() -> None:
    rate = RateControl(VideoProfile.P1080)
    assert rate.bitrate == START
    hear(rate, range(6), calm)
    assert rate.bitrate == VideoProfile.P1080.bitrate
    assert RateControl(VideoProfile.P480).bitrate == VideoProfile.P480.bitrate


def test_loss_that_we_make_lowers_the_rate_within_seconds_and_calm_raises_it() -> None:
    """A bottleneck of 400 kbit/s without a queue."""
    rate = RateControl(VideoProfile.P720)
    hear(rate, range(8), calm)
    hear(rate, range(8, 13), lambda sent: Feedback(None, max(0.0, 1 - 400_000 / sent), 0.1))
    assert rate.bitrate < 480_000
    hear(rate, range(13, 60), lambda sent: Feedback(None, max(0.0, 1 - 400_000 / sent), 0.1))
    assert 280_000 < rate.bitrate < 560_000
    hear(rate, range(60, 70), calm)
    assert rate.bitrate == 1_500_000


def test_loss_that_the_network_makes_anyway_does_not_keep_it_down() -> None:
    rate = RateControl(VideoProfile.P720)
    hear(rate, range(8), calm)
    hear(rate, range(8, 13), lambda _: Feedback(None, 0.2, 0.1))
    assert rate.bitrate < 1_000_000  # it might have been ours
    hear(rate, range(13, 40), lambda _: Feedback(None, 0.2, 0.1))
    assert rate.bitrate == 1_500_000
    hear(rate, range(40, 44), lambda _: Feedback(None, 0.5, 0.1))
    assert rate.bitrate < 1_000_000  # what comes on top still counts


def test_one_bad_report_between_two_good_ones_counts() -> None:
    rate = RateControl(VideoProfile.P480)
    rate.feedback(Feedback(None, 0.0, None), 0.0)
    rate.feedback(Feedback(None, 0.5, None), 0.4)
    rate.feedback(Feedback(None, 0.0, None), 1.1)
    assert rate.bitrate < 700_000


def test_the_estimate_bounds_the_rate_at_once_and_leaves_room_for_sound() -> None:
    rate = RateControl(VideoProfile.P720)
    rate.feedback(Feedback(500_000, 0.0, None), 0.0)
    assert rate.bitrate == 450_000
    rate.feedback(Feedback(1_000, 0.0, None), 0.1)
    assert rate.bitrate == LEAST_BITRATE
    hear(rate, range(1, 8), lambda _: Feedback(9_000_000, 0.0, None))
    assert rate.bitrate == 1_500_000


def test_what_waits_behind_an_estimate_does_not_climb_out_of_sight() -> None:
    rate = RateControl(VideoProfile.P1080)
    hear(rate, range(30), lambda _: Feedback(550_000, 0.0, 0.1))
    rate.feedback(Feedback(9_000_000, 0.0, 0.1), 29.5)
    assert rate.bitrate < 700_000


def test_a_growing_round_trip_is_a_queue_where_the_far_end_estimates_nothing() -> None:
    rate = RateControl(VideoProfile.P720)
    hear(rate, range(5), calm)
    hear(rate, range(5, 10), lambda _: Feedback(None, 0.0, 0.4))
    assert rate.bitrate < 600_000
    estimated = RateControl(VideoProfile.P720)
    hear(estimated, range(10), lambda _: Feedback(3_000_000, 0.0, 0.4))
    assert estimated.bitrate == 1_500_000
