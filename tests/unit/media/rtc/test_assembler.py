"""Stories of packets that come late, twice or never, told by arithmetic on `now`."""

from __future__ import annotations

import pytest
from mediaagentd.media.rtc.assembler import (
    ECHO_FROM,
    KEYFRAME_INTERVAL,
    OUTAGE_PACKETS,
    REORDER,
    REPAIR,
    REPAIR_MOST,
    SILENCE,
    STALL,
    TRIES,
    WATCH,
    Assembler,
    Picture,
)
from mediaagentd.media.rtc.payload import Payload
from mediaagentd.media.types import VIDEO_CLOCK

from tests.unit.media.rtc.sender import STEP, Stream, feed


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def assembler() -> Assembler:
    return Assembler()


def test_a_picture_leaves_at_its_marker(assembler: Assembler, stream: Stream) -> None:
    packets = stream.picture(3, key=True)
    assert feed(assembler, stream, packets[:2]) == []
    (picture,) = feed(assembler, stream, packets[2:], 0.5)
    assert picture == Picture(b"0.0;0.1;0.2;", 0, keyframe=True, arrived=0.5)
    assert assembler.deadline() is None


@pytest.mark.parametrize("hours", [0.1, 7, 14, 50])
def test_a_camera_that_was_off_for_hours_goes_on_at_its_time(
    assembler: Assembler, stream: Stream, hours: float
) -> None:
    (before,) = feed(assembler, stream, stream.picture(key=True))
    stream.timestamp += round(hours * 3600 * VIDEO_CLOCK)
    (after,) = feed(assembler, stream, stream.picture(key=True), hours * 3600 + 0.2)
    assert after.timestamp - before.timestamp == STEP + hours * 3600 * VIDEO_CLOCK


def test_a_picture_without_a_marker_leaves_at_the_next_timestamp(
    assembler: Assembler, stream: Stream
) -> None:
    stream.picture(2, key=True)
    stream.picture(1)
    number, timestamp, _, payload = stream.packets[1]
    stream.packets[1] = (number, timestamp, False, payload)
    assert [p.data for p in feed(assembler, stream, [0, 1, 2])] == [b"0.0;0.1;", b"2.0;"]


def test_reordered_packets_make_whole_pictures_and_no_nack(assembler: Assembler, stream: Stream) -> None:
    key, delta = stream.picture(2, key=True), stream.picture(2)
    assert len(feed(assembler, stream, key)) == 1
    assert feed(assembler, stream, [delta[1]], 1.0) == []
    assert assembler.poll(1.0 + REORDER / 2).lost == ()
    assert len(feed(assembler, stream, [delta[0]], 1.005)) == 1
    assert assembler.poll(1.1).lost == ()


def test_a_repeated_packet_changes_nothing(assembler: Assembler, stream: Stream) -> None:
    key, delta = stream.picture(2, key=True), stream.picture()
    assert len(feed(assembler, stream, [*key, *key, *delta, *delta])) == 2
    assert assembler.dropped == 3


def test_a_lost_packet_is_asked_for_until_it_comes(assembler: Assembler, stream: Stream) -> None:
    key, delta, after = stream.picture(key=True), stream.picture(3), stream.picture()
    feed(assembler, stream, key)
    assert feed(assembler, stream, [delta[0], delta[2], *after]) == []
    assert assembler.deadline() == pytest.approx(REORDER)
    assert assembler.poll(REORDER).lost == (2,)
    assert assembler.poll(REORDER).lost == ()
    due = assembler.deadline()
    assert due is not None
    assert due < STALL
    assert assembler.poll(due).lost == (2,)
    assert [p.timestamp for p in feed(assembler, stream, [delta[1]], 0.3)] == [STEP, 2 * STEP]
    assert assembler.deadline() is None


