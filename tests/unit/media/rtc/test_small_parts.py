"""Payloads, statistics, the outbox and the guard, each on its own."""

from __future__ import annotations

import asyncio
import struct
import time
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aioice import Connection, stun
from aiortc.rtcdtlstransport import State
from hypothesis import given
from hypothesis import strategies as st
from mediaagentd.media.rtc.audio_sender import AudioSender
from mediaagentd.media.rtc.gate import BURST, STREAMS, WORN, Gate
from mediaagentd.media.rtc.guard import GuardedProtocol
from mediaagentd.media.rtc.ice import IceServer, Server, parse, servers, unusable
from mediaagentd.media.rtc.outbox import BEHIND, VideoOutbox
from mediaagentd.media.rtc.payload import ParameterSets, depacketize, packetize
from mediaagentd.media.rtc.reception import Reception, Unwrapper
from mediaagentd.media.rtc.wire import QUEUE_BOUND, Wire
from mediaagentd.media.types import AudioFrame, VideoCodec, VideoFrame
from structlog.testing import capture_logs


def frame(codec: VideoCodec, data: bytes, *, key: bool = False, pts: int = 0) -> VideoFrame:
    return VideoFrame(codec, data, pts, key, 0.0)


# --- senders


def test_sound_before_it_can_be_sent_loses_its_oldest() -> None:
    sender = AudioSender(cast("Wire", SimpleNamespace(transport=None)), lambda _: None)
    for index in range(100):
        sender.push(AudioFrame(b"\xfc", index * 960, 0.0))
    assert (sender.stats().dropped, sender.stats().packets) == (90, 0)


# --- payloads


@given(st.binary(min_size=1, max_size=6000), st.integers(0, 32767))
def test_vp8_comes_back(data: bytes, picture_id: int) -> None:
    payloads = packetize(frame(VideoCodec.VP8, data), picture_id)
    parts = [depacketize(VideoCodec.VP8, payload) for payload in payloads]
    assert b"".join(part.data for part in parts) == data
    assert max(map(len, payloads)) <= 1300
    assert [part.opens for part in parts] == [not data[0] & 1] + [False] * (len(parts) - 1)


units = st.lists(
    st.tuples(st.sampled_from([0x67, 0x68, 0x65, 0x41, 0x06]), st.integers(1, 5000)),
    min_size=1,
    max_size=6,
)


@given(units)
def test_h264_comes_back(units: list[tuple[int, int]]) -> None:
    data = b"".join(b"\0\0\0\1" + bytes([header]) + b"\xab" * size for header, size in units)
    payloads = packetize(frame(VideoCodec.H264, data), 0)
    parts = [depacketize(VideoCodec.H264, payload) for payload in payloads]
    assert b"".join(part.data for part in parts) == data
    assert max(map(len, payloads)) <= 1300
    headers = {header for header, _ in units}
    assert any(part.opens for part in parts) == (0x67 in headers)
    assert any(part.key for part in parts) == (0x65 in headers)


@given(st.sampled_from(VideoCodec), st.binary(max_size=40))
def test_a_malformed_payload_is_a_value_error(codec: VideoCodec, data: bytes) -> None:
    with suppress(ValueError):
        depacketize(codec, data)


def test_a_keyframe_without_parameter_sets_gets_the_last_ones() -> None:
    sets, idr = b"\0\0\0\1\x67sps\0\0\0\1\x68pps", b"\0\0\0\1\x65idr"
    memory = ParameterSets()
    assert memory.complete(idr) == idr
    memory.note(idr)
    memory.note(sets)
    assert memory.complete(idr) == sets + idr
    assert memory.complete(sets + idr) == sets + idr


# --- statistics


@given(st.lists(st.integers(-20_000, 20_000), max_size=50), st.integers(0, 65535))
def test_unwrapped_values_follow_the_counter(steps: list[int], start: int) -> None:
    unwrapper, highest = Unwrapper(16), start
    assert unwrapper.unwrap(start) == start
    for step in steps:
        assert unwrapper.unwrap((highest + step) & 0xFFFF) == highest + step
        highest = max(highest, highest + step)


def test_losses_are_reported_per_interval() -> None:
    reception = Reception(90_000)
    for sequence in (65534, 65535, 1, 2):  # 0 is lost
        reception.add(sequence, sequence * 100, sequence * 0.01)
    report = reception.report()
    assert (report.fraction_lost, report.packets_lost) == (256 // 5, 1)
    assert report.highest_sequence == 65536 + 2
    assert reception.report().fraction_lost == 0


def test_jitter_is_that_of_rfc_3550() -> None:
    steady, shaky = Reception(1000), Reception(1000)
    for index in range(200):
        steady.add(index, index * 20, index * 0.020)
        shaky.add(index, index * 20, index * 0.020 + 0.005 * (index % 2))
    assert steady.report().jitter == 0
    assert shaky.report().jitter == 4


@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 2**32 - 1)), max_size=60))
def test_reports_always_fit_their_fields(packets: list[tuple[int, int]]) -> None:
    reception = Reception(90_000)
    for index, (sequence, timestamp) in enumerate(packets):
        reception.add(sequence, timestamp, float(index))
    report = reception.report()
    struct.pack("!BLL", report.fraction_lost, report.highest_sequence, report.jitter)
    assert 0 <= report.packets_lost < 1 << 23


