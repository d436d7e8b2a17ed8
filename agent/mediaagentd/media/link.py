"""The connection with one user for as long as both are in the call, however often it is made anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import fields, replace
from typing import Any, Protocol, assert_never

import structlog

from mediaagentd.call.signal import Offer, Rebuild, Signal
from mediaagentd.media import continuity, continuity_types, splice
from mediaagentd.media.addresses import change
from mediaagentd.media.congestion import RateControl
from mediaagentd.media.continuity_types import (
    Adopt,
    Ask,
    Drop,
    Effect,
    Lost,
    Make,
    Over,
    Phase,
    Probe,
    Take,
    Up,
)
from mediaagentd.media.early import LinkKey
from mediaagentd.media.leg import Leg, LegSignal, MakePeer, PeerPort
from mediaagentd.media.tasks import Tasks
from mediaagentd.media.types import (
    UNKNOWN_LOSS,
    UNSAID,
    AudioFrame,
    Feedback,
    Hearing,
    PeerStats,
    StreamStats,
    VideoCodec,
    VideoFrame,
    VideoProfile,
)

_log = structlog.stdlib.get_logger()

LINGER = 2.0
"""Seconds that a connection outlives its successor's beginning: the far end may be behind."""

GENERATIONS = 1 << 31
"""The far end names none beyond: those of ours that follow must still fit into a signal (32 bits)."""

OFFERS = 6
OFFERS_RATE = 1.0
"""Connections that the far end may begin at once, and a second, by an offer or by asking for one: each costs
us a certificate.
"""


class LinkOwner(Protocol):
    """What a link tells the engine; on the loop, must not block."""

    def on_up(self, link: Link) -> None:
        """Connected, connected again, or over another connection than before."""

    def on_lost(self, link: Link) -> None:
        """Nothing is heard; it is being regained."""

    def on_down(self, link: Link, reason: str) -> None:
        """Failed or lost, for good; once."""

    def on_video(self, link: Link, frame: VideoFrame) -> None:
        """A remote picture."""

    def on_audio(self, link: Link, frame: AudioFrame) -> None:
        """Remote sound."""

    def on_keyframe_request(self, link: Link) -> None:
        """The far end wants a keyframe."""

    def on_feedback(self, link: Link) -> None:
        """`link.rate` or `link.audio_loss` may have changed."""