def test_a_loss_that_stays_is_given_up_for_a_keyframe(assembler: Assembler, stream: Stream) -> None:
    key, lost, after = stream.picture(key=True), stream.picture(), stream.picture()
    feed(assembler, stream, [*key, *after])
    assert not assembler.poll(STALL - 0.01).keyframe
    assert assembler.poll(STALL).keyframe
    assert not assembler.waiting
    assert assembler.poll(REPAIR).keyframe
    assert assembler.waiting
    assert feed(assembler, stream, [*lost, *stream.picture()], REPAIR) == []
    assert not assembler.poll(REPAIR + KEYFRAME_INTERVAL / 2).keyframe
    assert assembler.poll(REPAIR + KEYFRAME_INTERVAL).keyframe
    (picture,) = feed(assembler, stream, stream.picture(2, key=True), 2.0)
    assert picture.keyframe
    assert not assembler.poll(9.0).keyframe


def test_a_whole_keyframe_behind_a_gap_ends_the_waiting(assembler: Assembler, stream: Stream) -> None:
    key, _, _, fresh = (
        stream.picture(key=True),
        stream.picture(),
        stream.picture(),
        stream.picture(2, key=True),
    )
    feed(assembler, stream, key)
    assert [p.keyframe for p in feed(assembler, stream, [2, *fresh])] == [True]
    assert assembler.deadline() is None


def test_a_long_round_trip_is_given_more_patience(assembler: Assembler, stream: Stream) -> None:
    assembler.round_trip = 0.3
    key, _, after = stream.picture(key=True), stream.picture(), stream.picture()
    feed(assembler, stream, [*key, *after])
    assert not assembler.poll(0.74).keyframe
    assert assembler.poll(0.75).keyframe
    assembler.poll(1.49)
    assert not assembler.waiting
    assembler.poll(1.5)
    assert assembler.waiting


def test_on_a_far_path_there_is_time_for_several_tries(assembler: Assembler, stream: Stream) -> None:
    assembler.round_trip = 1.2
    key, lost, after = stream.picture(key=True), stream.picture(), stream.picture()
    feed(assembler, stream, [*key, *after])
    asked = [tick / 100 for tick in range(460) if assembler.poll(tick / 100).lost]
    assert asked == pytest.approx(
        [0.01, 0.07, 1.33, 1.39, 2.05, 2.11, 2.77, 2.83, 3.49, 3.55, 4.21, 4.27], abs=0.05
    )
    assert not assembler.waiting
    assert len(feed(assembler, stream, lost, 4.6)) == 2


def test_however_far_there_is_an_end_to_patience(assembler: Assembler, stream: Stream) -> None:
    assembler.round_trip = 9.0
    key, _, after = stream.picture(key=True), stream.picture(), stream.picture()
    feed(assembler, stream, [*key, *after])
    assembler.poll(REPAIR_MOST - 0.01)
    assert not assembler.waiting
    assembler.poll(REPAIR_MOST)
    assert assembler.waiting


def test_what_comes_back_by_itself_is_not_asked_for_at_once(assembler: Assembler, stream: Stream) -> None:
    assembler.round_trip, assembler.protected = 1.2, True
    key, lost, after = stream.picture(key=True), stream.picture(), stream.picture()
    feed(assembler, stream, [*key, *after])
    assert assembler.deadline() == pytest.approx(0.3)
    assert assembler.poll(0.29).lost == ()
    assert len(feed(assembler, stream, lost, 0.29)) == 2
    assert assembler.deadline() is None


def test_nothing_is_released_before_the_first_keyframe(assembler: Assembler, stream: Stream) -> None:
    assert feed(assembler, stream, [*stream.picture(), *stream.picture(2)]) == []
    assert assembler.poll(0.0).keyframe
    assert len(feed(assembler, stream, stream.picture(3, key=True))) == 1


def test_a_keyframe_on_its_way_is_not_asked_for(assembler: Assembler, stream: Stream) -> None:
    feed(assembler, stream, stream.picture(3, key=True)[:2])
    assert not assembler.poll(KEYFRAME_INTERVAL - 0.01).keyframe
    assert assembler.poll(KEYFRAME_INTERVAL).keyframe


def test_a_camera_that_is_off_is_not_asked(assembler: Assembler, stream: Stream) -> None:
    feed(assembler, stream, stream.picture())
    assert assembler.poll(0.0).keyframe
    assert assembler.deadline() == KEYFRAME_INTERVAL
    assert assembler.poll(SILENCE).keyframe
    assert assembler.deadline() is None
    feed(assembler, stream, stream.picture(), 60.0)
    assert assembler.poll(60.0).keyframe


