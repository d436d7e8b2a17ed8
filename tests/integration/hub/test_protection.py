"""What a hub does not put up with, each with a reason of its own."""

from __future__ import annotations

import ipaddress
from typing import Any

import grpc
import pytest
from mediaagent.hub.v1 import hub_pb2, hub_pb2_grpc
from mediaagentd import interceptors
from mediaagentd.call.signal import Candidate, Offer, Signal
from mediaagentd.call.types import Accept, CallType, HubCall, Invite, Leave
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.quotas import Rate
from mediaagentd.signalling import wire

from tests.fakes.hub_ears import Device
from tests.integration.hub.conftest import Bench, MakeDevice
from tests.integration.hub.test_edge import failure, login

SDP = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
HOST = "candidate:1 1 udp 1 192.0.2.1 1000 typ host"
LOOPBACK = "candidate:1 1 udp 1 127.0.0.1 1000 typ host"


async def connected(device: MakeDevice) -> tuple[Device, Device, HubCall]:
    ann, bob = await device("ann"), await device("bob")
    call = await ann.invite("bob")
    await bob.do(Accept(call.invite_id))
    await ann.ears.call(lambda it: it.revision == 2)
    return ann, bob, call


async def relay(one: Device, to: str, call: HubCall, body: Any) -> Any:
    """Relays as the device does, and raises what the hub says."""
    assert one.client._running is not None
    request = wire.relay(call.call_id, to, Signal(2, body))
    return await one.client._rpc.unary(one.client._running.session, "Relay", request, 10)


async def refusal(one: Device, to: str, call: HubCall, body: Any) -> Reason:
    with pytest.raises(Refused) as refused:
        await relay(one, to, call, body)
    return refused.value.reason


async def test_inviting_and_being_invited_too_often(hub: Bench, device: MakeDevice) -> None:
    await hub.stop()
    await hub.start(caller=Rate(3, 0.01), callee=Rate(4, 0.01))
    ann, bob, cat = await device("ann"), await device("bob"), await device("cat")
    for _ in range(3):
        call = await ann.invite("bob")
        await ann.do(Leave(call.call_id))
    refused = await ann.refused(Invite(("cat",), CallType.AUDIO, 30.0, "", "r"))
    assert refused.reason is Reason.INVITING_TOO_OFTEN
    assert 0 < int(refused.metadata["retry_after"]) <= 100
    call = await cat.invite("bob")
    await cat.do(Leave(call.call_id))
    refused = await cat.refused(Invite(("bob",), CallType.AUDIO, 30.0, "", "r"))
    assert (refused.reason, refused.metadata["user_id"]) == (Reason.INVITED_TOO_OFTEN, "bob")
    again = await bob.invite("cat", request_id="once")
    assert (await bob.invite("cat", request_id="once")).call_id == again.call_id


async def test_signals_beyond_their_limits(hub: Bench, device: MakeDevice) -> None:
    ann, bob, call = await connected(device)
    for body, reason in (
        (Offer(SDP + "x" * 65536), Reason.SDP_TOO_LARGE),
        (Offer(SDP * 1 + "m=video 9 RTP 96\r\n" * 8), Reason.SDP_TOO_LARGE),
        (Offer(SDP + f"a={HOST}\r\n" * 65), Reason.TOO_MANY_CANDIDATES),
        (Offer("hello"), Reason.SIGNAL_INVALID),
        (Candidate(HOST.replace("192.0.2.1", "example.com"), "0"), Reason.SIGNAL_INVALID),
        (Candidate(LOOPBACK, "0"), Reason.CANDIDATE_FORBIDDEN),
        (Candidate(HOST.replace("192.0.2.1", "169.254.169.254"), "0"), Reason.CANDIDATE_FORBIDDEN),
    ):
        assert await refusal(ann, "bob", call, body) is reason
    for _ in range(65):
        await relay(ann, "bob", call, Candidate(HOST, "0"))
    assert await refusal(ann, "bob", call, Candidate(HOST, "0")) is Reason.TOO_MANY_CANDIDATES
    await relay(ann, "bob", call, Offer(SDP + f"a={LOOPBACK}\r\na={HOST}\r\n"))
    heard = await bob.ears.until(lambda it: isinstance(it, tuple) and isinstance(it[2].body, Offer))
    assert heard[2].body.sdp == SDP + f"a={HOST}\r\n"


async def test_loopback_when_the_configuration_allows_it(hub: Bench, device: MakeDevice) -> None:
    await hub.stop()
    await hub.start(allowed_candidates=(ipaddress.ip_network("127.0.0.0/8"),))
    ann, bob, call = await connected(device)
    await relay(ann, "bob", call, Candidate(LOOPBACK, "0"))
    await bob.ears.until(lambda it: isinstance(it, tuple))


@pytest.mark.parametrize("size", [interceptors.MAX_REQUEST + 1, 8 * interceptors.MAX_REQUEST])
async def test_a_request_that_is_too_large(hub: Bench, size: int) -> None:
    """In our words, and in gRPC's when it is far too large."""
    async with grpc.aio.insecure_channel(hub.target) as channel:
        stub = hub_pb2_grpc.HubServiceStub(channel)
        metadata = await login(stub, "ann")
        error = await failure(stub.Accept(hub_pb2.AcceptRequest(invite_id="x" * size), metadata=metadata))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        refused = interceptors.refused_from(error)
        assert (refused.reason, refused.metadata["limit"]) == (Reason.MESSAGE_TOO_LARGE, "bytes")
