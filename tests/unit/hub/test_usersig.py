"""UserSig: the public vectors, the public generator as oracle, and everything that is not one."""

from __future__ import annotations

import base64
import json
import time
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.usersig import mint, verify
from mediaagentd.usersig import LEEWAY, MAX_BYTES, MAX_INFLATED
from TLSSigAPIv2 import TLSSigAPIv2

APP = 1400000000
KEY = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
MADE = 1700000000
EXPIRE = 15552000
GENUINE = {
    "TLS.ver": "2.0",
    "TLS.identifier": "xiaojun",
    "TLS.sdkappid": APP,
    "TLS.expire": EXPIRE,
    "TLS.time": MADE,
    "TLS.sig": "LvA7d/Iw7gSsnskvVzBDPOCCDbuNCw4GHwTC0bip+B4=",
}


def outer(data: bytes) -> str:
    return base64.b64encode(data).decode().translate(str.maketrans("+/=", "*-_"))


def packed(document: object) -> str:
    text = document if isinstance(document, str) else json.dumps(document)
    return outer(zlib.compress(text.encode(errors="surrogatepass")))


def check(sig: str, **changed: Any) -> None:
    verify(sig, **{"user_id": "xiaojun", "sdk_app_id": APP, "keys": (KEY,), "now": MADE + 1, **changed})


def refusal(sig: str, **changed: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        check(sig, **changed)
    return refused.value


def opened(sig: str) -> dict[str, Any]:
    raw = base64.b64decode(sig.translate(str.maketrans("*-_", "+/=")))
    document: dict[str, Any] = json.loads(zlib.decompress(raw))
    return document


def test_the_public_vectors() -> None:
    assert opened(mint(APP, KEY, "xiaojun", now=MADE, expire=EXPIRE)) == GENUINE
    with_buffer = opened(mint(APP, KEY, "xiaojun", now=MADE, expire=EXPIRE, userbuf=b"abc"))
    assert with_buffer["TLS.sig"] == "QjT201xPkXk/aM1e+y0vakZb0K2iPrFue++0s5y6bFM="
    assert with_buffer["TLS.userbuf"] == "YWJj"
    check(packed(GENUINE))
    check(packed(with_buffer))


def test_what_the_public_generator_makes_is_good_here() -> None:
    generator = TLSSigAPIv2(APP, KEY)
    now = time.time()
    check(generator.gen_sig("xiaojun"), now=now)
    check(generator.gen_sig_with_userbuf("xiaojun", 3600, b"\x00abc\n"), now=now)


@pytest.mark.parametrize("userbuf", [None, b"", b"abc"])
def test_what_we_mint_is_what_the_public_generator_makes(userbuf: bytes | None) -> None:
    generator = TLSSigAPIv2(APP, KEY)
    theirs = opened(
        generator.gen_sig("a-B_9", 60)
        if userbuf is None
        else generator.gen_sig_with_userbuf("a-B_9", 60, userbuf)
    )
    assert opened(mint(APP, KEY, "a-B_9", now=theirs["TLS.time"], expire=60, userbuf=userbuf)) == theirs


def test_any_of_several_keys_is_good() -> None:
    check(packed(GENUINE), keys=("old", KEY))
    check(packed(GENUINE), keys=(KEY, "new"))
    for keys in ((), ("other",)):
        refused = refusal(packed(GENUINE), keys=keys)
        assert (refused.reason, refused.metadata["code"]) == (Reason.USER_SIG_MISMATCH, "70009")


def test_order_spacing_and_compression_are_free() -> None:
    text = json.dumps(dict(reversed(GENUINE.items())), indent=3)
    check(outer(zlib.compress(text.encode(), 0)))


def test_its_time() -> None:
    end = MADE + EXPIRE
    for now in (MADE - LEEWAY, MADE, end, end + LEEWAY):
        check(packed(GENUINE), now=now)
    for now in (MADE - LEEWAY - 1, end + LEEWAY + 1):
        refused = refusal(packed(GENUINE), now=now)
        assert (refused.reason, refused.metadata["code"]) == (Reason.USER_SIG_EXPIRED, "70001")


def test_another_user_and_another_application() -> None:
    refused = refusal(packed(GENUINE), user_id="ann")
    assert (refused.reason, refused.metadata["code"]) == (Reason.USER_SIG_WRONG_USER, "70013")
    refused = refusal(packed(GENUINE), sdk_app_id=7)
    assert (refused.reason, refused.metadata["code"]) == (Reason.USER_SIG_WRONG_APP, "70014")


@pytest.mark.parametrize(
    "user_id", ["", "a b", "x" * 33, "xiaojun\n", "xiaojun\nTLS.sdkappid:1", "\ud800", "é"]
)
def test_a_user_id_that_is_none(user_id: str) -> None:
    assert refusal(packed(GENUINE), user_id=user_id).reason is Reason.USER_ID_INVALID
    assert refusal(packed({**GENUINE, "TLS.identifier": user_id})).reason is Reason.USER_ID_INVALID
    with pytest.raises(Refused) as refused:
        mint(APP, KEY, user_id, now=MADE, expire=60)
    assert refused.value.reason is Reason.USER_ID_INVALID


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TLS.ver", "1.0"), ("TLS.ver", 2.0), ("TLS.ver", None),
        ("TLS.identifier", 7), ("TLS.identifier", None), ("TLS.identifier", ["xiaojun"]),
        ("TLS.sdkappid", str(APP)), ("TLS.sdkappid", True), ("TLS.sdkappid", float(APP)),
        ("TLS.time", float(MADE)), ("TLS.time", False), ("TLS.time", -1), ("TLS.time", 2**53),
        ("TLS.expire", True), ("TLS.expire", -1), ("TLS.expire", 1e3), ("TLS.expire", {}),
        ("TLS.sig", None), ("TLS.sig", "LvA7d"), ("TLS.sig", "é"), ("TLS.sig", "\ud800"), ("TLS.sig", 1),
        ("TLS.userbuf", "YWJj\n"), ("TLS.userbuf", "\ud800"), ("TLS.userbuf", 1), ("TLS.userbuf", None),
    ],
)  # fmt: skip
def test_exact_types(name: str, value: object) -> None:
    refused = refusal(packed({**GENUINE, name: value}))
    assert (refused.reason, refused.metadata["code"]) == (Reason.USER_SIG_MALFORMED, "70003")


