"""Changes the bitrate of a running encoder without rebuilding it and without a keyframe.

PyAV lets `bit_rate` be changed, but x264 in constant bitrate mode needs its VBV (`maxrate`, `bufsize`) to
follow, and FFmpeg's libvpx wrapper never looks at a change. Both libraries can do it (`av_opt_set_int` then
FFmpeg's own `reconfig_encoder`; `vpx_codec_enc_config_set`), so we reach them by the wheel's own copies of
the libraries. What is leaned on, and held by `tests/unit/media/codec/test_live_rate.py`:

- a PyAV `CodecContext` keeps its `AVCodecContext *` behind the object's header and method table;
- `AVCodecContext.priv_data` lies at offset 32, and libvpxenc.c's private context holds a `vpx_codec_ctx`
  behind its class pointer;
- libvpx's `vpx_codec_enc_cfg`: `g_w`, `g_h` at 12 and 16, `rc_target_bitrate` at 112.

Every address is checked against values that must be there before anything is written; whenever something
does not fit, the answer is False and the caller rebuilds the encoder.
"""

from __future__ import annotations

import ctypes
import functools

import av
from av.video.codeccontext import VideoCodecContext

from mediaagentd.media.codec.libraries import library

_VERIFIED = "18."
_CONTEXT_POINTER = 24
_PRIVATE_DATA = 32
_VPX_CODEC = 8
_VPX_CONFIG = 40
_G_W, _G_H, _TARGET = 12, 16, 112


def set_x264_rate(context: VideoCodecContext, bitrate: int, buffer: int) -> bool:
    """Bits a second and VBV buffer in bits, from the next picture on."""
    address = _address(context)
    options = _options()
    if address is None or options is None:
        return False
    context.bit_rate = bitrate
    settings = ((b"maxrate", bitrate), (b"bufsize", buffer))
    return all(options.av_opt_set_int(address, name, value, 0) == 0 for name, value in settings)


def set_vpx_rate(context: VideoCodecContext, bitrate: int) -> bool:
    """Bits a second, from the next picture on."""
    address = _address(context)
    vpx = library("vpx", ours_only=True)
    if address is None or vpx is None:
        return False
    codec = _pointer(address + _PRIVATE_DATA) + _VPX_CODEC
    config = _pointer(codec + _VPX_CONFIG)
    expected = (context.width, context.height, (context.bit_rate or 0) // 1000)
    if not config or tuple(_word(config + at).value for at in (_G_W, _G_H, _TARGET)) != expected:
        return False
    _word(config + _TARGET).value = bitrate // 1000
    context.bit_rate = bitrate // 1000 * 1000
    vpx.vpx_codec_enc_config_set.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    return bool(vpx.vpx_codec_enc_config_set(codec, config) == 0)


def _address(context: VideoCodecContext) -> int | None:
    """Of the open `AVCodecContext`, None when it is not where it should be."""
    codec = library("avcodec", ours_only=True)
    if codec is None or not av.__version__.startswith(_VERIFIED) or not context.is_open:
        return None
    address = _pointer(id(context) + _CONTEXT_POINTER)
    codec.avcodec_get_class.restype = ctypes.c_void_p
    if not address or address % 16 or _pointer(address) != codec.avcodec_get_class():
        return None
    return address if _bit_rate(address) == context.bit_rate else None


def _bit_rate(address: int) -> int | None:
    options = _options()
    value = ctypes.c_int64()
    if options is None or options.av_opt_get_int(address, b"b", 0, ctypes.byref(value)) != 0:
        return None
    return value.value


@functools.cache
def _options() -> ctypes.CDLL | None:
    util = library("avutil", ours_only=True)
    if util is not None:
        util.av_opt_get_int.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
        util.av_opt_set_int.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_int]
    return util


def _pointer(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


def _word(address: int) -> ctypes.c_uint32:
    return ctypes.c_uint32.from_address(address)
