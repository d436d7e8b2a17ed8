"""Timestamps that go on when their source begins anew."""

from __future__ import annotations

from mediaagentd.media.views.timeline import Timeline

FRAME = 3000
"""Ticks of one picture at 30 a second."""


def test_an_unbroken_stream_is_left_as_it_is() -> None:
    timeline = Timeline(90_000)
    assert [timeline.place(5 + n * FRAME, 10 + n / 30) for n in range(4)] == [5, 3005, 6005, 9005]


def test_jitter_and_a_pause_are_no_new_beginning() -> None:
    timeline = Timeline(90_000)
    timeline.place(0, 10.0)
    assert timeline.place(FRAME, 10.4) == FRAME
    assert timeline.place(FRAME + 90_000 * 7, 17.4) == FRAME + 90_000 * 7


def test_a_rebuilt_connection_goes_on_at_the_distance_of_the_arrivals() -> None:
    timeline = Timeline(90_000)
    for number in range(300):
        last = timeline.place(number * FRAME, 10 + number / 30)
    assert last is not None
    again = timeline.place(0, 10 + 299 / 30 + 2.0)
    assert again == last + 180_000
    assert timeline.place(FRAME, 10 + 300 / 30 + 2.0) == again + FRAME


def test_what_comes_late_is_left_out() -> None:
    timeline = Timeline(48_000)
    assert timeline.place(960, 1.02) == 960
    assert timeline.place(0, 1.03) is None
    assert timeline.place(960, 1.03) is None
    assert timeline.place(1920, 1.04) == 1920