@pytest.mark.parametrize("name", sorted(GENUINE))
def test_nothing_may_be_missing(name: str) -> None:
    rest = {key: value for key, value in GENUINE.items() if key != name}
    assert refusal(packed(rest)).reason is Reason.USER_SIG_MALFORMED


@pytest.mark.parametrize(
    "sig",
    [
        "", "_", "abc", "ab+/", "ab==", "é" * 4, "\ud800" * 4, outer(b"no zlib"),
        packed("[]"), packed("1"), packed("null"), packed("{"), packed('{"TLS.ver":NaN}'),
        packed("[" * 9000), packed("9" * 9000), outer(zlib.compress(b"\xff\xfe{}")),
        packed(json.dumps(GENUINE)[:-1] + ', "TLS.time": 1}'),
        packed(json.dumps(GENUINE)[:-1] + ', "x": {"a": 1, "a": 1}}'),
        outer(zlib.compress(json.dumps(GENUINE).encode())[:-1]),
        outer(zlib.compress(json.dumps(GENUINE).encode()) + b"x"),
        "A" * (MAX_BYTES + 4),
    ],
    ids=range(21),
)  # fmt: skip
def test_what_is_no_user_sig(sig: str) -> None:
    refused = refusal(sig)
    assert (refused.reason, refused.metadata["code"]) == (Reason.USER_SIG_MALFORMED, "70003")


def test_a_zip_bomb_is_not_inflated() -> None:
    bomb = outer(zlib.compress(b" " * 1_000_000, 9))
    assert len(bomb) <= MAX_BYTES
    assert str(MAX_INFLATED) in refusal(bomb).message


def test_an_expiry_of_nothing_is_not_minted() -> None:
    with pytest.raises(Refused):
        mint(APP, KEY, "ann", now=MADE, expire=0)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(max_size=300),
        st.binary(max_size=300).map(outer),
        st.binary(max_size=300).map(lambda data: outer(zlib.compress(data))),
        _json.map(packed),
        st.dictionaries(st.sampled_from(sorted(GENUINE)), _json).map(
            lambda some: packed({**GENUINE, **some})
        ),
    ),
    st.sampled_from(["xiaojun", "ann", ""]) | st.text(max_size=10),
)
def test_anything_is_refused_or_good(sig: str, user_id: str) -> None:
    try:
        check(sig, user_id=user_id)
    except Refused as refused:
        assert refused.reason.name.startswith("USER_")  # noqa: PT017 - good is good too
    else:
        assert user_id == "xiaojun"
        assert opened(sig)["TLS.sig"] == GENUINE["TLS.sig"]


@settings(max_examples=50, deadline=None)
@given(
    st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True), st.integers(1, 2**32 - 1), st.binary(max_size=99)
)
def test_what_we_mint_is_good(user_id: str, app: int, userbuf: bytes) -> None:
    sig = mint(app, KEY, user_id, now=MADE, expire=60, userbuf=userbuf)
    verify(sig, user_id=user_id, sdk_app_id=app, keys=(KEY,), now=MADE)