# --- outbox


def test_a_late_joiner_waits_for_a_keyframe() -> None:
    outbox = VideoOutbox()
    assert outbox.push(frame(VideoCodec.VP8, b"d"))
    assert outbox.pop() is None
    assert not outbox.push(frame(VideoCodec.VP8, b"k", key=True))
    assert not outbox.push(frame(VideoCodec.VP8, b"d"))
    assert outbox.dropped == 1


def test_a_full_outbox_starts_over_at_a_keyframe() -> None:
    outbox = VideoOutbox(bound=2)
    key = frame(VideoCodec.VP8, b"k", key=True)
    assert not outbox.push(key)
    assert not outbox.push(frame(VideoCodec.VP8, b"1"))
    assert outbox.push(frame(VideoCodec.VP8, b"2"))
    assert outbox.push(frame(VideoCodec.VP8, b"3"))
    assert outbox.pop() is None
    assert not outbox.push(key)
    assert outbox.pop() is key
    assert outbox.dropped == 4


def test_a_link_that_is_stuck_starts_over_and_a_burst_goes_through() -> None:
    outbox = VideoOutbox()
    assert not outbox.push(frame(VideoCodec.VP8, b"k", key=True))
    for number in range(150):
        assert not outbox.push(frame(VideoCodec.VP8, b"d", pts=number))
    assert not outbox.push(frame(VideoCodec.VP8, b"d")._replace(captured=BEHIND))
    assert outbox.push(frame(VideoCodec.VP8, b"d")._replace(captured=BEHIND + 0.01))
    assert outbox.pop() is None


def test_the_newest_keyframe_overtakes_what_waits() -> None:
    outbox = VideoOutbox()
    first, second = (frame(VideoCodec.VP8, b"k", key=True, pts=pts) for pts in (0, 1))
    outbox.push(first)
    outbox.push(second)
    assert outbox.pop() is second
    assert outbox.pop() is None


# --- guard


class Sink:
    """Stands for the connection behind the guard: what it is given."""

    def __init__(self) -> None:
        self.connection = Connection(ice_controlling=False)
        self.protocol = GuardedProtocol(self.connection, Gate())
        self.protocol.local_candidate = type("Local", (), {"component": 1})()
        self.protocol._gate.trust(("192.0.2.1", 1), 0.0)

    def receive(self, data: bytes) -> bool:
        before = self.connection._queue.qsize()
        self.protocol.datagram_received(data, ("192.0.2.1", 1))
        return self.connection._queue.qsize() > before

    def check(self, password: bytes) -> bytes:
        attributes = {"USERNAME": f"{self.connection.local_username}:x", "PRIORITY": 1}
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, attributes=attributes)
        message.add_message_integrity(password)
        return bytes(message)


async def test_empty_and_foreign_datagrams_are_dropped() -> None:
    sink = Sink()
    with capture_logs() as logs:
        for data in [b"", b"GET / HTTP/1.1", b"\xff" * 30, bytes([70]) * 30, bytes([10]) * 30]:
            assert not sink.receive(data)
    assert sink.protocol._gate.tally.count == 5
    assert len(logs) == 1


@pytest.mark.parametrize("kind", [0x0101, 0x0111])
async def test_a_second_answer_of_the_far_end_is_nothing_to_log(kind: int) -> None:
    """A request that was repeated is answered more than once."""
    sink = Sink()
    answer = struct.pack("!HHI12s", kind, 0, 0x2112A442, b"x" * 12)
    assert not sink.receive(answer)
    assert sink.protocol._gate.tally.count == 0
    sink.protocol.datagram_received(answer, ("192.0.2.2", 1))
    assert sink.protocol._gate.tally.count == 1


async def test_dtls_and_rtp_pass() -> None:
    sink = Sink()
    assert sink.receive(bytes([22]) + b"x" * 20)
    assert sink.receive(bytes([128, 96]) + b"x" * 20)


async def test_malformed_stun_raises_nothing() -> None:
    """Each attribute of a well-known length, with one byte; signed, so that it is looked at."""
    sink = Sink()
    key = sink.connection.local_password.encode()
    ours = f"{sink.connection.local_username}:x".encode()
    name = struct.pack("!HH", 6, len(ours)) + ours + bytes(-len(ours) % 4)
    for attribute in [*range(0x30), *range(0x8020, 0x8030)]:
        body = name + struct.pack("!HH", attribute, 1) + b"\xff\0\0\0"
        header = struct.pack("!HHI12s", 1, len(body) + 24, 0x2112A442, b"x" * 12)
        signature = stun.message_integrity(header + body, key)
        sink.receive(header + body + struct.pack("!HH", 8, 20) + signature)
    assert sink.protocol._gate.tally.count > 5


