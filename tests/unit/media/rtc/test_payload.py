"""Pictures cut into packets."""

from __future__ import annotations

import random

import pytest
from aiortc.codecs.h264 import H264Encoder
from mediaagentd.media.rtc.outlet import runs
from mediaagentd.media.rtc.payload import depacketize, packetize
from mediaagentd.media.types import VideoCodec, VideoFrame

START = b"\0\0\0\1"


@pytest.mark.parametrize("size", [2, 1299, 1300, 1301, 1302, 2600, 6000, 12_345, 70_001])
def test_pieces_of_a_picture_are_of_one_size_but_for_the_last_and_make_it_whole(size: int) -> None:
    unit = b"\x65" + random.Random(size).randbytes(size - 1).replace(b"\0", b"\1")
    payloads = packetize(VideoFrame(VideoCodec.H264, START + unit, 0, True, 0.0), 0)
    sizes = [len(payload) for payload in payloads]
    assert list(runs(sizes)) == [(0, len(sizes))]
    assert max(sizes) <= 1300
    assert len(sizes) == len(H264Encoder._packetize([unit]))
    assert b"".join(depacketize(VideoCodec.H264, payload).data for payload in payloads) == START + unit
    if len(sizes) > 1:
        marks = [payload[1] >> 6 for payload in payloads]
        assert marks == [2, *[0] * (len(sizes) - 2), 1]


def test_small_units_travel_together_before_and_behind_a_large_one() -> None:
    units = [b"\x67sps", b"\x68pps", b"\x65" + b"x" * 3000, b"\x06sei", b"\x06more"]
    payloads = packetize(
        VideoFrame(VideoCodec.H264, b"".join(START + unit for unit in units), 0, True, 0.0), 0
    )
    assert [payload[0] & 0x1F for payload in payloads] == [24, 28, 28, 28, 24]
    assert payloads[0].endswith(b"\x67sps\0\4\x68pps")


@pytest.mark.parametrize(
    ("sizes", "split"),
    [
        ([], []),
        ([5], [[5]]),
        ([9, 9, 9, 4], [[9, 9, 9, 4]]),
        ([9, 9, 4, 4, 9], [[9, 9, 4], [4], [9]]),
        ([4, 9, 9], [[4], [9, 9]]),
        ([9, 4, 3], [[9, 4], [3]]),
    ],
)
def test_what_the_system_takes_in_one_call(sizes: list[int], split: list[list[int]]) -> None:
    assert [sizes[begin:end] for begin, end in runs(sizes)] == split
