"""Our picture on its way to the users: who gets which stream, and what each stream may cost."""

from __future__ import annotations

import time
from collections.abc import Iterable

from mediaagentd.media import router
from mediaagentd.media.grading import Feed, Grades, Ladder, Stream
from mediaagentd.media.link import Link
from mediaagentd.media.local import LocalStreams
from mediaagentd.media.types import VideoCodec, VideoFrame, VideoProfile

LOOK = 0.25
"""Seconds after which feedback is looked at even if it says what it said before."""


class Outgoing:
    """On the event loop. Everybody gets the same stream of a codec, except users who can take much less
    than the best: they get a smaller one.
    """

    def __init__(self, local: LocalStreams, profile: VideoProfile) -> None:
        self._local = local
        self._profile = profile
        self._grades: dict[VideoCodec, Grades] = {}
        self._ladders: dict[Stream, Ladder] = {}
        self._feeds: dict[str, Feed] = {}
        self._said: dict[str, tuple[int, float]] = {}
        self._looked = float("-inf")
        self.weak: frozenset[str] = frozenset()
        """The users who get the smaller stream of their codec."""

    def set_profile(self, profile: VideoProfile) -> None:
        """Size and rate of the captured picture."""
        self._profile = profile
        self._ladders.clear()

    def heeds(self, link: Link) -> bool:
        """Whether that user's feedback, which comes several times a second, may change anything: it says
        something new, or nobody's has been looked at for a while, and grades and ladders count time.
        """
        now, said = time.monotonic(), (link.rate.bitrate, link.audio_loss)
        if self._said.get(link.user_id) == said and now - self._looked < LOOK:
            return False
        self._said[link.user_id], self._looked = said, now
        return True

    def grade(self, links: Iterable[Link]) -> bool:
        """Looks who is weak now; whether that has changed."""
        rates: dict[VideoCodec, dict[str, int]] = {codec: {} for codec in self._grades}
        for link in links:
            if link.is_up and link.video_codec is not None:
                rates.setdefault(link.video_codec, {})[link.user_id] = link.rate.bitrate
        now, before = time.monotonic(), self.weak
        graded = [self._grades.setdefault(codec, Grades()).update(each, now) for codec, each in rates.items()]
        self.weak = frozenset().union(*graded)
        return self.weak != before

    def retune(self, links: Iterable[Link]) -> None:
        """Sets each encoder to what those who get its stream can take."""
        links, now = [link for link in links if link.is_up], time.monotonic()
        self._ladders = {each: self._ladders[each] for each in self._local.streams if each in self._ladders}
        for stream in self._local.streams:
            rates = [link.rate for link in links if self.stream_of(link) == stream]
            bitrate = router.encoder_bitrate(rates, self._profile)
            ladder = self._ladders.setdefault(stream, Ladder(self._profile))
            self._local.set_rate(stream, bitrate, ladder.shape(bitrate, now))

    def stream_of(self, link: Link) -> Stream | None:
        """What that user is to get; None before it is negotiated, and for one who takes no video."""
        codec = link.video_codec
        return Stream(codec, link.user_id in self.weak) if codec is not None else None

    def send(self, stream: Stream, frame: VideoFrame, links: Iterable[Link]) -> None:
        """An encoded picture, to those whose it is."""
        for link in links:
            wanted = self.stream_of(link)
            if wanted is None or not link.is_up:
                continue
            taken = self._feeds.setdefault(link.user_id, Feed()).take(wanted, stream, frame)
            if taken is not None:
                link.send_video(taken)
            elif stream == wanted:
                self._local.want_keyframe(stream)

    def interrupt(self) -> None:
        """Nothing is sent for now; the encoders may go on, for views and recordings."""
        for feed in self._feeds.values():
            feed.interrupt()

    def forget(self, user_id: str) -> None:
        """That user is gone, or is connected anew."""
        self._feeds.pop(user_id, None)
        self._said.pop(user_id, None)