class Link:
    """Owns the legs; does what `continuity` decides. `budget`: seconds until a lost connection is given
    up.
    """

    def __init__(
        self,
        key: LinkKey,
        *,
        offers: bool,
        profile: VideoProfile,
        owner: LinkOwner,
        make_peer: MakePeer,
        send: Callable[[LinkKey, Signal], None],
        budget: float = 60.0,
    ) -> None:
        self.key = key
        self.user_id = key.user_id
        self.rate = RateControl(profile)
        self.audio_loss = UNKNOWN_LOSS
        """Fraction of our sound that is lost on the way to that user."""
        self.opened = time.monotonic()
        self.connected: float | None = None
        self.is_up = False
        """Whether media flows, or flowed and is to flow again."""
        self.first_arrival: float | None = None
        self._owner = owner
        self._make_peer = make_peer
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._legs: dict[int, Leg] = {}
        self._current: Leg | None = None
        self._past: list[PeerStats] = []
        self._video, self._audio = splice.video(), splice.audio()
        self._offers_left, self._offers_filled = float(OFFERS), self._loop.time()
        self._tasks = Tasks()
        self._timer: asyncio.TimerHandle | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self._closed = self._over = False
        self._state, effects = continuity.begin(self._loop.time(), offers=offers, budget=budget)
        self._perform(effects)
        self._arm()

    @property
    def video_codec(self) -> VideoCodec | None:
        """The codec of our video to that user."""
        return self._peer.video_codec if self._peer is not None else None

    @property
    def hearing(self) -> Hearing:
        """How that user hears our sound."""
        return self._peer.hearing if self._peer is not None else UNSAID

    def stats(self) -> PeerStats | None:
        """Totals of all connections so far; None before there is one."""
        legs = sorted(self._legs.values(), key=lambda leg: leg is self._current)
        stats = [*self._past, *(leg.peer.stats() for leg in legs if leg.peer is not None)]
        return _total(stats) if stats else None

    def receive(self, signal: Signal) -> None:
        """A signal of this attempt."""
        generation, body = signal.generation, signal.body
        match body:
            case _ if generation >= GENERATIONS:
                _log.info("link_signal_ignored", user_id=self.user_id, generation=generation)
            case Rebuild():
                if generation <= self._state.newest or self._may_begin():
                    self._step(continuity_types.Asked(generation))
            case Offer() if generation > self._state.newest and not self._state.offers:
                if self._may_begin():
                    self._step(continuity_types.Offered(generation))
                    self._hand(generation, body)
            case _:
                self._hand(generation, body)

    def network_changed(self, addresses: frozenset[str] | None, came: frozenset[str] = frozenset()) -> bool:
        """The machine has these addresses now, `came` are new; None: all that was made before is to be made
        anew. Says whether a new connection is begun, at once or soon. What goes directly stays where it is;
        what goes over a relay is tried anew from a new address.
        """
        made = self._state.building
        leg = self._legs.get(made.generation) if made is not None else None
        building = leg.peer if leg is not None else None
        before = self._state.begun
        self._step(change(addresses, came, self._peer, building))
        return self._state.begun != before or self._state.again is not None

    def signalling_back(self) -> None:
        """The hub is there again."""
        self._step(continuity_types.SignallingBack())

    def send_video(self, frame: VideoFrame) -> None:
        """To that user, when connected."""
        if self.is_up and self._current is not None and self._current.peer is not None:
            self._current.peer.send_video(frame)

    def send_audio(self, frame: AudioFrame) -> None:
        """To that user, when connected."""
        if self.is_up and self._current is not None and self._current.peer is not None:
            self._current.peer.send_audio(frame)

    def request_keyframe(self) -> None:
        """Of that user's video."""
        if (peer := self._peer) is not None and self.is_up:
            peer.request_keyframe()

    def kill(self) -> None:
        """Loses the connection, on purpose."""
        if self._peer is not None:
            self._peer.kill()

    def close(self) -> Coroutine[Any, Any, None]:
        """Ends it: nothing is told from now on, not only once what is returned has begun to run."""
        self._closed = self._over = True
        self.is_up = False
        if self._timer is not None:
            self._timer.cancel()
        if self._lingering is not None:
            self._lingering.cancel()
        return self._close_legs()

    async def _close_legs(self) -> None:
        legs, self._legs = list(self._legs.values()), {}
        await asyncio.gather(*(leg.close() for leg in legs), *self._tasks.running, return_exceptions=True)

    @property
    def _peer(self) -> PeerPort | None:
        return self._current.peer if self._current is not None else None

    # --- owner of the legs ----------------------------------------------------------------------------

    def on_leg_connected(self, leg: Leg) -> None:
        """See `LegOwner`."""
        self._step(continuity_types.Connected(leg.generation))

    def on_leg_closed(self, leg: Leg, reason: str, *, final: bool) -> None:
        """See `LegOwner`."""
        self._step(continuity_types.Closed(leg.generation, reason, final))

    def on_leg_described(self, leg: Leg) -> None:
        """See `LegOwner`."""
        self._step(continuity_types.Answered(leg.generation))

    def on_leg_signal(self, leg: Leg, body: LegSignal) -> None:
        """See `LegOwner`."""
        if not self._over:
            self._send(self.key, Signal(self.key.attempt, body, leg.generation))

    def on_leg_video(self, leg: Leg, frame: VideoFrame) -> None:
        """See `LegOwner`."""
        if self.first_arrival is None:
            self.first_arrival = time.monotonic()
        placed = self._video.place(leg.generation, frame)
        if placed is not None and not self._over:
            self._owner.on_video(self, placed)

    def on_leg_audio(self, leg: Leg, frame: AudioFrame) -> None:
        """See `LegOwner`."""
        placed = self._audio.place(leg.generation, frame)
        if placed is not None and not self._over:
            self._owner.on_audio(self, placed)

    def on_leg_keyframe_request(self, leg: Leg) -> None:
        """See `LegOwner`."""
        if leg is self._current and not self._over:
            self._owner.on_keyframe_request(self)

    def on_leg_feedback(self, leg: Leg, feedback: Feedback) -> None:
        """See `LegOwner`."""
        if leg is self._current and not self._over:
            self.rate.feedback(feedback, time.monotonic())
            self._owner.on_feedback(self)

    def on_leg_audio_loss(self, leg: Leg, loss: float) -> None:
        """See `LegOwner`."""
        if leg is self._current and not self._over:
            self.audio_loss = loss
            self._owner.on_feedback(self)

    # --- what continuity decides ----------------------------------------------------------------------

    def _step(self, given: continuity_types.Input, now: float | None = None) -> None:
        if self._closed:
            return
        now = self._loop.time() if now is None else now
        self._state, effects = continuity.step(self._state, now, given)
        if self._state.phase is Phase.OVER:
            self._over, self.is_up = True, False
        self._perform(effects)
        self._arm()

    def _perform(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Make(generation):
                    self._open(generation, offers=True)
                case Take(generation):
                    self._open(generation, offers=False)
                case Ask(generation):
                    self._send(self.key, Signal(self.key.attempt, Rebuild(), generation))
                case Adopt(generation, instead):
                    self._adopt(generation, instead)
                case Drop(generation):
                    self._drop(generation)
                case Probe():
                    if self._peer is not None:
                        self._peer.probe()
                case Up():
                    self._log_phase()
                    self._owner.on_up(self)
                case Lost():
                    self._log_phase()
                    self._owner.on_lost(self)
                case Over(reason):
                    self._owner.on_down(self, reason)
                case _:
                    assert_never(effect)

    def _open(self, generation: int, *, offers: bool) -> None:
        if generation:
            _log.info("link_made_anew", user_id=self.user_id, generation=generation, offers=offers)
        self._legs[generation] = Leg(
            generation, self.user_id, offers=offers, owner=self, make_peer=self._make_peer
        )

    def _hand(self, generation: int, body: LegSignal) -> None:
        leg = self._legs.get(generation)
        if leg is not None:
            leg.receive(body)
        else:
            _log.debug("link_signal_ignored", user_id=self.user_id, kind=type(body).__name__)

    def _may_begin(self) -> bool:
        now = self._loop.time()
        filled = self._offers_left + (now - self._offers_filled) * OFFERS_RATE
        self._offers_left, self._offers_filled = min(float(OFFERS), filled), now
        if self._offers_left < 1:
            _log.info("link_beginning_ignored", user_id=self.user_id)
            return False
        self._offers_left -= 1
        return True

    def _adopt(self, generation: int, instead: int | None) -> None:
        self._current = self._legs[generation]
        if self.connected is None:
            self.connected = time.monotonic()
        self.is_up = not self._over
        if instead is None:
            return
        if self._lingering is not None:
            self._lingering.cancel()
        for left in [left for left in self._legs if left < instead]:
            self._drop(left)
        self._lingering = self._loop.call_later(LINGER, self._drop, instead)
        self.audio_loss = max(self.audio_loss, UNKNOWN_LOSS)  # the other path's says nothing of this one
        self._owner.on_up(self)

    def _drop(self, generation: int) -> None:
        leg = self._legs.pop(generation, None)
        if leg is None:
            return
        if leg.peer is not None:
            self._past = [_total([*self._past, leg.peer.stats()])]
        if leg is self._current:
            self._current = None
        self._tasks.spawn(leg.close())

    def _arm(self) -> None:
        """Sets the one timer to the machine's deadline."""
        if self._timer is not None:
            self._timer.cancel()
        when = continuity.deadline(self._state)
        self._timer = None if when is None or self._closed else self._loop.call_at(when, self._tick, when)

    def _tick(self, when: float) -> None:
        heard = self._peer.heard if self._peer is not None else float("-inf")
        # A loop may call one clock tick early; the machine must see the deadline reached.
        self._step(continuity_types.Tick(heard), max(when, self._loop.time()))

    def _log_phase(self) -> None:
        _log.info("link", user_id=self.user_id, phase=self._state.phase.name, generation=self._state.current)


def _total(stats: list[PeerStats]) -> PeerStats:
    """The last one's, with the totals of all."""
    summed = {
        stream: StreamStats(
            **{
                field.name: sum(getattr(getattr(each, stream), field.name) for each in stats)
                for field in fields(StreamStats)
            }
        )
        for stream in ("audio_sent", "audio_received", "video_sent", "video_received")
    }
    return replace(stats[-1], **summed)  # type: ignore[arg-type]
