"""What the far end, or anybody with a socket, may do to a peer: nothing."""

from __future__ import annotations

import asyncio
import random
import re
import struct

import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.media.rtc import seams
from mediaagentd.media.types import VideoCodec

from tests.fakes.rtc import connect, opus
from tests.integration.rtc.conftest import Stage

BAD_SDP = [
    "",
    "nonsense",
    "v=0\r\n",
    "v=x\r\n",
    "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\n",
    "v=0\r\nm=audio x UDP/TLS/RTP/SAVPF 96\r\n",
    "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 300\r\n",
    "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\na=fmtp:96 minptime=10\r\n",
    "v=0\r\na=setup:nobody\r\n",
    "v=0\r\na=fingerprint:x\r\n",
    "v=0\r\n" + "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\n" * 9,
    "x" * 70_000,
]


@pytest.mark.parametrize("sdp", BAD_SDP)
async def test_a_bad_offer_is_refused_and_changes_nothing(stage: Stage, sdp: str) -> None:
    alice, bob = stage.end(), stage.end()
    with pytest.raises(Refused) as refused:
        await bob.peer.accept_offer(sdp)
    assert refused.value.reason is Reason.SIGNAL_INVALID
    await connect(alice.peer, bob.peer, alice.seen, bob.seen)


@pytest.mark.parametrize("sdp", BAD_SDP)
async def test_a_bad_answer_is_refused_and_changes_nothing(stage: Stage, sdp: str) -> None:
    alice, bob = stage.end(), stage.end()
    offer = await alice.peer.create_offer()
    with pytest.raises(Refused):
        await alice.peer.accept_answer(sdp)
    await alice.peer.accept_answer(await bob.peer.accept_offer(offer))
    await alice.seen.until(lambda: bool(alice.seen.connected))


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"a=ice-pwd:.*", "a=ice-pwd:"),
        (r"a=ice-ufrag:.*", "a=ice-ufrag:é"),
        (r"a=setup:.*", "a=setup:holdconn"),
        (r"a=fingerprint:.*", "a=fingerprint:md5 00"),
        (r"a=rtcp-mux", "a=x"),
        (r"a=mid:1", "a=mid:0"),
        (r"a=mid:\d", "a=x"),
        (r"a=sendrecv", "a=x"),
        (r"a=group:BUNDLE.*", "a=x"),
        (r"m=video", "m=audio"),
        (r"m=video", "m=application"),
        (r"opus", "speex"),
        (r"(VP8|H264)/90000", r"AV1/90000"),
        (r"packetization-mode=1", "packetization-mode=x"),
        (r"(a=ssrc:)\d+", r"\1-1"),
        (r"(a=candidate:\S+ 1 udp) \d+", r"\1 99999999999"),
        (r"(a=candidate:.* )typ host", r"\1typ"),
        (r"a=extmap:1 ", "a=extmap:0 "),
    ],
)
async def test_a_description_with_one_fault_is_refused(stage: Stage, pattern: str, replacement: str) -> None:
    alice, bob = stage.end(VideoCodec.H264), stage.end(VideoCodec.H264)
    offer = await alice.peer.create_offer()
    faulty = re.sub(pattern, replacement, offer)
    assert faulty != offer
    with pytest.raises(Refused):
        await bob.peer.accept_offer(faulty)
    await alice.peer.accept_answer(await bob.peer.accept_offer(offer))
    await bob.seen.until(lambda: bool(bob.seen.connected))


async def test_a_garbled_description_is_taken_or_refused_and_nothing_else(stage: Stage) -> None:
    alice = stage.end()
    offer = await alice.peer.create_offer()
    rng, refusals, reasons = random.Random(7), 0, set[Reason]()
    for _ in range(150):
        text = list(offer)
        for _ in range(rng.randint(1, 6)):
            position = rng.randrange(len(text))
            text[position : position + rng.randint(0, 3)] = rng.choice(["", "x", "0", " ", ":", "\r\n"])
        bob = stage.end()
        try:
            await asyncio.wait_for(bob.peer.accept_offer("".join(text)), 5)
        except Refused as refused:
            refusals += 1
            reasons.add(refused.reason)
            if refusals % 10 == 0:
                await bob.peer.accept_offer(offer)
        await bob.peer.close()
        stage.ends.remove(bob)
    assert refusals > 20
    assert reasons == {Reason.SIGNAL_INVALID}


async def test_an_answer_to_another_offer_is_refused(stage: Stage) -> None:
    alice, bob, carol = stage.end(), stage.end(), stage.end()
    answer = await bob.peer.accept_offer(await carol.peer.create_offer())
    await alice.peer.create_offer()
    with pytest.raises(Refused):
        await alice.peer.accept_answer(answer.replace("a=mid:1", "a=mid:2").replace("0 1", "0 2"))


async def test_signals_in_the_wrong_order_are_refused(stage: Stage) -> None:
    alice, bob = stage.end(), stage.end()
    offer = await alice.peer.create_offer()
    with pytest.raises(Refused):
        await bob.peer.accept_answer(offer)
    with pytest.raises(Refused):
        await alice.peer.accept_offer(offer)
    answer = await bob.peer.accept_offer(offer)
    await alice.peer.accept_answer(answer)
    with pytest.raises(Refused):
        await alice.peer.accept_answer(answer)
    with pytest.raises(Refused):
        await bob.peer.accept_offer(offer)
    with pytest.raises(Refused):
        await bob.peer.create_offer()


async def test_candidates_are_checked_and_counted(stage: Stage) -> None:
    alice = stage.end()
    with pytest.raises(Refused):
        await alice.peer.add_candidate("candidate:nonsense", "0")
    for port in range(64):
        line = f"candidate:1 1 udp 1 192.0.2.1 {port + 1} typ host"
        await alice.peer.add_candidate(line, "0")
    with pytest.raises(Refused):
        await alice.peer.add_candidate("candidate:1 1 udp 1 192.0.2.1 99 typ host", "0")


async def test_a_hidden_name_that_nobody_resolves_delays_nothing(stage: Stage) -> None:
    alice, bob = stage.end(), stage.end()
    await alice.peer.accept_answer(await bob.peer.accept_offer(await alice.peer.create_offer()))
    line = "candidate:1 1 udp 1 nobody-at-all.local 9 typ host"
    await asyncio.wait_for(alice.peer.add_candidate(line, "0"), 1)
    await alice.seen.until(lambda: bool(alice.seen.connected))


async def test_authentic_but_malformed_rtcp_ends_nothing(stage: Stage) -> None:
    """A REMB that promises more sources than it holds: `struct.error` inside the library."""
    alice, bob = await stage.pair(VideoCodec.VP8)
    transport = seams.dtls_transport(alice.peer._connection)
    remb = b"REMB" + bytes([200, 0, 0, 0])
    header = struct.pack("!BBHLL", 0x80 | 15, 206, 4, 1, 0)
    truncated = struct.pack("!BBHLLLLLL", 0x80 | 31, 200, 6, 1, 0, 0, 0, 0, 0)
    for data in (header + remb, truncated, struct.pack("!BBHL", 0x81, 201, 1, 5)):
        await transport._send_rtp(data)
    extension = struct.pack("!BBHLLHHBBBB", 0x90, 97, 1, 2, 3, 0xBEDE, 1, 0x30, 1, 0, 0)
    await transport._send_rtp(extension)
    alice.peer.send_audio(opus(0))
    await bob.seen.until(lambda: bool(bob.seen.audio))
    assert not bob.seen.closed
