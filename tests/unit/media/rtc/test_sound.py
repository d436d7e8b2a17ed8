"""What is agreed about sound, on text."""

from __future__ import annotations

from mediaagentd.media.rtc import sound
from mediaagentd.media.rtc.sound import Sound
from mediaagentd.media.types import UNSAID, VOICE, Hearing, SoundStyle

PLAIN = (
    "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96 0\r\na=mid:0\r\na=rtpmap:96 opus/48000/2\r\n"
    "a=rtpmap:0 PCMU/8000\r\nm=video 9 UDP/TLS/RTP/SAVPF 97 98\r\na=mid:1\r\n"
    "a=rtpmap:97 VP8/90000\r\na=rtpmap:98 rtx/90000\r\n"
)
CHROMIUM = (
    "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63 9\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n"
    "a=rtcp-fb:111 transport-cc\r\na=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\n"
    "a=fmtp:63 111/111\r\n"
)


def test_two_of_our_kind_agree_on_all_of_it() -> None:
    offer = sound.offer(PLAIN, VOICE)
    assert offer.splitlines()[1] == "m=audio 9 UDP/TLS/RTP/SAVPF 96 0 63 62"
    assert offer.count("a=fmtp:96 minptime=20;useinbandfec=1\r\n") == 1
    assert sound.read(offer) == Sound(96, 63, 62, nack=True)
    answer = sound.answer(PLAIN, offer, VOICE)
    assert sound.read(answer) == Sound(96, 63, 62, nack=True)
    assert sound.agreed(offer, answer) == (Sound(96, 63, 62, nack=True), Sound(96, 63, 62, nack=True))
    assert offer.partition("m=video")[2] == PLAIN.partition("m=video")[2]


def test_chromium_gets_redundancy_only() -> None:
    answer = sound.answer(PLAIN.replace("96", "111"), CHROMIUM, VOICE)
    assert sound.read(answer) == Sound(111, 63)
    assert sound.agreed(answer, CHROMIUM) == (Sound(111, 63), Sound(111, 63))
    assert "nack" not in answer


def test_payload_types_may_differ_by_direction() -> None:
    offer, answer = sound.offer(PLAIN, VOICE), CHROMIUM.replace(" 63", " 64").replace(":63", ":64")
    assert sound.agreed(offer, answer) == (Sound(111, 64), Sound(96, 63))


def test_a_stock_far_end_gets_plain_opus() -> None:
    offer = sound.offer(PLAIN, VOICE)
    assert sound.agreed(offer, PLAIN) == (Sound(96), Sound(96))
    answer = sound.answer(PLAIN, PLAIN, VOICE)
    assert sound.read(answer) == Sound(96)
    assert "useinbandfec=1" in answer


def test_packets_are_asked_for_that_are_as_long_as_a_slot() -> None:
    for description in (sound.offer(PLAIN, VOICE), sound.answer(PLAIN.replace("96", "111"), CHROMIUM, VOICE)):
        audio = description.partition("m=video")[0]
        assert audio.count("\r\na=ptime:20\r\na=maxptime:20\r\n") == 1
        assert "minptime=20" in audio


def test_no_opus_and_no_sound_change_nothing() -> None:
    for text in ("v=0\r\n", PLAIN.replace("opus", "telephone-event"), PLAIN.partition("m=video")[0][:4]):
        assert sound.offer(text, VOICE) == text
        assert sound.answer(text, CHROMIUM, VOICE) == text
        assert sound.agreed(text, CHROMIUM) is None


def test_redundancy_of_something_else_is_not_ours() -> None:
    assert sound.read(CHROMIUM.replace("111/111", "9/9")) == Sound(111)
    assert sound.read(CHROMIUM.replace("rtpmap:63", "rtpmap:999")) == Sound(111)


def test_stereo_and_music_are_told_and_understood() -> None:
    """RFC 7587 section 6.1; a voice's description says nothing of it."""
    music = SoundStyle(music=True, stereo=True)
    offer = sound.offer(PLAIN, music)
    told = "a=fmtp:96 minptime=20;useinbandfec=1;stereo=1;sprop-stereo=1;maxaveragebitrate=128000\r\n"
    assert told in offer
    voice = sound.answer(PLAIN, offer, VOICE)
    assert "stereo" not in voice
    agreed = sound.agreed(voice, offer)
    assert agreed is not None
    assert agreed[0].hearing == Hearing(stereo=True, most=128_000), "what the far end takes"
    assert agreed[1].hearing == UNSAID
    assert "maxaveragebitrate=40000" in sound.answer(PLAIN, offer, SoundStyle(bitrate=40_000))
    assert "maxaveragebitrate=48000" in sound.offer(PLAIN, SoundStyle(stereo=True))


def test_what_a_far_end_says_of_its_hearing_badly_is_unsaid() -> None:
    def heard(parameters: str) -> Hearing:
        found = sound.read(CHROMIUM.replace("useinbandfec=1", parameters))
        assert found is not None
        return found.hearing

    assert heard("useinbandfec=1; stereo=1; maxaveragebitrate=20000") == Hearing(stereo=True, most=20_000)
    for bad in ("stereo", "stereo=2", "maxaveragebitrate=-1", "maxaveragebitrate=" + "9" * 30, ";;=;"):
        assert heard(bad) == UNSAID
    assert heard("maxaveragebitrate=5999") == heard("maxaveragebitrate=510001") == UNSAID
