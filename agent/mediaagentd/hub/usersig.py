"""UserSig, the public v2 format: who may log in under which name, proven by HMAC-SHA256. Pure.

    text = lines TLS.identifier:<id>, TLS.sdkappid:<app>, TLS.time:<t>, TLS.expire:<e>[, TLS.userbuf:<b64>]
    sig  = base64(HMAC-SHA256(key, text))
    out  = base64(zlib(JSON)) with + -> *, / -> -, = -> _

Order, spacing and compression are the generator's choice: a UserSig is verified by computing its `sig`
again, never by comparing strings.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Never

from mediaagentd.errors import Reason, Refused

MAX_BYTES = 2048
"""Characters of a UserSig; a real one has about 200."""

MAX_INFLATED = 16 * 1024
"""Bytes of its JSON: a few bytes of zlib may inflate to a gigabyte."""

LEEWAY = 300
"""Seconds by which the clock of the one who made it may differ from ours, either way."""

_VERSION = "2.0"
_USER_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_OUTER = re.compile(r"[A-Za-z0-9*-]+_{0,2}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_TO_OUTER = str.maketrans("+/=", "*-_")
_FROM_OUTER = str.maketrans("*-_", "+/=")
_MAX_INTEGER = 2**53  # beyond it JSON's numbers are not exact everywhere


@dataclass(frozen=True, slots=True)
class _Claims:
    user_id: str
    sdk_app_id: int
    made: int
    expire: int
    sig: str
    userbuf: str | None


def verify(sig: str, *, user_id: str, sdk_app_id: int, keys: Iterable[str], now: float) -> None:
    """Returns when `sig` proves `user_id` at `now` (Unix seconds) under one of `keys`.

    Refused: USER_ID_INVALID, and with metadata `code`: USER_SIG_MALFORMED (70003), USER_SIG_WRONG_APP
    (70014), USER_SIG_WRONG_USER (70013), USER_SIG_MISMATCH (70009), USER_SIG_EXPIRED (70001; also for one
    that was made in the future).
    """
    _check_user_id(user_id, "user_id")
    claims = _parse(sig)
    _check_user_id(claims.user_id, "user_sig")
    if claims.sdk_app_id != sdk_app_id:
        _refuse(Reason.USER_SIG_WRONG_APP, 70014, "user_sig: made for another sdk_app_id")
    if claims.user_id != user_id:
        _refuse(Reason.USER_SIG_WRONG_USER, 70013, "user_sig: made for another user_id")
    if not _proven(claims, keys):
        _refuse(Reason.USER_SIG_MISMATCH, 70009, "user_sig: no key of this hub made it")
    if claims.made > now + LEEWAY:
        _refuse(Reason.USER_SIG_EXPIRED, 70001, "user_sig: made in the future; compare the clocks")
    if claims.made + claims.expire < now - LEEWAY:
        _refuse(Reason.USER_SIG_EXPIRED, 70001, "user_sig: expired")


def mint(
    sdk_app_id: int, key: str, user_id: str, *, now: float, expire: int, userbuf: bytes | None = None
) -> str:
    """A UserSig of that user, made at `now` (Unix seconds) and good for `expire` seconds.

    Refused: USER_ID_INVALID, and FIELD_INVALID for `expire` below 1.
    """
    _check_user_id(user_id, "user_id")
    if expire < 1:
        raise Refused(
            Reason.FIELD_INVALID, "expire: at least 1 s", {"field": "expire", "rule": "at least 1 s"}
        )
    buffer = None if userbuf is None else base64.b64encode(userbuf).decode("ascii")
    claims = _Claims(user_id, sdk_app_id, int(now), expire, "", buffer)
    document: dict[str, Any] = {
        "TLS.ver": _VERSION,
        "TLS.identifier": user_id,
        "TLS.sdkappid": sdk_app_id,
        "TLS.expire": expire,
        "TLS.time": claims.made,
    }
    if buffer is not None:
        document["TLS.userbuf"] = buffer
    document["TLS.sig"] = base64.b64encode(_mac(claims, key)).decode("ascii")
    packed = zlib.compress(json.dumps(document).encode())
    return base64.b64encode(packed).decode("ascii").translate(_TO_OUTER)


def _check_user_id(user_id: str, field: str) -> None:
    # A newline in it would forge the lines below.
    if _USER_ID.fullmatch(user_id) is None:
        rule = "1 to 32 of a-z A-Z 0-9 - _"
        message = f"{field}: the user id must be {rule}"
        raise Refused(Reason.USER_ID_INVALID, message, {"field": field, "rule": rule})


def _proven(claims: _Claims, keys: Iterable[str]) -> bool:
    given = base64.b64decode(claims.sig)
    return any(hmac.compare_digest(given, _mac(claims, key)) for key in keys)


def _mac(claims: _Claims, key: str) -> bytes:
    text = (
        f"TLS.identifier:{claims.user_id}\nTLS.sdkappid:{claims.sdk_app_id}\n"
        f"TLS.time:{claims.made}\nTLS.expire:{claims.expire}\n"
    )
    if claims.userbuf is not None:
        text += f"TLS.userbuf:{claims.userbuf}\n"
    return hmac.new(key.encode(), text.encode("ascii"), hashlib.sha256).digest()


def _parse(sig: str) -> _Claims:
    try:
        document = json.loads(_inflate(sig), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # bad UTF-8, JSON, huge numbers; deep nesting
        _malformed("is no JSON object")
    if not isinstance(document, dict):
        _malformed("is no JSON object")
    if _text(document, "TLS.ver") != _VERSION:
        _malformed(f"TLS.ver must be {_VERSION}")
    return _Claims(
        user_id=_text(document, "TLS.identifier"),
        sdk_app_id=_integer(document, "TLS.sdkappid"),
        made=_integer(document, "TLS.time"),
        expire=_integer(document, "TLS.expire"),
        sig=_encoded(document, "TLS.sig"),
        userbuf=_encoded(document, "TLS.userbuf") if "TLS.userbuf" in document else None,
    )


def _inflate(sig: str) -> str:
    if len(sig) > MAX_BYTES:
        _malformed(f"has more than {MAX_BYTES} bytes")
    if _OUTER.fullmatch(sig) is None or len(sig) % 4:
        _malformed("is not in its base64 alphabet")
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(base64.b64decode(sig.translate(_FROM_OUTER)), MAX_INFLATED + 1)
    except zlib.error:
        _malformed("is not compressed by zlib")
    if len(text) > MAX_INFLATED:
        _malformed(f"inflates to more than {MAX_INFLATED} bytes")
    if not inflater.eof or inflater.unused_data:
        _malformed("is cut off, or something follows it")
    return text.decode()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key stands there twice")
    return document


def _no_constant(name: str) -> Never:
    raise ValueError(name)  # NaN and Infinity are no JSON


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        _malformed(f"{name} must be a string")
    return value


def _integer(document: dict[str, Any], name: str) -> int:
    value = document.get(name)
    if type(value) is not int or not 0 <= value < _MAX_INTEGER:  # True is an int to isinstance
        _malformed(f"{name} must be an integer")
    return value


def _encoded(document: dict[str, Any], name: str) -> str:
    value = _text(document, name)
    if _BASE64.fullmatch(value) is None or len(value) % 4:
        _malformed(f"{name} must be base64")
    return value


def _malformed(why: str) -> Never:
    _refuse(Reason.USER_SIG_MALFORMED, 70003, f"user_sig: {why}")


def _refuse(reason: Reason, code: int, message: str) -> Never:
    raise Refused(reason, message, {"code": str(code)})
