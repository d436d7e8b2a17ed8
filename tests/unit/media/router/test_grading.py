"""Who is weak, and what few bits are spent on: by arithmetic."""

from __future__ import annotations

from itertools import pairwise

import pytest
from mediaagentd.media.grading import (
    BETTER_FOR,
    LEAST_DENSITY,
    MOST_PATIENCE,
    WORSE_FOR,
    WORTH_IT,
    Feed,
    Grades,
    Ladder,
    Shape,
    Stream,
)
from mediaagentd.media.types import VideoCodec, VideoFrame, VideoProfile

FULL = 1_500_000
MAIN, WEAK = Stream(VideoCodec.H264), Stream(VideoCodec.H264, weak=True)


def weak_at(grades: Grades, seconds: range, **rates: int) -> list[bool]:
    """Whether carol is weak in each of these seconds."""
    return ["carol" in grades.update(rates, float(second)) for second in seconds]


def test_somebody_is_weak_after_a_while_and_not_for_a_moment() -> None:
    grades = Grades()
    assert not any(weak_at(grades, range(2), bob=FULL, carol=300_000))
    assert not any(weak_at(grades, range(2, 4), bob=FULL, carol=FULL))
    seen = weak_at(grades, range(4, 12), bob=FULL, carol=300_000)
    assert seen.index(True) == WORSE_FOR
    assert all(seen[int(WORSE_FOR) :])


def test_somebody_who_recovers_stays_weak_for_a_while() -> None:
    grades = Grades()
    weak_at(grades, range(10), bob=FULL, carol=300_000)
    assert all(weak_at(grades, range(10, 40), bob=FULL, carol=900_000)), "between the thresholds"
    seen = weak_at(grades, range(40, 60), bob=FULL, carol=1_200_000)
    assert seen.index(False) == BETTER_FOR
    assert not any(seen[int(BETTER_FOR) :])


def test_a_rate_that_swings_changes_nothing() -> None:
    grades = Grades()
    for second in range(120):
        rate = 300_000 if second % 4 < 2 else FULL
        assert not grades.update({"bob": FULL, "carol": rate}, float(second))


def test_two_encodings_need_two_kinds_of_users() -> None:
    grades = Grades()
    weak_at(grades, range(10), bob=FULL, carol=300_000)
    assert weak_at(grades, range(10, 11), carol=300_000) == [False], "bob has left"
    assert not any(weak_at(grades, range(20, 40), bob=WORTH_IT - 1, carol=100_000)), "all are weak"
    weak_at(grades, range(40, 50), bob=FULL, carol=300_000, dave=200_000)
    assert grades.update({"bob": FULL, "carol": 300_000, "dave": 200_000}, 50.0) == {"carol", "dave"}


