"""Whether a sound card can be opened, asked of ALSA itself.

PortAudio 19.6 and 19.7 keep the result of what they try in one variable of the process. An attempt that fails
while another thread plays or records may so be taken for a success, and the process ends: with a microphone
that cannot be opened, tried every two seconds in a call, within half an hour. So it is not asked to try what
fails.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
from typing import Any

TOLERANCE = 0.01
"""Share of a rate by which PortAudio takes another one for it."""

_NONBLOCK = 1
_STREAMS = {"output": 0, "input": 1}
_HARDWARE = re.compile(r"\((hw:\d+,\d+)\)$")


@functools.cache
def _library() -> Any:
    try:
        return ctypes.CDLL("libasound.so.2")
    except OSError:
        return None


def trouble(name: str, direction: str, rate: int) -> str:
    """Why the card cannot be opened at present for `rate` samples a second, "" when it can. `name` is
    PortAudio's: a plugin's, or words with the card's number at the end. `direction`: "input" or "output".
    """
    asound = _library()
    if asound is None:
        return ""
    hardware = _HARDWARE.search(name)
    handle = ctypes.c_void_p()
    told = (hardware[1] if hardware else name).encode()
    error = asound.snd_pcm_open(ctypes.byref(handle), told, _STREAMS[direction], _NONBLOCK)
    if error < 0:
        return os.strerror(-error)
    try:
        return "" if _does(asound, handle, rate) else f"it does not do {rate} Hz"
    finally:
        asound.snd_pcm_close(handle)


def _does(asound: Any, pcm: ctypes.c_void_p, rate: int) -> bool:
    """Whether it can be set to that rate, or nearly."""
    params, nearest = ctypes.c_void_p(), ctypes.c_uint(rate)
    asound.snd_pcm_hw_params_malloc(ctypes.byref(params))
    try:
        asound.snd_pcm_hw_params_any(pcm, params)
        error = asound.snd_pcm_hw_params_set_rate_near(pcm, params, ctypes.byref(nearest), None)
    finally:
        asound.snd_pcm_hw_params_free(params)
    return error >= 0 and abs(nearest.value - rate) <= rate * TOLERANCE
