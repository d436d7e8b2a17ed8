"""UserSig, the public v2 format, as all may read it; the hub knows whom to believe (`hub.usersig`). Pure.

    out = base64(zlib(JSON)) with + -> *, / -> -, = -> _

Order, spacing and compression are the generator's choice.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import dataclass
from typing import Any, Never

from mediaagentd.errors import Reason, Refused

MAX_BYTES = 2048
"""Characters of a UserSig; a real one has about 200."""

MAX_INFLATED = 16 * 1024
"""Bytes of its JSON: a few bytes of zlib may inflate to a gigabyte."""

LEEWAY = 300
"""Seconds by which the clock of the one who made it may differ from ours, either way."""

VERSION = "2.0"
"""`TLS.ver`."""

_USER_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_OUTER = re.compile(r"[A-Za-z0-9*-]+_{0,2}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_FROM_OUTER = str.maketrans("*-_", "+/=")
MAX_INTEGER = 2**53
"""Beyond it JSON's numbers are not exact everywhere."""

MADE_IN_THE_FUTURE = "made in the future"
"""Metadata `rule` of a UserSig that is refused for the clock alone: it will be good, or its maker's clock or
ours is wrong.
"""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a UserSig says. `made` in Unix seconds, `expire` in seconds from then on; `sig` and `userbuf` are
    base64.
    """

    user_id: str
    sdk_app_id: int
    made: int
    expire: int
    sig: str
    userbuf: str | None

    @property
    def ends(self) -> int:
        """Until when it is good, Unix seconds."""
        return self.made + self.expire


def suited(sig: str, *, user_id: str, sdk_app_id: int) -> Claims:
    """What a UserSig for that user says, whoever made it and whenever.

    Refused: USER_ID_INVALID, and with metadata `code`: USER_SIG_MALFORMED (70003), USER_SIG_WRONG_APP
    (70014), USER_SIG_WRONG_USER (70013).
    """
    claims = parse(sig)
    check_user_id(claims.user_id, "user_sig")
    if claims.sdk_app_id != sdk_app_id:
        refuse(Reason.USER_SIG_WRONG_APP, 70014, "user_sig: made for another sdk_app_id")
    if claims.user_id != user_id:
        refuse(Reason.USER_SIG_WRONG_USER, 70013, "user_sig: made for another user_id")
    return claims


def parse(sig: str) -> Claims:
    """What a UserSig says; nothing of it is proven. Refused: USER_SIG_MALFORMED."""
    try:
        document = json.loads(_inflate(sig), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # bad UTF-8, JSON, huge numbers; deep nesting
        _malformed("is no JSON object")
    if not isinstance(document, dict):
        _malformed("is no JSON object")
    if _text(document, "TLS.ver") != VERSION:
        _malformed(f"TLS.ver must be {VERSION}")
    return Claims(
        user_id=_text(document, "TLS.identifier"),
        sdk_app_id=_integer(document, "TLS.sdkappid"),
        made=_integer(document, "TLS.time"),
        expire=_integer(document, "TLS.expire"),
        sig=_encoded(document, "TLS.sig"),
        userbuf=_encoded(document, "TLS.userbuf") if "TLS.userbuf" in document else None,
    )


def check_user_id(user_id: str, field: str) -> None:
    """Refused: USER_ID_INVALID, with metadata `field` and `rule`."""
    # A newline in it would forge the lines below.
    if _USER_ID.fullmatch(user_id) is None:
        rule = "1 to 32 of a-z A-Z 0-9 - _"
        message = f"{field}: the user id must be {rule}"
        raise Refused(Reason.USER_ID_INVALID, message, {"field": field, "rule": rule})


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
    if type(value) is not int or not 0 <= value < MAX_INTEGER:  # True is an int to isinstance
        _malformed(f"{name} must be an integer")
    return value


def _encoded(document: dict[str, Any], name: str) -> str:
    value = _text(document, name)
    if _BASE64.fullmatch(value) is None or len(value) % 4:
        _malformed(f"{name} must be base64")
    return value


def _malformed(why: str) -> Never:
    refuse(Reason.USER_SIG_MALFORMED, 70003, f"user_sig: {why}")


def refuse(reason: Reason, code: int, message: str, **metadata: str) -> Never:
    """Raises it with the source's code."""
    raise Refused(reason, message, {"code": str(code), **metadata})