class Group:
    """Users behind paths of so many bits a second. What one can take is known as far ends estimate it: of
    what comes half as much again or 0.3 Mbit/s more, at most, and less than the path after a queue.
    """

    def __init__(self, **paths: int) -> None:
        self.paths = paths
        self.rates = {user: min(FULL, path) for user, path in paths.items()}
        self.weak: frozenset[str] = frozenset()
        self.now = 0.0
        self._grades = Grades()

    def given(self, *, weak: bool) -> int:
        """The rate of that encoding."""
        return min((rate for user, rate in self.rates.items() if (user in self.weak) is weak), default=FULL)

    def pass_second(self) -> None:
        for _ in range(4):
            self.weak = self._grades.update(self.rates, self.now)
            given = {user: self.given(weak=user in self.weak) for user in self.rates}
            for user, path in self.paths.items():
                most = max(given[user] * 3 // 2, given[user] + 300_000)
                risen = max(self.rates[user], min(most, int(self.rates[user] * 1.08)))
                self.rates[user] = path * 3 // 4 if given[user] > path else min(FULL, risen)
            self.now += 0.25


def test_one_of_two_weak_users_who_recovers_is_strong_soon() -> None:
    """It was shown 80 kbit/s, and could not show that it can take more, for as long as the other was weak."""
    group = Group(bob=3_000_000, carol=300_000, dave=80_000)
    for _ in range(20):
        group.pass_second()
    assert "dave" in group.weak
    group.paths["carol"] = 3_000_000
    for _ in range(60):
        group.pass_second()
    assert group.weak == {"dave"}
    assert group.given(weak=False) == FULL


def test_whoever_cannot_take_more_is_tried_ever_more_rarely() -> None:
    group = Group(bob=3_000_000, carol=300_000, dave=80_000)
    trials, worse = [], 0
    for second in range(3600):
        group.pass_second()
        worse += group.given(weak=False) < FULL
        if second > 10 and "carol" not in group.weak:
            trials.append(second)
    assert 5 < len(trials) < 25
    assert worse < 40, "seconds of an hour"
    assert trials[-1] - trials[-2] >= MOST_PATIENCE


def test_an_hour_of_being_weak_and_strong_in_turn() -> None:
    group = Group(bob=3_000_000, carol=3_000_000, dave=80_000)
    for turn in range(60):
        group.paths["carol"] = (300_000, 3_000_000)[turn % 2]
        for _ in range(60):
            group.pass_second()
        assert ("carol" in group.weak) is (turn % 2 == 0)


def test_of_two_users_the_one_who_recovers_is_not_held_down_by_the_other() -> None:
    """What it gets is for the other, 80 kbit/s, and so nobody estimates more than 380."""
    group = Group(carol=150_000, dave=80_000)
    for _ in range(20):
        group.pass_second()
    group.paths["carol"] = 3_000_000
    for _ in range(30):
        group.pass_second()
    assert group.weak == {"dave"}
    assert group.rates["carol"] == FULL


@pytest.mark.parametrize("profile", list(VideoProfile))
def test_fewer_bits_make_a_smaller_picture(profile: VideoProfile) -> None:
    ladder = Ladder(profile)
    shapes = [ladder.shape(rate, float(i)) for i, rate in enumerate(range(profile.bitrate, 100_000, -10_000))]
    assert shapes[0] == Shape(full=profile.size.width * profile.size.height)
    assert all(a.scale >= b.scale for a, b in pairwise(shapes))
    assert len(set(shapes)) <= 5
    last = shapes[-1]
    pixels = profile.size.width * profile.size.height * last.scale**2 * (last.fps or profile.fps)
    assert 110_000 / pixels > LEAST_DENSITY * 0.6


def test_a_picture_grows_only_when_there_are_bits_to_spare() -> None:
    ladder = Ladder(VideoProfile.P720)
    assert ladder.shape(500_000, 0.0).scale == 0.75
    assert ladder.shape(600_000, 0.0).scale == 0.75
    assert ladder.shape(800_000, 0.0).scale == 0.75
    assert ladder.shape(830_000, 0.0).scale == 1.0
    assert ladder.shape(600_000, 0.0).scale == 1.0


def frame(pts: int, *, keyframe: bool = False) -> VideoFrame:
    return VideoFrame(VideoCodec.H264, b"", pts, keyframe, 0.0)


@pytest.mark.parametrize("profile", list(VideoProfile))
def test_a_camera_of_small_pictures_keeps_them_for_longer(profile: VideoProfile) -> None:
    """Their pixels count, not the profile's: each has as many bits as those of a full picture."""
    full = profile.size.width * profile.size.height
    for rate in range(profile.bitrate, 100_000, -20_000):
        shape = Ladder(profile).shape(rate, 0.0)
        assert shape.scale_of(full) == shape.scale
        for small in (320 * 240, 640 * 480, full * 3 // 4):
            scale = shape.scale_of(min(full, small))
            assert shape.scale <= scale <= 1
            assert scale == shape.scale or scale**2 * small <= shape.scale**2 * full * 1.01
    assert Ladder(VideoProfile.P720).shape(400_000, 0.0).scale_of(640 * 480) == 1
    assert Ladder(VideoProfile.P1080).shape(400_000, 0.0).scale_of(640 * 480) == 1


def test_a_user_changes_streams_at_a_keyframe_and_never_back_in_time() -> None:
    feed = Feed()
    assert feed.take(MAIN, MAIN, frame(1)) is None
    assert feed.take(MAIN, MAIN, frame(2, keyframe=True)) == frame(2, keyframe=True)
    assert feed.take(WEAK, WEAK, frame(3)) is None
    assert feed.take(WEAK, MAIN, frame(3)) == frame(3), "the old one goes on until the new one can begin"
    assert feed.take(WEAK, WEAK, frame(3, keyframe=True)) == frame(4, keyframe=True), (
        "the same picture once more"
    )
    assert feed.take(WEAK, MAIN, frame(3000, keyframe=True)) is None
    assert feed.take(WEAK, WEAK, frame(3000)) == frame(3000)
    assert feed.take(MAIN, WEAK, frame(6000)) == frame(6000), "and back alike"
    assert feed.take(MAIN, MAIN, frame(6000, keyframe=True)) == frame(6001, keyframe=True)


def test_a_moment_of_few_bits_makes_the_picture_smaller_at_once_but_not_less_smooth() -> None:
    ladder = Ladder(VideoProfile.P720)
    assert ladder.shape(90_000, 5.0) == Shape(0.5, 1.0, full=1280 * 720)
    assert ladder.shape(200_000, 6.5) == Shape(0.5, 1.0, full=1280 * 720)
    assert ladder.shape(90_000, 7.5).pace == 1.0
    assert ladder.shape(90_000, 9.5).pace == 0.5
