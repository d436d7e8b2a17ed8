"""Logging in, staying so, and being replaced."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import sqlite3
import time

import grpc
import pytest
from mediaagent.hub.v1 import hub_pb2, hub_pb2_grpc
from mediaagentd.call.types import Accept, CallsListed, HubFailed, Invite, SessionChanged, SessionPhase
from mediaagentd.call.types import CallType as Type
from mediaagentd.errors import Reason, Refused
from mediaagentd.interceptors import refused_from

from tests.integration.hub.conftest import APP, Bench, MakeDevice, sig


async def test_login_is_online_before_it_returns(hub: Bench, device: MakeDevice) -> None:
    ann = await device("ann", "kitchen")
    assert ann.ears.heard == [
        SessionChanged(SessionPhase.ONLINE, "ann", "", "kitchen"),
        CallsListed(()),
    ]


@pytest.mark.parametrize(
    ("user_sig", "reason", "code"),
    [
        ("nonsense", Reason.USER_SIG_MALFORMED, "70003"),
        (sig("ann", key="another key"), Reason.USER_SIG_MISMATCH, "70009"),
        (sig("bob"), Reason.USER_SIG_WRONG_USER, "70013"),
        (sig("ann", expire=60, now=time.time() - 3600), Reason.USER_SIG_EXPIRED, "70001"),
        (sig("ann", now=time.time() + 3600), Reason.USER_SIG_EXPIRED, "70001"),
    ],
)
async def test_a_bad_user_sig(
    hub: Bench, device: MakeDevice, user_sig: str, reason: Reason, code: str
) -> None:
    ann = await device("ann", login=False, user_sig=user_sig)
    with pytest.raises(Refused) as refused:
        await ann.login()
    assert (refused.value.reason, refused.value.metadata["code"]) == (reason, code)
    assert ann.ears.heard == []
    await ann.client.login("ann", sig("ann"))


async def test_a_bad_user_id(hub: Bench, device: MakeDevice) -> None:
    ann = await device("ann", login=False)
    with pytest.raises(Refused) as refused:
        await ann.client.login("ann smith", ann.user_sig)
    assert refused.value.reason is Reason.USER_ID_INVALID
    assert refused.value.metadata["field"] == "user_id"


async def test_another_application(hub: Bench) -> None:
    async with grpc.aio.insecure_channel(hub.target) as channel:
        stub = hub_pb2_grpc.HubServiceStub(channel)
        request = hub_pb2.LoginRequest(user_id="ann", user_sig=sig("ann"), device_id="d", sdk_app_id=APP + 1)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stub.Login(request)
    assert refused_from(failed.value).reason is Reason.USER_SIG_WRONG_APP


async def test_nobody_answers(device: MakeDevice) -> None:
    ann = await device("ann", login=False)
    began = time.monotonic()
    with pytest.raises(Refused) as refused:
        await ann.login()
    assert refused.value.reason is Reason.HUB_UNREACHABLE
    assert time.monotonic() - began < 6
    assert ann.ears.heard == []


@pytest.mark.parametrize("token", ["", "Bearer ", "Bearer wrong", "Basic x"])
async def test_without_a_session_there_is_nothing(hub: Bench, token: str) -> None:
    metadata = (("authorization", token),) if token else ()
    async with grpc.aio.insecure_channel(hub.target) as channel:
        stub = hub_pb2_grpc.HubServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stub.Accept(hub_pb2.AcceptRequest(invite_id="i"), metadata=metadata)
        assert refused_from(failed.value).reason is Reason.SESSION_UNKNOWN
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await stub.Subscribe(hub_pb2.SubscribeRequest(), metadata=metadata).read()
        assert refused_from(failed.value).reason is Reason.SESSION_UNKNOWN


async def test_the_newer_login_wins_and_the_older_stays_out(hub: Bench, device: MakeDevice) -> None:
    old = await device("ann", "kitchen")
    new = await device("ann", "hall")
    change = await old.ears.phase(SessionPhase.KICKED_OUT)
    assert (change.user_id, change.kicked_by, change.device_id) == ("ann", "hall", "kitchen")
    bob = await device("bob")
    await bob.invite("ann")
    await new.ears.call(lambda call: call.sponsor == "bob")
    assert old.ears.heard[-1] == change
    refused = await old.refused(Accept("any"))
    assert refused.reason is Reason.NOT_LOGGED_IN
    await old.login()  # a person does it
    assert (await new.ears.phase(SessionPhase.KICKED_OUT)).kicked_by == "kitchen"


async def test_a_device_that_was_kicked_while_away_stays_out(hub: Bench, device: MakeDevice) -> None:
    old = await device("ann", "kitchen")
    await hub.stop()
    await old.ears.phase(SessionPhase.RECONNECTING)
    # A hub that has forgotten everything: the older comes back by itself, the newer by a person's hand.
    await hub.start(database=None)
    new = await device("ann", "hall")
    assert (await old.ears.phase(SessionPhase.KICKED_OUT)).kicked_by == "hall"
    assert not any(
        isinstance(it, SessionChanged) and it.session is SessionPhase.KICKED_OUT for it in new.ears.heard
    )


async def test_logout_ends_it_and_a_new_login_begins_anew(hub: Bench, device: MakeDevice) -> None:
    ann = await device("ann")
    await ann.client.logout()
    assert ann.ears.heard[-1] == SessionChanged(SessionPhase.LOGGED_OUT, "", "", "device-of-ann")
    assert (await ann.refused(Accept("i"))).reason is Reason.NOT_LOGGED_IN
    await ann.login()
    bob = await device("bob")
    await bob.invite("ann")
    await ann.ears.call(lambda call: call.sponsor == "bob")


async def test_logout_without_a_hub_is_a_logout(hub: Bench, device: MakeDevice) -> None:
    ann = await device("ann")
    await hub.stop()
    async with asyncio.timeout(5):
        await ann.client.logout()
    assert ann.ears.heard[-1].session is SessionPhase.LOGGED_OUT


async def test_what_waits_when_the_session_ends_is_told(hub: Bench, device: MakeDevice) -> None:
    ann = await device("ann")
    await hub.stop()
    ann.client.perform(77, Invite(("bob",), Type.AUDIO, None, "", "r"))
    await ann.client.logout()
    failures = [it for it in ann.ears.heard if isinstance(it, HubFailed)]
    assert [(it.op, it.error.reason) for it in failures] == [(77, Reason.NOT_LOGGED_IN)]


async def test_a_session_that_the_hub_lost_is_opened_again(hub: Bench, device: MakeDevice) -> None:
    ann = await device("ann")
    await hub.stop()
    await ann.ears.phase(SessionPhase.RECONNECTING)
    since = len(ann.ears.heard)
    await hub.start(database=None)
    await ann.ears.phase(SessionPhase.ONLINE, since)


async def test_a_lost_session_whose_user_sig_has_expired_is_over(hub: Bench, device: MakeDevice) -> None:
    ann = await device("ann")
    await hub.stop()
    await hub.start(database=None, keys=("a new key",))
    await ann.ears.phase(SessionPhase.LOGGED_OUT)
    assert (await ann.refused(Accept("i"))).reason is Reason.NOT_LOGGED_IN


async def test_a_lease_is_kept_and_a_vanished_device_is_dropped(hub: Bench, device: MakeDevice) -> None:
    await hub.stop()
    await hub.start(lease=1.0, call_lease=1.5)
    ann, bob = await device("ann"), await device("bob")
    call = await ann.invite("bob")
    await bob.do(Accept(call.invite_id))
    await ann.ears.call(lambda it: it.revision == 2)
    await bob.client.close()
    over = await ann.ears.call(lambda it: it.ended)
    assert over.end_reason is not None
    assert over.end_reason.name == "DEVICE_LOST"
    assert over.ended_by == "bob"


async def test_ice_servers_come_with_the_welcome(hub: Bench, device: MakeDevice) -> None:
    await hub.stop()
    await hub.start(turn_urls=("turn:turn.example:3478",), turn_secret="hush", turn_ttl=60.0)
    ann = await device("ann")
    (turn,) = ann.ears.ice_servers
    expires, user_id = turn.username.split(":")
    assert user_id == "ann"
    assert 50 < int(expires) - time.time() < 70
    mac = hmac.new(b"hush", turn.username.encode(), hashlib.sha1)
    assert turn.credential == base64.b64encode(mac.digest()).decode()


async def test_turn_credentials_are_renewed_without_a_word(hub: Bench, device: MakeDevice) -> None:
    await hub.stop()
    await hub.start(turn_urls=("turn:turn.example:3478",), turn_secret="hush", turn_ttl=2.4)
    ann = await device("ann")
    await ann.ears.until(lambda it: isinstance(it, CallsListed), since=2)
    assert [it.session for it in ann.ears.heard if isinstance(it, SessionChanged)] == [SessionPhase.ONLINE]


async def test_the_disk_holds_no_secret(hub: Bench) -> None:
    async with grpc.aio.insecure_channel(hub.target) as channel:
        stub = hub_pb2_grpc.HubServiceStub(channel)
        request = hub_pb2.LoginRequest(user_id="ann", user_sig=sig("ann"), device_id="d", sdk_app_id=APP)
        token = (await stub.Login(request)).session_token
    await hub.stop()
    assert hub.settings.database is not None
    assert token.encode() not in hub.settings.database.read_bytes()
    database = sqlite3.connect(hub.settings.database)
    rows = database.execute("SELECT token FROM sessions").fetchall()
    database.close()
    assert rows == [(hashlib.sha256(token.encode()).hexdigest(),)]