def test_somebody_who_begins_to_look_asks_for_a_keyframe(assembler: Assembler, stream: Stream) -> None:
    feed(assembler, stream, stream.picture(key=True))
    assert not assembler.poll(0.1).keyframe
    assembler.want_keyframe()
    assert assembler.poll(0.1).keyframe
    feed(assembler, stream, stream.picture(key=True), 0.2)
    assert assembler.deadline() is None


def test_an_outage_is_not_repaired(assembler: Assembler, stream: Stream) -> None:
    feed(assembler, stream, stream.picture(key=True))
    stream.sequence += OUTAGE_PACKETS + 1
    assert feed(assembler, stream, stream.picture(), 5.0) == []
    requests = assembler.poll(5.0)
    assert requests.keyframe
    assert requests.lost == ()


def test_a_restarted_sender_is_followed(assembler: Assembler, stream: Stream) -> None:
    feed(assembler, stream, stream.picture(key=True))
    stream.sequence += 20_000
    assert len(feed(assembler, stream, stream.picture(2, key=True), 1.0)) == 1


def test_numbers_wrap(assembler: Assembler) -> None:
    stream = Stream(sequence=0xFFFE, timestamp=0xFFFFFFFF - STEP)
    released = feed(assembler, stream, stream.picture(3, key=True))
    released += feed(assembler, stream, stream.picture(2))
    released += feed(assembler, stream, stream.picture(2))
    assert [picture.timestamp for picture in released] == [0, STEP, 2 * STEP]


def test_padding_between_pictures_is_skipped(assembler: Assembler, stream: Stream) -> None:
    key = stream.picture(key=True)
    padding = (stream.sequence, 0, False, Payload(b"", opens=False, key=False))
    stream.sequence += 1
    feed(assembler, stream, key)
    assert assembler.push(*padding, 0.0) == []
    assert len(feed(assembler, stream, stream.picture())) == 1


def test_an_idr_without_parameter_sets_is_a_keyframe(assembler: Assembler) -> None:
    delta, idr = Payload(b"d", opens=False, key=False), Payload(b"i", opens=False, key=True)
    assert assembler.push(1, 0, True, delta, 0.0) == []
    assert [p.keyframe for p in assembler.push(2, STEP, True, idr, 0.0)] == [True]


def test_parameter_sets_alone_are_no_keyframe(assembler: Assembler) -> None:
    sets, delta = Payload(b"s", opens=True, key=False), Payload(b"d", opens=False, key=False)
    idr = Payload(b"i", opens=False, key=True)
    assert assembler.push(1, 0, True, sets, 0.0) == []
    assert assembler.push(2, STEP, True, delta, 0.0) == []
    assert [p.data for p in assembler.push(3, 2 * STEP, True, idr, 0.0)] == [b"i"]


def test_holes_everywhere_are_bounded(assembler: Assembler, stream: Stream) -> None:
    feed(assembler, stream, stream.picture(key=True))
    for _ in range(500):
        stream.sequence += OUTAGE_PACKETS - 1
        feed(assembler, stream, stream.picture(), 0.0)
        assert len(assembler._missing) <= 2 * 1024
        assert len(assembler._parts) <= 1024


def test_one_packet_is_asked_for_a_bounded_number_of_times(assembler: Assembler, stream: Stream) -> None:
    assembler.round_trip = 0.001
    feed(assembler, stream, [*stream.picture(key=True)])
    stream.picture()
    feed(assembler, stream, stream.picture())
    asked = sum(len(assembler.poll(tick / 1000).lost) for tick in range(390))
    assert 3 <= asked <= TRIES


