"""Bad input: each has its documented status, reason and message, and the daemon is as it was."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from mediaagent.v1 import call_pb2, event_pb2, group_pb2, history_pb2, media_pb2, session_pb2, view_pb2
from mediaagentd.children import free_port

from tests.integration.daemon.driver import WITHIN, Driver, Refusal, drive
from tests.integration.processes import Agent, agent, house, together

AUDIO, VIDEO = call_pb2.CALL_TYPE_AUDIO, call_pb2.CALL_TYPE_VIDEO
FRAMES = view_pb2.FramesView(format=view_pb2.FRAME_FORMAT_JPEG)


def login(user_id: str, user_sig: str) -> session_pb2.LoginRequest:
    return session_pb2.LoginRequest(user_id=user_id, user_sig=user_sig)


def said(refusal: Refusal, status: str, reason: str, *words: str) -> None:
    assert (refusal.status, refusal.reason) == (status, reason), refusal
    for word in words:
        assert word in refusal.message


async def test_logins_that_must_fail(tmp_path: Path) -> None:
    async with house(tmp_path, "ann") as (the_hub, (daemon,)), drive(daemon) as ann:
        good, foreign = the_hub.mint("ann"), the_hub.mint("ann", key="f" * 64)
        table = (
            (login("a b", good), "INVALID_ARGUMENT", "USER_ID_INVALID", ""),
            (login("a" * 33, good), "INVALID_ARGUMENT", "USER_ID_INVALID", ""),
            (login("", good), "INVALID_ARGUMENT", "USER_ID_INVALID", ""),
            (login("ann", ""), "INVALID_ARGUMENT", "FIELD_INVALID", ""),
            (login("ann", "x" * 2049), "INVALID_ARGUMENT", "FIELD_INVALID", ""),
            (login("ann", "nonsense"), "UNAUTHENTICATED", "USER_SIG_MALFORMED", "70003"),
            (login("ann", the_hub.mint("ann", expire=-3600)), "UNAUTHENTICATED", "USER_SIG_EXPIRED", "70001"),
            (login("ann", foreign), "UNAUTHENTICATED", "USER_SIG_MISMATCH", "70009"),
            (login("ann", the_hub.mint("bob")), "UNAUTHENTICATED", "USER_SIG_WRONG_USER", "70013"),
            (login("ann", the_hub.mint("ann", app_id=7)), "UNAUTHENTICATED", "USER_SIG_WRONG_APP", "70014"),
        )
        for request, status, reason, code in table:
            refusal = await ann.refused(ann.session.Login(request, timeout=WITHIN))
            said(refusal, status, reason)
            assert refusal.message
            assert refusal.metadata.get("code", "") == code
        await ann.login(the_hub)
        refusal = await ann.refused(ann.session.Login(login("bob", the_hub.mint("bob")), timeout=WITHIN))
        said(refusal, "FAILED_PRECONDITION", "ALREADY_LOGGED_IN", "log out first")
        await ann.login(the_hub)


async def test_nobody_is_logged_in(tmp_path: Path) -> None:
    async with agent(tmp_path, "ann", f"127.0.0.1:{free_port()}") as daemon, drive(daemon) as ann:
        call = call_pb2.CallRequest(user_id="bob", type=AUDIO)
        said(await ann.refused(ann.call.Call(call)), "FAILED_PRECONDITION", "NOT_LOGGED_IN", "logged-in")
        refusal = await ann.refused(ann.session.Login(login("ann", "any"), timeout=WITHIN))
        said(refusal, "UNAVAILABLE", "HUB_UNREACHABLE", "hub")


Mistake = tuple[Awaitable[Any], str, str]
"""A command, and the status and reason of its refusal."""

PRECONDITION, INVALID, UNKNOWN = "FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND"


def wrong_calls(ann: Driver) -> tuple[Mistake, ...]:
    rpc = ann.call
    backwards = call_pb2.CallRequest(user_id="bob", type=AUDIO, timeout=Duration(seconds=-1))
    return (
        (rpc.Call(call_pb2.CallRequest(user_id="nobody", type=AUDIO)), UNKNOWN, "USER_UNKNOWN"),
        (rpc.Call(call_pb2.CallRequest(user_id="ann", type=AUDIO)), INVALID, "INVITEES_INVALID"),
        (rpc.Call(call_pb2.CallRequest(user_id="b b", type=AUDIO)), INVALID, "USER_ID_INVALID"),
        (rpc.Call(call_pb2.CallRequest(user_id="bob")), INVALID, "FIELD_INVALID"),
        (rpc.Call(backwards), INVALID, "FIELD_INVALID"),
        (rpc.Accept(call_pb2.AcceptRequest(invite_id="none")), UNKNOWN, "INVITE_UNKNOWN"),
        (rpc.Accept(call_pb2.AcceptRequest()), INVALID, "FIELD_INVALID"),
        (rpc.Reject(call_pb2.RejectRequest(invite_id="none")), UNKNOWN, "INVITE_UNKNOWN"),
        (rpc.GroupCall(call_pb2.GroupCallRequest(type=AUDIO)), INVALID, "INVITEES_INVALID"),
        (rpc.InviteUsers(call_pb2.InviteUsersRequest(user_ids=["bob"])), PRECONDITION, "NO_CALL"),
        (rpc.InviteUsers(call_pb2.InviteUsersRequest()), INVALID, "FIELD_INVALID"),
        (rpc.JoinGroupCall(call_pb2.JoinGroupCallRequest()), INVALID, "FIELD_INVALID"),
        (rpc.SwitchToAudioCall(call_pb2.SwitchToAudioCallRequest()), PRECONDITION, "SWITCH_NOT_ALLOWED"),
        (rpc.SwitchToVideoCall(call_pb2.SwitchToVideoCallRequest()), PRECONDITION, "SWITCH_NOT_ALLOWED"),
    )  # fmt: skip


def wrong_questions(ann: Driver) -> tuple[Mistake, ...]:
    group, history = ann.group, ann.history
    strange = history_pb2.ListRecordsRequest(page_token="x")
    return (
        (group.GetGroup(group_pb2.GetGroupRequest(group_id="none")), UNKNOWN, "GROUP_UNKNOWN"),
        (group.GetGroup(group_pb2.GetGroupRequest(group_id="a b")), INVALID, "FIELD_INVALID"),
        (history.GetRecord(history_pb2.GetRecordRequest(record_id="9")), UNKNOWN, "RECORD_UNKNOWN"),
        (history.ListRecords(strange), INVALID, "FIELD_INVALID"),
        (history.DeleteRecords(history_pb2.DeleteRecordsRequest()), INVALID, "FIELD_INVALID"),
        (ann.media.SetVideoQuality(media_pb2.SetVideoQualityRequest()), INVALID, "FIELD_INVALID"),
    )  # fmt: skip


def wrong_views(ann: Driver) -> tuple[Mistake, ...]:
    view = ann.view
    remote = view_pb2.StartRemoteViewRequest(user_id="bob", view_id="v", frames=FRAMES)
    kindless = view_pb2.StartLocalViewRequest(view_id="v")
    placeless = view_pb2.StartLocalViewRequest(view_id="a b", frames=FRAMES)
    return (
        (view.StartRemoteView(remote), UNKNOWN, "USER_NOT_IN_CALL"),
        (view.StopRemoteView(view_pb2.StopRemoteViewRequest(view_id="v")), UNKNOWN, "VIEW_UNKNOWN"),
        (view.StopLocalView(view_pb2.StopLocalViewRequest(view_id="v")), UNKNOWN, "VIEW_UNKNOWN"),
        (view.WatchView(view_pb2.WatchViewRequest(view_id="v")).read(), UNKNOWN, "VIEW_UNKNOWN"),
        (view.StartLocalView(kindless), INVALID, "FIELD_INVALID"),
        (view.StartLocalView(placeless), INVALID, "FIELD_INVALID"),
        (view.TakeSnapshot(view_pb2.TakeSnapshotRequest(user_id="bob")), UNKNOWN, "USER_NOT_IN_CALL"),
        (view.TakeSnapshot(view_pb2.TakeSnapshotRequest()), PRECONDITION, "NO_VIDEO"),
    )  # fmt: skip


async def test_commands_that_must_fail(tmp_path: Path) -> None:
    async with house(tmp_path, "ann") as (the_hub, (daemon,)), drive(daemon) as ann:
        await ann.login(the_hub)
        for rpc_call, status, reason in (*wrong_calls(ann), *wrong_questions(ann), *wrong_views(ann)):
            refusal = await ann.refused(rpc_call)
            said(refusal, status, reason)
            assert refusal.message
        # One at a time: while the hub is asked, another call would be a second one.
        rpc = ann.call
        call = call_pb2.GroupCallRequest(type=AUDIO, group_id="none")
        said(await ann.refused(rpc.GroupCall(call)), UNKNOWN, "GROUP_UNKNOWN", "none")
        by_call = call_pb2.JoinGroupCallRequest(call_id="none")
        said(await ann.refused(rpc.JoinGroupCall(by_call)), UNKNOWN, "CALL_UNKNOWN", "none")
        by_group = call_pb2.JoinGroupCallRequest(group_id="none")
        said(await ann.refused(rpc.JoinGroupCall(by_group)), UNKNOWN, "GROUP_UNKNOWN", "none")
        codes = [(await ann.event(event_pb2.EVENT_TYPE_ERROR)).error_raised.code for _ in range(2)]
        assert sorted(codes) == [60001, 60002], "the calls of the table are under way together"


async def test_invitations_answered_wrongly(tmp_path: Path) -> None:
    async with (
        house(tmp_path, "ann", "bob") as (the_hub, (left, right)),
        drive(left) as ann,
        drive(right) as bob,
    ):
        await ann.login(the_hub)
        await bob.login(the_hub)
        await ann.dial("bob", AUDIO)
        invited = (await bob.event(event_pb2.EVENT_TYPE_INVITED)).invited
        invite, room = invited.invite_id, invited.invite_data.room_id
        wrong_room = call_pb2.AcceptRequest(invite_id=invite, room_id=room + 1)
        said(await bob.refused(bob.call.Accept(wrong_room)), "INVALID_ARGUMENT", "ROOM_MISMATCH", "room_id")
        wrong_type = call_pb2.AcceptRequest(invite_id=invite, call_type=VIDEO)
        refusal = await bob.refused(bob.call.Accept(wrong_type))
        said(refusal, "INVALID_ARGUMENT", "CALL_TYPE_MISMATCH", "call_type")
        wrong_reject = call_pb2.RejectRequest(invite_id=invite, call_type=VIDEO)
        said(await bob.refused(bob.call.Reject(wrong_reject)), "INVALID_ARGUMENT", "CALL_TYPE_MISMATCH")
        again = call_pb2.CallRequest(user_id="bob", type=AUDIO)
        said(await ann.refused(ann.call.Call(again)), "FAILED_PRECONDITION", "CALL_IN_PROGRESS")
        await ann.call.Hangup(call_pb2.HangupRequest(), timeout=WITHIN)
        await bob.event(event_pb2.EVENT_TYPE_CALLING_CANCEL)
        await bob.event(event_pb2.EVENT_TYPE_CALL_END)
        ended = call_pb2.AcceptRequest(invite_id=invite)
        said(await bob.refused(bob.call.Accept(ended)), "NOT_FOUND", "INVITE_UNKNOWN", "over")


def _without_override() -> Sequence[str]:
    """Root may read everything; without that capability it is a user like any other."""
    if os.geteuid() != 0:
        return ()
    return ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


CAMERAS = {
    "/dev/video99": ("NOT_FOUND", "DEVICE_NOT_FOUND", 60004),
    "none": ("NOT_FOUND", "DEVICE_NOT_FOUND", 60004),
    "file:{}/missing.mp4": ("NOT_FOUND", "DEVICE_NOT_FOUND", 60004),
    "file:{}/text.mp4": ("UNAVAILABLE", "DEVICE_FAILED", 60004),
    "file:{}/locked.mp4": ("PERMISSION_DENIED", "DEVICE_PERMISSION", 60005),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def blind(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Agent]]:
    """A daemon of each of these cameras."""
    place = tmp_path_factory.mktemp("blind")
    (place / "text.mp4").write_text("not a film")
    (place / "locked.mp4").write_text("secret")
    (place / "locked.mp4").chmod(0)
    nowhere, prefix = f"127.0.0.1:{free_port()}", _without_override()
    daemons = (
        agent(place, f"ann{number}", nowhere, prefix=prefix, camera=camera.format(place))
        for number, camera in enumerate(CAMERAS)
    )
    async with together(*daemons) as started:
        yield dict(zip(CAMERAS, started, strict=True))


@pytest.mark.parametrize(
    ("camera", "status", "reason", "code"), [(camera, *expected) for camera, expected in CAMERAS.items()]
)
async def test_cameras_that_do_not_open(
    blind: dict[str, Agent], camera: str, status: str, reason: str, code: int
) -> None:
    async with drive(blind[camera], "ann") as ann:
        refusal = await ann.refused(ann.media.OpenCamera(media_pb2.OpenCameraRequest(), timeout=WITHIN))
        said(refusal, status, reason)
        assert refusal.message
        assert refusal.metadata["code"] == str(code)
        raised = (await ann.event(event_pb2.EVENT_TYPE_ERROR)).error_raised
        assert (raised.code, raised.message) == (code, refusal.message)
