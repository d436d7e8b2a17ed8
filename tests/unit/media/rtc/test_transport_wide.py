"""Transport-wide feedback by arithmetic: reports are read back as the far end would read them."""

from __future__ import annotations

import random
import re
import struct

from mediaagentd.media.rtc import transport_wide
from mediaagentd.media.rtc.transport_wide import INTERVAL, MOST, REMEMBERED, URI, Arrivals

OFFER = "\r\n".join(
    [
        "v=0", "m=audio 9 UDP/TLS/RTP/SAVPF 96", "a=mid:0", "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
        "m=video 9 UDP/TLS/RTP/SAVPF 97 98", "a=mid:1", "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=rtpmap:97 VP8/90000", "a=rtcp-fb:97 nack", "a=rtpmap:98 rtx/90000", "a=fmtp:98 apt=97", "",
    ]
)  # fmt: skip


def read(fci: bytes) -> tuple[int, dict[int, float], list[int]]:
    """(count, arrivals in seconds by number, lost numbers) of a report, after the draft's section 3.1."""
    base, statuses, time = struct.unpack_from("!HHI", fci)
    clock, place = (time >> 8) * 0.064, 8
    symbols: list[int] = []
    while len(symbols) < statuses:
        (chunk,) = struct.unpack_from("!H", fci, place)
        place += 2
        if chunk & 0x8000:
            assert chunk & 0x4000, "two-bit vectors only"
            symbols += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            symbols += [chunk >> 13] * (chunk & 0x1FFF)
    arrived, lost = {}, []
    for offset, symbol in enumerate(symbols[:statuses]):
        number = (base + offset) & 0xFFFF
        if symbol == 0:
            lost.append(number)
            continue
        delta, size = (fci[place], 1) if symbol == 1 else (struct.unpack_from("!h", fci, place)[0], 2)
        place += size
        clock += delta * 0.00025
        arrived[number] = clock
    assert place == len(fci)
    return time & 0xFF, arrived, lost


def test_every_arrival_is_told_with_its_time() -> None:
    arrivals = Arrivals()
    times = {65530 + index: 100 + index * 0.003 for index in range(12) if index not in (4, 5)}
    for number, at in times.items():
        arrivals.add(number & 0xFFFF, at)
    assert arrivals.deadline() == 100 + INTERVAL
    assert arrivals.report(100.01) is None
    fci = arrivals.report(100.06)
    assert fci is not None
    count, told, lost = read(fci)
    assert (count, lost) == (0, [65534, 65535])
    assert {n & 0xFFFF for n in times} == set(told)
    assert all(abs(told[n & 0xFFFF] - at) < 0.0002 for n, at in times.items())
    assert arrivals.deadline() is None


def test_what_comes_late_is_told_of_with_what_came_before() -> None:
    arrivals = Arrivals()
    for number, at in ((10, 5.0), (12, 5.001)):
        arrivals.add(number, at)
    assert read(arrivals.report(5.1) or b"")[2] == [11]
    arrivals.add(11, 5.12)
    arrivals.add(11, 5.13)  # the same again
    count, told, lost = read(arrivals.report(5.2) or b"")
    assert (count, lost) == (1, [])
    assert [round(told[n], 3) for n in (11, 12)] == [5.12, 5.001]


def test_what_was_told_is_remembered_for_half_a_second_and_no_longer() -> None:
    arrivals, rate = Arrivals(), 200
    for number in range(10 * rate):
        now = 3 + number / rate
        arrivals.add(number, now)
        arrivals.report(now)
        assert len(arrivals._arrived) <= (REMEMBERED + INTERVAL) * rate + 2
    assert len(arrivals._arrived) >= REMEMBERED * rate


def test_a_flood_is_told_in_parts() -> None:
    arrivals = Arrivals()
    for number in range(MOST + 50):
        arrivals.add(number, 7 + number * 0.0001)
    first, second = arrivals.report(7.1), arrivals.report(7.1)
    assert first is not None
    assert second is not None
    assert (len(read(first)[1]), len(read(second)[1])) == (MOST, 50)
    assert len(first) < 1200
    assert arrivals.report(8) is None


def test_a_pause_too_long_for_one_report_makes_two() -> None:
    arrivals = Arrivals()
    arrivals.add(1, 10.0)
    arrivals.add(2, 30.0)
    assert list(read(arrivals.report(30.1) or b"")[1]) == [1]
    assert list(read(arrivals.report(30.1) or b"")[1]) == [2]


def test_any_pattern_of_loss_and_order_can_be_read() -> None:
    for seed in range(300):
        chance = random.Random(seed)
        arrivals, now, sent = Arrivals(), 1.0, set()
        start = chance.randrange(65536)
        numbers = [start + index for index in range(200) if chance.random() > chance.choice((0.02, 0.6))]
        chance.shuffle(numbers) if seed % 3 == 0 else None
        heard: set[int] = set()
        for number in numbers:
            now += chance.expovariate(500)
            arrivals.add(number & 0xFFFF, now)
            sent.add(number & 0xFFFF)
            if (fci := arrivals.report(now)) is not None:
                heard |= set(read(fci)[1])
        while (fci := arrivals.report(now + 1)) is not None:
            heard |= set(read(fci)[1])
        assert heard == sent, seed


def test_a_packet_is_whole_words() -> None:
    for size in range(12, 17):
        made = transport_wide.packet(1, 2, bytes(size))
        version, kind, words = struct.unpack_from("!BBH", made)
        assert (version & 0x1F, kind, (words + 1) * 4) == (15, 205, len(made))
        assert bool(version & 0x20) == bool(size % 4)
        assert not size % 4 or made[-1] == -size % 4


def test_both_descriptions_agree() -> None:
    offered = transport_wide.offer(OFFER)
    assert f"a=extmap:2 {URI}" in offered.split("m=video")[1]
    assert "a=rtcp-fb:97 transport-cc" in offered
    assert "a=rtcp-fb:98" not in offered
    assert re.findall(r"a=fmtp.*(?=\r)", offered) == [
        "a=fmtp:97 x-google-start-bitrate=600",
        "a=fmtp:98 apt=97",
    ]
    answered = transport_wide.answer(OFFER, offered)
    assert transport_wide.agreed(offered, answered) == 2
    assert transport_wide.answer(OFFER, OFFER) == OFFER
    assert transport_wide.agreed(offered, OFFER) is None


def test_the_start_joins_what_a_codec_says_already() -> None:
    h264 = OFFER.replace("VP8/90000", "H264/90000\r\na=fmtp:97 packetization-mode=1")
    offered = transport_wide.offer(h264)
    assert "a=fmtp:97 packetization-mode=1;x-google-start-bitrate=600\r\n" in offered
    assert offered.count("a=fmtp:97") == 1
