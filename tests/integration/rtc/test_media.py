"""Frames both ways between two peers, and what each says of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import av
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtcpPacket, RtcpRrPacket
from mediaagentd.media.rtc import seams
from mediaagentd.media.rtc.peer import Peer
from mediaagentd.media.types import VIDEO_CLOCK, AudioFrame, PeerStats, VideoCodec
from structlog.testing import capture_logs

from tests.fakes.rtc import Picture, Recorder, connect, decode, opus, peer
from tests.integration.rtc.conftest import End, Stage

CODECS = list(VideoCodec)


@pytest.mark.parametrize("codec", CODECS)
async def test_pictures_and_sound_go_both_ways(stage: Stage, codec: VideoCodec) -> None:
    alice, bob = await stage.pair(codec)
    assert alice.peer.video_codec is bob.peer.video_codec is codec
    sent = {}
    for sender, receiver in ((alice, bob), (bob, alice)):
        picture = Picture(codec)
        sent[id(receiver)] = [picture.frame() for _ in range(20)]
        for index, frame in enumerate(sent[id(receiver)]):
            sender.peer.send_video(frame)
            sender.peer.send_audio(opus(index))
            await asyncio.sleep(0)
    for end in (alice, bob):
        await end.seen.until_received(20)
        expected = sent[id(end)]
        assert [f.data for f in end.seen.video] == [f.data for f in expected]
        assert [f.keyframe for f in end.seen.video] == [f.keyframe for f in expected]
        assert [f.pts for f in end.seen.video] == [f.pts for f in expected]
        pictures = list(decode(end.seen.video))
        assert len(pictures) == 20
        assert all(picture.std() > 20 for picture in pictures)
        assert [f.data for f in end.seen.audio] == [opus(i).data for i in range(20)]
        first = end.seen.audio[0].sequence
        assert [(f.sequence - first) & 0xFFFF for f in end.seen.audio] == list(range(20))


async def test_a_far_end_that_offers_pictures_alone_gets_them(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.1"])
    page, ours = RTCPeerConnection(RTCConfiguration(iceServers=[])), stage.end(VideoCodec.VP8)
    try:
        shown = page.addTransceiver("video", "recvonly").receiver
        await page.setLocalDescription()
        answer = await ours.peer.accept_offer(page.localDescription.sdp)
        await page.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await ours.seen.until_connected()
        assert ours.peer.video_codec is VideoCodec.VP8
        picture = Picture(VideoCodec.VP8)
        for index in range(20):
            ours.peer.send_video(picture.frame())
            ours.peer.send_audio(opus(index))
        async with asyncio.timeout(10):
            seen = await shown.track.recv()
        assert isinstance(seen, av.VideoFrame)
        assert seen.width == 160
        assert ours.peer.stats().audio_sent.packets == 0
    finally:
        await page.close()


async def test_a_far_end_that_offers_sound_alone_is_known_to_take_no_pictures(stage: Stage) -> None:
    page, ours = RTCPeerConnection(RTCConfiguration(iceServers=[])), stage.end()
    try:
        page.addTransceiver("audio", "recvonly")
        await page.setLocalDescription()
        answer = await ours.peer.accept_offer(page.localDescription.sdp)
        assert "m=audio" in answer
        assert "m=video" not in answer
        assert ours.peer.video_codec is None
    finally:
        await page.close()


async def test_a_big_keyframe_crosses_in_many_packets(stage: Stage) -> None:
    alice, bob = await stage.pair(VideoCodec.H264)
    frame = Picture(VideoCodec.H264, 1280, 720).frame()
    alice.peer.send_video(frame)
    await bob.seen.until(lambda: bool(bob.seen.video))
    assert bob.seen.video[0].data == frame.data
    assert bob.peer.stats().video_received.packets > 3


async def test_the_far_end_asks_for_a_keyframe(stage: Stage) -> None:
    alice, bob = await stage.pair(VideoCodec.VP8)
    picture = Picture(VideoCodec.VP8)
    alice.peer.send_video(picture.frame())
    await bob.seen.until(lambda: len(bob.seen.video) == 1)
    bob.peer.request_keyframe()
    await alice.seen.until(lambda: alice.seen.keyframe_requests == 1)
    alice.peer.send_video(picture.frame(key=True))
    await bob.seen.until(lambda: len(bob.seen.video) == 2)
    assert bob.seen.video[1].keyframe


async def test_many_requests_are_few_packets(stage: Stage) -> None:
    alice, bob = await stage.pair(VideoCodec.VP8)
    picture = Picture(VideoCodec.VP8)
    alice.peer.send_video(picture.frame())
    await bob.seen.until(lambda: len(bob.seen.video) == 1)
    began = time.monotonic()
    for _ in range(1000):
        bob.peer.request_keyframe()
    await alice.seen.until(lambda: alice.seen.keyframe_requests == 1)
    for _ in range(5):
        alice.peer.send_video(picture.frame())
    await bob.seen.until(lambda: len(bob.seen.video) == 6)
    assert alice.seen.keyframe_requests <= 1 + 2 * (time.monotonic() - began)


async def test_a_late_joiner_of_an_encoder_asks_for_a_keyframe_first(stage: Stage) -> None:
    alice, bob = await stage.pair(VideoCodec.VP8)
    picture = Picture(VideoCodec.VP8)
    picture.frame()
    alice.peer.send_video(picture.frame())
    assert alice.seen.keyframe_requests == 1
    alice.peer.send_video(picture.frame(key=True))
    await bob.seen.until(lambda: bool(bob.seen.video))
    assert bob.seen.video[0].keyframe
    assert alice.peer.stats().video_sent.dropped == 1


async def test_an_audio_call_becomes_a_video_call_without_signalling(stage: Stage) -> None:
    alice, bob = await stage.pair()
    alice.peer.send_audio(opus(0))
    await bob.seen.until(lambda: bool(bob.seen.audio))
    assert not bob.seen.video
    assert alice.peer.video_codec is VideoCodec.H264
    alice.peer.send_video(Picture(VideoCodec.H264).frame())
    await bob.seen.until(lambda: bool(bob.seen.video))


async def test_codecs_are_chosen_by_preference(stage: Stage) -> None:
    alice = stage.end(VideoCodec.VP8, VideoCodec.H264)
    bob = stage.end(VideoCodec.H264)
    await connect(alice.peer, bob.peer, alice.seen, bob.seen)
    assert alice.peer.video_codec is bob.peer.video_codec is VideoCodec.H264


async def test_frames_of_another_codec_are_dropped_and_counted(stage: Stage) -> None:
    alice, bob = await stage.pair(VideoCodec.H264)
    alice.peer.send_video(Picture(VideoCodec.VP8).frame())
    assert alice.peer.stats().video_sent.dropped == 1
    alice.peer.send_audio(opus(0))
    await bob.seen.until(lambda: bool(bob.seen.audio))
    assert bob.seen.video == []


async def test_nothing_is_sent_before_the_connection(stage: Stage) -> None:
    alice = stage.end()
    alice.peer.send_video(Picture(VideoCodec.H264).frame())
    alice.peer.send_audio(opus(0))
    alice.peer.request_keyframe()
    assert alice.peer.stats().video_sent.dropped == 0
    assert alice.peer.video_codec is None


async def test_statistics_and_feedback_arrive(stage: Stage) -> None:
    alice, bob = await stage.pair(VideoCodec.VP8)
    wire, told = bob.peer._wire, list[bytes]()
    tell = wire.send_rtcp

    def telling(packet: bytes) -> None:
        told.append(packet)
        tell(packet)

    wire.__dict__["send_rtcp"] = telling
    await _stream(
        alice, bob, lambda: _known(alice.peer.stats()) and bob.peer.stats().audio_received.frames > 10
    )
    stats = alice.peer.stats()
    assert stats.round_trip is not None
    assert 0 <= stats.round_trip < 0.5
    assert stats.fraction_lost == 0
    assert stats.video_sent.frames == alice.peer.stats().video_sent.frames > 10
    assert stats.video_sent.keyframes >= 1
    assert stats.video_sent.bytes > 1000
    assert bob.peer.stats().video_received.packets > 10
    assert bob.peer.stats().audio_received.frames > 10
    await _stream(alice, bob, lambda: any(f.bitrate for f in alice.seen.feedback))
    await _stream(alice, bob, lambda: any(_reports(each) == 2 for each in told))
    assert max(_reports(each) for each in told) == 2, "both streams in one datagram"


def _reports(datagram: bytes) -> int:
    return sum(isinstance(each, RtcpRrPacket) for each in RtcpPacket.parse(datagram))


async def test_who_only_listens_knows_the_round_trip_and_asks_for_sound_again(stage: Stage) -> None:
    alice, bob = await stage.pair(VideoCodec.VP8)
    bob.peer.probe()
    async with asyncio.timeout(5):
        while bob.peer.stats().round_trip is None:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)
    lose(alice.peer, random.Random(1), 0.5)
    for index in range(40):
        alice.peer.send_audio(opus(index))
        await asyncio.sleep(0)
    await bob.seen.until(lambda: alice.peer.stats().audio_sent.repaired > 0)


async def test_a_picture_that_has_become_too_large_is_cut_off_and_nobody_takes_it_for_whole(
    stage: Stage,
) -> None:
    """Two thirds of a megabyte are under way when the far end says that 300 kbit/s get through."""
    alice, bob = await stage.pair(VideoCodec.VP8)
    picture = Picture(VideoCodec.VP8)
    alice.peer.send_video(picture.frame())
    await bob.seen.until(lambda: len(bob.seen.video) == 1)
    large = picture.frame()._replace(data=bytes(600_000))
    alice.peer.send_video(large)
    alice.peer._video_out._on_bitrate(300_000)
    assert alice.seen.keyframe_requests == 1
    alice.peer.send_video(picture.frame())
    assert alice.peer.stats().video_sent.dropped >= 1
    fresh = picture.frame(key=True)
    alice.peer.send_video(fresh)
    await bob.seen.until(lambda: len(bob.seen.video) == 2)
    assert bob.seen.video[1].data == fresh.data
    assert alice.peer.stats().video_sent.packets < 200


@pytest.mark.parametrize("codec", CODECS)
async def test_lost_packets_are_sent_again(stage: Stage, codec: VideoCodec) -> None:
    """One packet in ten is lost each way: every picture still comes, in order."""
    alice, bob = await stage.pair(codec)
    lose(alice.peer, random.Random(1), 0.1)
    lose(bob.peer, random.Random(2), 0.1)
    sent = await _stream(alice, bob, lambda: len(bob.seen.video) >= 60, key_on_request=True)
    assert bob.peer.stats().video_received.packets_lost > 3
    position = {frame: index for index, frame in enumerate(sent)}
    indices = [position[frame.data] for frame in bob.seen.video]
    assert indices == sorted(indices)
    for before, after, frame in zip(indices, indices[1:], bob.seen.video[1:], strict=False):
        assert after == before + 1 or frame.keyframe
    assert len(list(decode(bob.seen.video))) == len(bob.seen.video)


async def test_sequence_numbers_and_timestamps_wrap(stage: Stage) -> None:
    alice, bob = stage.end(VideoCodec.VP8), stage.end(VideoCodec.VP8)
    sender = alice.peer._video_out
    sender._sequence, sender._origin = 0xFFF8, 0xFFFFFFFF - VIDEO_CLOCK // 3
    await connect(alice.peer, bob.peer, alice.seen, bob.seen)
    sent = await _stream(alice, bob, lambda: len(bob.seen.video) >= 30)
    assert [f.data for f in bob.seen.video] == sent[: len(bob.seen.video)]
    stamps = [f.pts for f in bob.seen.video]
    assert stamps == sorted(stamps)


async def test_candidates_may_come_before_and_after_the_description(stage: Stage) -> None:
    alice, bob = stage.end(), stage.end()
    offer = await alice.peer.create_offer()
    bare, lines = _without_candidates(offer)
    for line in lines:
        await bob.peer.add_candidate(line, "0")
    await bob.peer.add_candidate("", "0")
    answer, answered = _without_candidates(await bob.peer.accept_offer(bare))
    await alice.peer.accept_answer(answer)
    for line in answered:
        await alice.peer.add_candidate(line, "0")
    await alice.peer.add_candidate("", "0")
    await asyncio.gather(alice.seen.until_connected(), bob.seen.until_connected())


async def test_the_offer_asks_for_fec_and_offers_both_ways(stage: Stage) -> None:
    offer = await stage.end().peer.create_offer()
    assert "useinbandfec=1" in offer
    assert offer.count("a=sendrecv") == 2
    assert "42e01f" in offer
    assert "42001f" not in offer
    assert "PCMU" not in offer


async def test_a_machine_with_loopback_only_can_call(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])
    one, other = Recorder(), Recorder()
    alice, bob = peer(one, loopback=False), peer(other, loopback=False)
    stage.ends += [End(one, alice), End(other, bob)]
    await connect(alice, bob, one, other)


async def test_a_defect_of_an_observer_is_logged_and_ends_nothing(stage: Stage) -> None:
    alice, bob = await stage.pair()

    def defect(_: AudioFrame) -> None:
        raise RuntimeError("defect")

    bob.peer._audio_in._on_frame = defect
    with capture_logs() as logs:
        alice.peer.send_audio(opus(0))
        alice.peer.send_video(Picture(VideoCodec.H264).frame())
        await bob.seen.until(lambda: bool(bob.seen.video))
    assert [entry["event"] for entry in logs] == ["packet_handling_failed"]


async def test_nothing_waits_for_the_loop_before_it_is_sent(stage: Stage) -> None:
    alice, bob = await stage.pair()
    alice.peer.send_video(Picture(VideoCodec.H264).frame())
    alice.peer.send_audio(opus(0))
    stats = alice.peer.stats()
    assert (stats.video_sent.frames, stats.audio_sent.frames) == (1, 1)
    await bob.seen.until(lambda: bool(bob.seen.video and bob.seen.audio))


def _known(stats: PeerStats) -> bool:
    return stats.round_trip is not None and stats.video_sent.frames > 10


def lose(end: Peer, rng: random.Random, share: float) -> None:
    """Loses a share of the RTP and RTCP that this peer sends."""
    for protocol in seams.ice_transport(end._connection)._connection._protocols:
        protocol.__dict__["transport"] = Lossy(protocol.transport, rng, share)


class Lossy:
    """The way out of a socket, with losses."""

    def __init__(self, inner: Any, rng: random.Random, share: float) -> None:
        self._inner, self._rng, self._share = inner, rng, share

    def sendto(self, data: bytes, addr: tuple[str, int]) -> None:
        if not 128 <= data[0] < 192 or self._rng.random() >= self._share:
            self._inner.sendto(data, addr)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


async def _stream(
    sender: End, receiver: End, done: Callable[[], bool], *, key_on_request: bool = False
) -> list[bytes]:
    """Sends pictures and sound at 100 a second until what was asked for has happened."""
    codec = sender.peer.video_codec
    assert codec is not None
    picture, sent, asked = Picture(codec, 320, 192), list[bytes](), sender.seen.keyframe_requests
    async with asyncio.timeout(20):
        while not done():
            key = key_on_request and sender.seen.keyframe_requests > asked
            asked = sender.seen.keyframe_requests
            frame = picture.frame(key=key)
            sent.append(frame.data)
            sender.peer.send_video(frame)
            sender.peer.send_audio(opus(len(sent)))
            await asyncio.sleep(0.01)  # the pace of the source, not a wait
    return sent


def _without_candidates(sdp: str) -> tuple[str, list[str]]:
    lines = sdp.splitlines()
    candidates = [line.removeprefix("a=") for line in lines if line.startswith("a=candidate")]
    rest = [line for line in lines if not line.startswith(("a=candidate", "a=end-of"))]
    return "\r\n".join(rest) + "\r\n", candidates
