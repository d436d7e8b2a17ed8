"""UserSig: who may log in under which name, proven by HMAC-SHA256. Pure; the format is in `usersig`.

    text = lines TLS.identifier:<id>, TLS.sdkappid:<app>, TLS.time:<t>, TLS.expire:<e>[, TLS.userbuf:<b64>]
    sig  = base64(HMAC-SHA256(key, text))

A UserSig is verified by computing its `sig` again, never by comparing strings.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import zlib
from collections.abc import Iterable
from typing import Any

from mediaagentd.errors import Reason, Refused
from mediaagentd.usersig import (
    LEEWAY,
    MADE_IN_THE_FUTURE,
    MAX_INTEGER,
    VERSION,
    Claims,
    check_user_id,
    refuse,
    suited,
)

_TO_OUTER = str.maketrans("+/=", "*-_")


def verify(sig: str, *, user_id: str, sdk_app_id: int, keys: Iterable[str], now: float) -> None:
    """Returns when `sig` proves `user_id` at `now` (Unix seconds) under one of `keys`.

    Refused: USER_ID_INVALID, and with metadata `code`: USER_SIG_MALFORMED (70003), USER_SIG_WRONG_APP
    (70014), USER_SIG_WRONG_USER (70013), USER_SIG_MISMATCH (70009), USER_SIG_EXPIRED (70001; also for one
    that was made in the future, with metadata `rule` MADE_IN_THE_FUTURE).
    """
    check_user_id(user_id, "user_id")
    claims = suited(sig, user_id=user_id, sdk_app_id=sdk_app_id)
    if not _proven(claims, keys):
        refuse(Reason.USER_SIG_MISMATCH, 70009, "user_sig: no key of this hub made it")
    if claims.made > now + LEEWAY:
        message = f"user_sig: {MADE_IN_THE_FUTURE}; compare the clocks"
        refuse(Reason.USER_SIG_EXPIRED, 70001, message, rule=MADE_IN_THE_FUTURE)
    if claims.ends < now - LEEWAY:
        refuse(Reason.USER_SIG_EXPIRED, 70001, "user_sig: expired")


def mint(
    sdk_app_id: int, key: str, user_id: str, *, now: float, expire: int, userbuf: bytes | None = None
) -> str:
    """A UserSig of that user, made at `now` (Unix seconds) and good for `expire` seconds.

    Refused: USER_ID_INVALID, and FIELD_INVALID for an `expire` that `verify` would not take.
    """
    check_user_id(user_id, "user_id")
    if not 1 <= expire < MAX_INTEGER:
        rule = f"1 to {MAX_INTEGER - 1} s"
        raise Refused(Reason.FIELD_INVALID, f"expire: {rule}", {"field": "expire", "rule": rule})
    buffer = None if userbuf is None else base64.b64encode(userbuf).decode("ascii")
    claims = Claims(user_id, sdk_app_id, int(now), expire, "", buffer)
    document: dict[str, Any] = {
        "TLS.ver": VERSION,
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


def _proven(claims: Claims, keys: Iterable[str]) -> bool:
    given = base64.b64decode(claims.sig)
    return any(hmac.compare_digest(given, _mac(claims, key)) for key in keys)


def _mac(claims: Claims, key: str) -> bytes:
    text = (
        f"TLS.identifier:{claims.user_id}\nTLS.sdkappid:{claims.sdk_app_id}\n"
        f"TLS.time:{claims.made}\nTLS.expire:{claims.expire}\n"
    )
    if claims.userbuf is not None:
        text += f"TLS.userbuf:{claims.userbuf}\n"
    return hmac.new(key.encode(), text.encode("ascii"), hashlib.sha256).digest()
