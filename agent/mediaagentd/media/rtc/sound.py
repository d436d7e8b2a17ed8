"""What is agreed about sound beyond what the library negotiates: redundancy (RED, RFC 2198) and
retransmission (NACK, RFC 4585; RTX, RFC 4588) of Opus, and our wishes about it (RFC 7587 section 6.1).

Pure, on the text of descriptions: the library keeps what it knows, and neither offers nor reads the rest.
Chromium takes the redundancy; retransmission is for our own kind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from mediaagentd.media.types import UNSAID, Hearing, SoundStyle

OPUS_PARAMETERS: Final = "minptime=20;useinbandfec=1"
"""In-band FEC, frames from 20 ms."""

LENGTH: Final = ("a=ptime:20", "a=maxptime:20")
"""Of packets, in ms: the slots of the playout (RFC 8866 section 6.4, RFC 7587 section 6.1)."""

LEAST_RATE, MOST_RATE = 6_000, 510_000
"""Bits a second that `maxaveragebitrate` may say (RFC 7587 section 6.1)."""

RED: Final = 63
RTX: Final = 62
"""Payload types that we offer; those of Chromium for RED, free in RFC 5761 section 4 and in the library."""

_RTPMAP: Final = re.compile(r"a=rtpmap:(\d{1,3}) (opus|red|rtx)/48000(?:/2)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sound:
    """Payload types of one description, None for what it does not have; `hearing` is its author's."""

    opus: int
    red: int | None = None
    rtx: int | None = None
    nack: bool = False
    hearing: Hearing = UNSAID


def read(sdp: str) -> Sound | None:
    """What a description says; None without Opus."""
    lines = _section(sdp)
    found: dict[str, list[int]] = {"opus": [], "red": [], "rtx": []}
    for line in lines:
        if (match := _RTPMAP.fullmatch(line)) and int(match[1]) < 128:
            found[match[2].lower()].append(int(match[1]))
    if not found["opus"]:
        return None
    opus = found["opus"][0]
    red = [each for each in found["red"] if _parameter(lines, each).startswith(f"{opus}/{opus}")]
    rtx = [each for each in found["rtx"] if _parameter(lines, each) == f"apt={opus}"]
    nack = f"a=rtcp-fb:{opus} nack" in lines
    hearing = _hearing(_parameter(lines, opus))
    return Sound(opus, next(iter(red), None), next(iter(rtx), None), nack, hearing)


def offer(sdp: str, style: SoundStyle) -> str:
    """Our offer with all of it."""
    ours = read(sdp)
    return sdp if ours is None else _with(sdp, Sound(ours.opus, RED, RTX, nack=True), style)


def answer(sdp: str, remote: str, style: SoundStyle) -> str:
    """Our answer to `remote` with what that offers, under its payload types."""
    ours, theirs = read(sdp), read(remote)
    if ours is None or theirs is None:
        return sdp
    return _with(sdp, Sound(ours.opus, theirs.red, theirs.rtx, nack=theirs.nack), style)


def agreed(local: str, remote: str) -> tuple[Sound, Sound] | None:
    """(how to send, what may be received) when both descriptions are there: what both have."""
    ours, theirs = read(local), read(remote)
    if ours is None or theirs is None:
        return None
    red = ours.red is not None and theirs.red is not None
    rtx = ours.rtx is not None and theirs.rtx is not None and ours.nack and theirs.nack

    def both(side: Sound) -> Sound:
        return replace(side, red=side.red if red else None, rtx=side.rtx if rtx else None, nack=rtx)

    return both(theirs), both(ours)


def _section(sdp: str) -> list[str]:
    """The lines of the audio section."""
    lines = sdp.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("m=")]
    for start, end in pairwise([*starts, len(lines)]):
        if lines[start].startswith("m=audio "):
            return lines[start:end]
    return []


def _parameter(lines: list[str], payload_type: int) -> str:
    start = f"a=fmtp:{payload_type} "
    return next((line[len(start) :] for line in lines if line.startswith(start)), "")


def _hearing(parameters: str) -> Hearing:
    """What is malformed counts as unsaid: it costs nobody a call."""
    told = dict(pair.strip().partition("=")[::2] for pair in parameters.split(";"))
    limit = told.get("maxaveragebitrate", "")
    most = int(limit) if limit.isdecimal() and len(limit) < 10 else 0
    return Hearing(told.get("stereo") == "1", most if LEAST_RATE <= most <= MOST_RATE else None)


def _parameters(style: SoundStyle) -> str:
    """Ours. Both directions are told by one style; a voice's rate goes without saying."""
    stereo = ";stereo=1;sprop-stereo=1" if style.stereo else ""
    told = style.music or style.stereo or style.bitrate
    limit = f";maxaveragebitrate={style.rate(2 if style.stereo else 1)}" if told else ""
    return OPUS_PARAMETERS + stereo + limit


def _with(sdp: str, sound: Sound, style: SoundStyle) -> str:
    """The description with these codecs in its audio section."""
    lines, opus = sdp.splitlines(), sound.opus
    extra = [f"a=fmtp:{opus} {_parameters(style)}"] if not _parameter(_section(sdp), opus) else []
    added: list[int] = []
    if sound.nack:
        extra.append(f"a=rtcp-fb:{opus} nack")
    if sound.red is not None:
        extra += [f"a=rtpmap:{sound.red} red/48000/2", f"a=fmtp:{sound.red} {opus}/{opus}"]
        added.append(sound.red)
    if sound.rtx is not None:
        extra += [f"a=rtpmap:{sound.rtx} rtx/48000/2", f"a=fmtp:{sound.rtx} apt={opus}"]
        added.append(sound.rtx)
    extra += LENGTH
    start = next(number for number, line in enumerate(lines) if line.startswith("m=audio "))
    lines[start] += "".join(f" {payload_type}" for payload_type in added)
    place = next(
        number
        for number, line in enumerate(lines[start:], start)
        if line.lower().startswith(f"a=rtpmap:{opus} opus/")
    )
    return "\r\n".join([*lines[: place + 1], *extra, *lines[place + 1 :]]) + "\r\n"