@pytest.mark.parametrize(
    ("round_trip", "asked_at"),
    [
        (0.2, [REORDER, REORDER + 0.05, REORDER + 0.22, REORDER + 0.27]),
        (ECHO_FROM - 0.01, [REORDER, REORDER + 0.088, REORDER + 0.136]),
    ],
)
def test_what_is_asked_for_over_a_long_path_is_asked_for_twice(
    assembler: Assembler, stream: Stream, round_trip: float, asked_at: list[float]
) -> None:
    """The request may be lost as well; twice within half a round trip is once to the sender."""
    assembler.round_trip = round_trip
    feed(assembler, stream, stream.picture(key=True))
    stream.picture()
    feed(assembler, stream, stream.picture(), 0.0)
    asked = [tick / 1000 for tick in range(int(asked_at[-1] * 1000) + 8) if assembler.poll(tick / 1000).lost]
    assert asked == pytest.approx(asked_at, abs=0.006)


def test_what_others_wait_for_is_asked_for_sooner_and_named_with_them(
    assembler: Assembler, stream: Stream
) -> None:
    """Once its repair is overdue; the others take their time."""
    assembler.round_trip = 0.2
    feed(assembler, stream, stream.picture(key=True))
    oldest, _, second, _ = stream.picture(), stream.picture(), stream.picture(), stream.picture()
    feed(assembler, stream, [1 + oldest[0], 1 + second[0]], 0.0)
    asked: dict[int, list[float]] = {}
    for tick in range(620):
        if tick == 400:
            stream.picture()
            feed(assembler, stream, stream.picture(), 0.4)
        for number in assembler.poll(tick / 1000).lost:
            asked.setdefault(number, []).append(tick / 1000)
    by_itself = [0.01, 0.06, 0.23, 0.28, 0.35, 0.40, 0.47, 0.52, 0.59]
    with_the_second = [0.45]
    assert asked[oldest[0]] == pytest.approx(sorted(by_itself + with_the_second), abs=0.006)
    assert asked[second[0]] == pytest.approx([0.01, 0.06, 0.23, 0.28, 0.45, 0.5], abs=0.006)


def test_a_picture_that_never_ends_although_its_packets_come_is_given_up(
    stream: Stream, assembler: Assembler
) -> None:
    """A far end that has lost its marker bit and its clock."""
    assert feed(assembler, stream, stream.picture(key=True))
    endless = stream.picture(200)
    for number, index in enumerate(endless[:-1]):
        now = 1.0 + number * 0.01
        feed(assembler, stream, [index], now)
        if (deadline := assembler.deadline()) is not None and deadline <= now:
            break
    assert 1.0 + WATCH <= now < 1.0 + WATCH + 0.02
    assert assembler.poll(now).keyframe
    assert assembler.waiting
    whole = stream.picture(3, key=True)
    assert feed(assembler, stream, [*endless[-1:], *whole], now)


def test_a_large_keyframe_on_a_narrow_path_is_waited_for(stream: Stream, assembler: Assembler) -> None:
    feed(assembler, stream, stream.picture(key=True))
    large = stream.picture(40, key=True)
    for number, index in enumerate(large[:-1]):
        now = number * 0.03
        feed(assembler, stream, [index], now)
        assert not assembler.poll(now).keyframe
    assert feed(assembler, stream, large[-1:], now)


def test_what_cannot_be_repaired_in_time_is_not_asked_for(stream: Stream, assembler: Assembler) -> None:
    feed(assembler, stream, stream.picture(key=True))
    lost = stream.picture(30)
    feed(assembler, stream, stream.picture())
    assembler.abandon(beyond=len(lost))
    assert len(assembler.poll(REORDER).lost) == len(lost)
    assembler.abandon(beyond=len(lost) - 1)
    requests = assembler.poll(1.0)
    assert requests.keyframe
    assert not requests.lost
    assert feed(assembler, stream, stream.picture(2, key=True), 1.1)


def test_on_a_tight_path_nothing_is_asked_for_that_cannot_be_shown(
    stream: Stream, assembler: Assembler
) -> None:
    feed(assembler, stream, stream.picture(), 0.0)  # no keyframe yet
    lost = stream.picture()
    feed(assembler, stream, stream.picture(), 0.0)
    assembler.tight_until = 0.3
    assert not assembler.poll(0.1).lost
    assert assembler.deadline() == 0.3, "nor does anybody wake for it"
    assert assembler.poll(0.3).lost == tuple(stream.packets[index][0] for index in lost)
