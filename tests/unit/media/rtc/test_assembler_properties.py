"""Whatever the network does, only pictures come out that can be decoded."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from mediaagentd.media.rtc.assembler import Assembler, Picture

from tests.unit.media.rtc.sender import Stream


class Network:
    """Carries a sender's packets to an assembler: some are lost, some come twice, and some of those that are
    asked for again come after all.
    """

    def __init__(self, rng: Random, stream: Stream, loss: float, repeat: float, repaired: float) -> None:
        self.released: list[Picture] = []
        self.key_wanted = True
        self._rng, self._stream = rng, stream
        self._loss, self._repeat, self._repaired = loss, repeat, repaired
        self._assembler = Assembler()
        self._wire: list[tuple[float, int]] = []
        self._by_number: dict[int, int] = {}

    def send(self, index: int, now: float) -> None:
        """One packet of the sender's."""
        rng = self._rng
        self._by_number[self._stream.packets[index][0]] = index
        if rng.random() >= self._loss:
            self._wire.append((now + rng.uniform(0.0, 0.02), index))
        if rng.random() < self._repeat:
            self._wire.append((now + rng.uniform(0.0, 0.3), index))

    def deliver(self, until: float) -> None:
        """What arrives, and what the assembler does when its time has come."""
        assembler, wire = self._assembler, self._wire
        while (ready := [item for item in wire if item[0] <= until]) or (
            (due := assembler.deadline()) is not None and due <= until
        ):
            if ready:
                item = min(ready)
                wire.remove(item)
                self.released.extend(assembler.push(*self._stream.packets[item[1]], item[0]))
            self._poll(max(until - 0.033, 0.0) if not ready else item[0])
            if not ready:
                self._poll(until)
                break

    def _poll(self, at: float) -> None:
        requests = self._assembler.poll(at)
        self.key_wanted = self.key_wanted or requests.keyframe
        for number in requests.lost:
            if number in self._by_number and self._rng.random() < self._repaired:
                self._wire.append((at + self._rng.uniform(0.02, 0.2), self._by_number[number]))


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 0.4),
    repeat=st.floats(0, 0.2),
    repaired=st.floats(0, 1),
    start=st.integers(0, 0xFFFF),
)
def test_whatever_the_network_does_only_decodable_pictures_come_out(
    seed: int, loss: float, repeat: float, repaired: float, start: int
) -> None:
    """Every picture is byte for byte one that was sent, in order, and after a gap comes a keyframe."""
    rng = Random(seed)
    stream = Stream(sequence=start, timestamp=rng.getrandbits(32))
    network = Network(rng, stream, loss, repeat, repaired)
    sent: dict[bytes, tuple[int, bool]] = {}
    now = 0.0
    for index in range(120):
        key, network.key_wanted = network.key_wanted, False
        indices = stream.picture(rng.randint(1, 8), key=key, text=f"p{index}")
        sent[b"".join(stream.packets[i][3].data for i in indices)] = (index, key)
        for i in indices:
            network.send(i, now)
        now += 0.033
        network.deliver(now)
    last = -1
    for picture in network.released:
        index, key = sent[picture.data]
        assert picture.keyframe == key
        assert index > last
        assert index == last + 1 or key
        last = index
    if loss == 0:
        assert len(network.released) >= 119


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 0.5),
    round_trip=st.one_of(st.none(), st.floats(0, 3)),
    tight=st.floats(0, 1.5),
    lateness=st.floats(0, 0.5),
)
def test_who_has_polled_need_not_poll_again_at_once(
    seed: int, loss: float, round_trip: float | None, tight: float, lateness: float
) -> None:
    """Else whoever sleeps until the deadline never sleeps."""
    rng, assembler, now = Random(seed), Assembler(), 0.0
    stream = Stream(sequence=rng.getrandbits(16), timestamp=rng.getrandbits(32))
    assembler.round_trip = round_trip
    for index in range(60):
        now += rng.choice((0.0, 0.005, 0.033))
        assembler.protected = rng.random() < 0.3
        if rng.random() < 0.1:
            assembler.tight_until = now + tight
        if rng.random() < 0.05:
            stream.sequence += rng.randrange(280)
        if rng.random() < 0.05:
            assembler.want_keyframe()
        packets = stream.picture(rng.randint(1, 8), key=index in (0, 40) or rng.random() < 0.05)
        rng.shuffle(packets) if rng.random() < 0.2 else None
        for packet in packets:
            if rng.random() >= loss:
                assembler.push(*stream.packets[packet], now)
        if rng.random() < 0.05:
            assembler.abandon(beyond=rng.randrange(100))
        if (deadline := assembler.deadline()) is not None and deadline <= now + 0.033:
            now = max(now, deadline) + rng.choice((0.0, lateness))
            assembler.poll(now)
            after = assembler.deadline()
            assert after is None or after > now