@pytest.mark.parametrize("first", [22, 128])
async def test_the_queue_in_front_of_dtls_is_bounded(first: int) -> None:
    sink = Sink()
    ice = SimpleNamespace(_connection=sink.connection)
    transport, gate = SimpleNamespace(transport=ice, _state=State.CONNECTING), Gate()
    Wire(cast("Any", transport), gate)
    for _ in range(QUEUE_BOUND + 10):
        sink.receive(bytes([first]) * 20)
    assert sink.connection._queue.qsize() == QUEUE_BOUND
    assert gate.tally.count == 10
    await asyncio.sleep(0)


async def test_a_stranger_reaches_nothing() -> None:
    sink = Sink()
    sink.protocol.datagram_received(bytes([22]) + b"x" * 20, ("192.0.2.2", 1))
    sink.protocol.datagram_received(bytes([128, 96]) + b"x" * 20, ("192.0.2.1", 2))
    sink.protocol.datagram_received(struct.pack("!HHI12s", 1, 0, 0x2112A442, b"x" * 12), ("192.0.2.2", 1))
    assert sink.connection._queue.empty()
    assert sink.protocol._gate.tally.count == 3


def test_a_source_that_asks_too_often_is_not_looked_at() -> None:
    gate = Gate()
    asked = [gate.may_ask(("192.0.2.1", 9), 0.001 * n) for n in range(1000)]
    assert 140 < sum(asked) < 160, "a hundred at once, fifty a second"
    assert gate.may_ask(("192.0.2.2", 9), 1.0)
    assert gate.may_ask(("192.0.2.1", 9), 3.0)
    for n in range(10_000):
        gate.may_ask((f"host-{n}", 9), 3.0)
    assert len(gate._sources) <= 256


async def test_a_flood_in_its_name_costs_who_knows_the_password_nothing() -> None:
    sink = Sink()
    answers: list[bytes] = []
    sink.protocol.transport = cast("Any", SimpleNamespace(sendto=lambda data, _: answers.append(data)))
    for _ in range(BURST + 1):
        sink.receive(sink.check(b"not the password"))
    assert not answers
    sink.receive(sink.check(sink.connection.local_password.encode()))
    assert len(answers) == 1


def test_who_proved_itself_is_remembered_within_bounds() -> None:
    gate = Gate()
    for port in range(100):
        gate.trust(("192.0.2.1", port), float(port))
    assert gate.heard == 99.0
    assert ("192.0.2.1", 0) not in gate.trusted
    assert ("192.0.2.1", 99) in gate.trusted


def test_reports_are_bounded() -> None:
    gate = Gate()
    assert sum(gate.may_report(1000, 0.0) for _ in range(5000)) == 100
    assert sum(gate.may_report(1000, 1.0) for _ in range(5000)) == 50


@pytest.mark.parametrize("seconds", [1.0, WORN], ids=["in a flood", "in time"])
def test_streams_are_bounded_and_the_first_ones_stay(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now, worn = 5.0, list[int]()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    gate = Gate()
    gate.on_worn = lambda: worn.append(number)
    now += seconds
    for number in range(STREAMS + 1):
        source = number.to_bytes(4, "big")
        assert not gate.is_full
        gate.note_stream(source)
        gate.note_stream(source)
    assert worn == [STREAMS] * (seconds >= WORN)
    assert gate.is_full
    assert (0).to_bytes(4, "big") in gate.streams


# --- servers


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("stun:192.0.2.1", Server(False, "192.0.2.1", 3478)),
        ("turn:turn.example.org:99", Server(True, "turn.example.org", 99)),
        ("turn:[2001:db8::1]:3479?transport=tcp", Server(True, "2001:db8::1", 3479, "tcp")),
        ("turns:turn.example.org", Server(True, "turn.example.org", 5349, "tls")),
        ("stun:192.0.2.1?transport=udp", None),
        ("stuns:192.0.2.1", None),
        ("turns:x?transport=udp", None),
        ("turn:", None),
        ("turn:x:0", None),
        ("turn:x:99999", None),
        ("turn:2001:db8::1", None),
        ("http://x", None),
    ],
)
def test_addresses_of_servers(url: str, server: Server | None) -> None:
    assert parse(url) == server


def test_a_malformed_server_costs_nothing_but_itself() -> None:
    configured = (IceServer(("stun:192.0.2.1:3478", "http://x")), IceServer(("nonsense",)))
    assert servers(configured) == [Server(False, "192.0.2.1", 3478)]
    assert unusable(configured) == 2
    assert servers(()) == []
