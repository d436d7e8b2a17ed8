"""Sound cards when their drivers misbehave, over a PortAudio of the test's own."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from mediaagentd.errors import Refused
from mediaagentd.media import listening
from mediaagentd.media.capture import alsa, soundcard
from mediaagentd.media.capture.soundcard import SoundCards
from mediaagentd.media.types import AUDIO_CLOCK


class PortAudioError(Exception):
    pass


class Library(ModuleType):
    """`sounddevice` as far as we use it. `cards` are known from the next initialization on, which fails while
    `fails`; opening the card "hangs" waits for `released`.
    """

    PortAudioError = PortAudioError

    def __init__(self) -> None:
        super().__init__("sounddevice")
        self.cards: set[str] = {"card"}
        self.known = set(self.cards)
        self._initialized = 1
        self.alsa: set[str] = set()
        self.fails = False
        self.hangs, self.released = threading.Event(), threading.Event()
        self.log: list[str] = []
        self.tried: list[str] = []

    def _initialize(self) -> None:
        if self.fails:
            raise PortAudioError("Host error")
        self._initialized += 1
        self.known = set(self.cards)
        self.log.append("initialize")

    def _terminate(self) -> None:
        if not self._initialized:
            raise PortAudioError("PortAudio not initialized")
        assert not self.hangs.is_set() or self.released.is_set(), "under a thread that is inside"
        self._initialized -= 1

    def query_devices(self, device: str | None = None, kind: str | None = None) -> dict[str, Any]:
        if not self.known:
            return {}
        if device not in {None, *self.known}:
            raise ValueError(device)
        return {"name": device or "default", "hostapi": int(device in self.alsa), f"max_{kind}_channels": 2}

    def query_hostapis(self, index: int) -> dict[str, str]:
        return {"name": ("another", "ALSA")[index]}

    def RawInputStream(self, **options: Any) -> Stream:
        return Stream(self, options["device"])

    RawOutputStream = RawInputStream


class Stream:
    """An open card."""

    def __init__(self, library: Library, device: str) -> None:
        library.tried.append(device)
        if device == "hangs":
            library.hangs.set()
            library.released.wait()
        elif device not in library.known:
            raise ValueError(device)

    def start(self) -> None: ...

    def close(self, ignore_errors: bool) -> None: ...


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library()
    monkeypatch.setitem(sys.modules, "sounddevice", made)
    monkeypatch.setattr(soundcard, "PATIENCE", 0.05)
    monkeypatch.setattr(soundcard, "AGAIN", 0.0)
    return made


def opens(cards: SoundCards, device: str) -> Any:
    stream, _ = cards.open(device, "input", stereo=False, code="60003")
    return stream


def test_one_that_was_missing_is_found_once_it_is_there(library: Library) -> None:
    cards = SoundCards()
    with pytest.raises(Refused, match="there is no such device"):
        opens(cards, "later")
    library.cards.add("later")
    cards.close(opens(cards, "later"))
    assert library.log == ["initialize"]


def test_nothing_is_begun_anew_while_a_card_is_open(library: Library) -> None:
    cards = SoundCards()
    stream = opens(cards, "card")
    library.cards.add("later")
    for _ in range(2):
        with pytest.raises(Refused):
            opens(cards, "later")
    assert not library.log
    cards.close(stream)
    cards.close(opens(cards, "later"))


def test_it_is_not_looked_for_again_and_again(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundcard, "AGAIN", 1000.0)
    present = ["0 [PCH]"]
    monkeypatch.setattr(soundcard, "present", lambda: present[0])
    cards = SoundCards()
    for _ in range(5):
        with pytest.raises(Refused):
            opens(cards, "later")
    assert library.log == ["initialize"]
    library.cards.add("later")
    present[0] = "0 [PCH] 1 [USB]"
    cards.close(opens(cards, "later"))


def test_it_is_looked_for_more_and_more_seldom(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look costs some memory for good."""
    now = [1000.0]
    monkeypatch.setattr(soundcard, "AGAIN", 10.0)
    monkeypatch.setattr(soundcard, "time", SimpleNamespace(monotonic=lambda: now[0]))
    cards, looks = SoundCards(), []

    def a_day() -> None:
        """In a call, in which a missing microphone is tried every two seconds."""
        for _ in range(86400 // 2):
            now[0] += 2
            with pytest.raises(Refused):
                opens(cards, "later")
        looks.append(len(library.log))

    a_day()
    assert 288 <= looks[0] < 300
    library.cards.add("later")
    now[0] += soundcard.IDLE + 1  # another call
    cards.close(opens(cards, "later"))


def test_a_card_is_asked_for_by_name(library: Library) -> None:
    cards = SoundCards()
    assert cards.has("input")
    assert cards.has("input", "card")
    assert not cards.has("input", "another")


def test_nothing_that_fails_is_tried_beside_an_open_card(library: Library) -> None:
    """PortAudio would crash one day; ALSA, which does not, is asked first."""
    library.cards = library.known = {"card", "null", "hw:99,0"}
    library.alsa = {"null", "hw:99,0"}
    cards = SoundCards()
    speaker = opens(cards, "card")
    for _ in range(2):
        with pytest.raises(Refused, match="hw:99,0: ") as refused:
            opens(cards, "hw:99,0")
        assert refused.value.metadata == {"code": "60003"}
    cards.close(opens(cards, "null"))
    assert library.tried == ["card", "null"]
    cards.close(speaker)
    opens(cards, "hw:99,0")
    assert library.tried[-1] == "hw:99,0", "nobody else is there whom it could hurt"


def test_alsa_is_asked_for_a_card_by_its_number() -> None:
    assert alsa.trouble("null", "input", AUDIO_CLOCK) == alsa.trouble("null", "output", AUDIO_CLOCK) == ""
    assert alsa.trouble("USB Audio: - (hw:99,0)", "input", AUDIO_CLOCK) not in ("", os.strerror(0))


def test_alsa_is_asked_for_the_rate_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A webcam's microphone may do 16 or 44.1 kHz only: it can be opened, and then fails all the same."""
    card = 'pcm.card { type a52 rate 44100 channels 2 slavepcm "null" }'
    (tmp_path / "asound.conf").write_text(f"</usr/share/alsa/alsa.conf>\n{card}\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "asound.conf"))
    if why := alsa.trouble("card", "output", 44_100):
        pytest.skip(f"no plugin of ALSA's that is picky: {why}")
    assert alsa.trouble("card", "output", AUDIO_CLOCK) == "it does not do 48000 Hz"


def test_a_driver_that_hangs_does_not_keep_others_waiting(library: Library) -> None:
    assert soundcard.PATIENCE < listening.FIRST_SOUND / 2
    cards = SoundCards()
    hung = threading.Thread(target=opens, args=(cards, "hangs"))
    hung.start()
    assert library.hangs.wait(5)
    cards.expect_others()
    for _ in range(3):
        cards.close(opens(cards, "card"))
    assert cards.has("input")
    assert not library.log, "PortAudio stays as it is under whoever is inside"
    library.released.set()
    hung.join(5)


def test_an_initialization_that_fails_is_tried_again(library: Library) -> None:
    cards = SoundCards()
    cards.expect_others()
    library.fails = True
    for _ in range(2):
        with pytest.raises(Refused, match="Host error"):
            opens(cards, "card")
        assert not cards.has("input")
    library.fails = False
    cards.close(opens(cards, "card"))
    assert cards.has("input")


def test_what_is_leaned_on_is_there() -> None:
    sounddevice = soundcard.load_sounddevice()
    assert {"_initialize", "_terminate", "_initialized"} <= vars(sounddevice).keys()
    assert sounddevice._initialized == 1
