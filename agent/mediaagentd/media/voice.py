"""What is done to the microphone's voice, and when. Pure; `playout/processing.py` does it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

from mediaagentd.media.types import SoundStyle

MISSING = "pip install livekit (the extra aec of mediaagentd)"
"""What to do where it is not installed."""


@dataclass(frozen=True, slots=True)
class Processing:
    """What is done to a voice."""

    echo_cancellation: bool = False
    noise_suppression: bool = False
    gain_control: bool = False

    def __bool__(self) -> bool:
        return bool(self.words)

    @property
    def words(self) -> tuple[str, ...]:
        """It, for people."""
        return tuple(name.replace("_", " ") for name, does in asdict(self).items() if does)


NOTHING: Final = Processing()


@dataclass(frozen=True, slots=True)
class ProcessingWish:
    """What is asked for; None: what suits the devices and the sound."""

    echo_cancellation: bool | None = None
    noise_suppression: bool | None = None
    gain_control: bool | None = None

    def suited(self, style: SoundStyle, *, from_card: bool, to_card: bool) -> Processing:
        """All of it for a voice, as in a browser, where microphone and speaker are sound cards. Nothing for
        what is to stay as it is: music, two channels, a file, a tone.
        """
        is_voice = from_card and not style.music and not style.stereo

        def chosen(wish: bool | None, suits: bool) -> bool:
            return suits if wish is None else wish

        return Processing(
            chosen(self.echo_cancellation, is_voice and to_card),
            chosen(self.noise_suppression, is_voice),
            chosen(self.gain_control, is_voice),
        )


AS_SUITS: Final = ProcessingWish()
