"""The shell of the call machine, between a client and ports that answer as the stories say."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from mediaagentd.call import types
from mediaagentd.call.events import (
    CallEnded,
    ErrorRaised,
    Event,
    Invited,
    KickedOut,
    LocalMediaChanged,
    UserEntered,
)
from mediaagentd.call.types import (
    Answer,
    Call,
    CallChanged,
    CallType,
    CloseCamera,
    Decline,
    Dial,
    EndReason,
    ErrorCode,
    Hangup,
    HubCall,
    HubCommand,
    Member,
    MemberState,
    OpenCamera,
    Phase,
    SessionChanged,
    SessionPhase,
    SetMicMute,
    Switch,
)
from mediaagentd.calls import Calls
from mediaagentd.errors import Reason, Refused
from mediaagentd.media.types import VideoProfile

from tests.fakes.media_port import FakeMedia
from tests.fakes.records import FakeRecords
from tests.fakes.signalling import FakeSignalling


class Events:
    """Where the shell publishes."""

    def __init__(self) -> None:
        self.all: list[Event] = []

    def publish(self, event: Event) -> None:
        self.all.append(event)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.all if isinstance(event, kind)]


class House:
    """Calls with its three ports."""

    def __init__(self) -> None:
        self.signalling, self.media, self.events = FakeSignalling(), FakeMedia(), Events()
        self.records = FakeRecords()
        self.calls = Calls(self.signalling, self.media, self.events, self.records)
        self.signalling.report = self.calls.handle
        self.media.report = self.calls.handle

    async def dial(self, kind: CallType = CallType.VIDEO) -> Call:
        self.signalling.answers = lambda command: ringing() if isinstance(command, types.Invite) else None
        call = await self.calls.perform(lambda op: Dial(op, ("bob",), kind))
        assert call is not None
        return call


@pytest.fixture
async def house() -> House:
    made = House()
    await made.calls.login("ann", "sig")
    return made


def ringing(sponsor: str = "ann", invitee: str = "bob", **changes: object) -> HubCall:
    call = HubCall(
        "c1", "i1", 7, CallType.VIDEO, sponsor,
        (Member(sponsor, MemberState.JOINED, "d", 1), Member(invitee, MemberState.PENDING)), 1,
    )  # fmt: skip
    return replace(call, **changes)  # type: ignore[arg-type]


def joined(call: HubCall) -> HubCall:
    sponsor, invitee = call.members
    return replace(
        call, members=(sponsor, replace(invitee, state=MemberState.JOINED, join_order=2)), revision=2
    )


async def test_a_call_from_dialling_to_the_end(house: House) -> None:
    call = await house.dial()
    assert call.phase is Phase.DIALLING
    house.calls.handle(CallChanged(joined(ringing())))
    assert house.media.peers == {("c1", "bob", 2)}
    assert house.calls.state.call is not None
    assert house.calls.state.call.phase is Phase.ACTIVE
    assert house.media.sending == (True, True)
    ended = await house.calls.perform(Hangup)
    assert ended is not None
    assert ended.end_reason is EndReason.HANGUP
    assert house.media.peers == set()
    assert not house.media.camera_open
    assert len(house.events.of(UserEntered)) == len(house.events.of(CallEnded)) == 1


async def test_a_request_that_is_repeated_is_answered_with_its_call_also_when_that_is_over(
    house: House,
) -> None:
    over = replace(
        ringing(), ended=True, end_reason=EndReason.CANCELLED, revision=2,
        members=tuple(replace(member, state=MemberState.LEFT) for member in ringing().members),
    )  # fmt: skip
    house.signalling.answers = lambda command: ringing() if isinstance(command, types.Invite) else None
    first = await house.calls.perform(lambda op: Dial(op, ("bob",), CallType.AUDIO, request_id="r1"))
    assert first is not None
    ended = await house.calls.perform(Hangup)
    house.signalling.answers = lambda command: over if isinstance(command, types.Invite) else None
    again = await house.calls.perform(lambda op: Dial(op, ("bob",), CallType.AUDIO, request_id="r1"))
    assert again is ended
    assert len(house.events.of(CallEnded)) == 1
    other = await house.calls.perform(lambda op: Dial(op, ("bob",), CallType.AUDIO, request_id="r2"))
    assert other is None


async def test_second_hangup_is_a_success_about_nothing(house: House) -> None:
    await house.dial()
    assert await house.calls.perform(Hangup) is not None
    assert await house.calls.perform(Hangup) is None
    assert len(house.events.of(CallEnded)) == 1


async def test_answer_waits_for_the_hub(house: House) -> None:
    house.calls.handle(CallChanged(ringing("bob", "ann")))
    (invited,) = house.events.of(Invited)
    assert isinstance(invited, Invited)
    answer = asyncio.create_task(house.calls.perform(lambda op: Answer(op, "i1")))
    await asyncio.sleep(0)
    assert not answer.done()
    house.signalling.done(joined(ringing("bob", "ann")))
    call = await answer
    assert call is not None
    assert call.phase in (Phase.CONNECTING, Phase.ACTIVE)


async def test_decline_tells_the_call_that_it_ended(house: House) -> None:
    house.calls.handle(CallChanged(ringing("bob", "ann")))
    sponsor, me = ringing("bob", "ann").members
    over = ringing(
        "bob", "ann", members=(sponsor, replace(me, state=MemberState.REJECTED)), revision=2, ended=True,
        end_reason=EndReason.REJECTED, ended_by="ann",
    )  # fmt: skip
    decline = asyncio.create_task(house.calls.perform(lambda op: Decline(op, "i1")))
    await asyncio.sleep(0)
    house.calls.handle(CallChanged(over))
    if not decline.done():
        house.signalling.done(over)
    call = await decline
    assert call is not None
    assert call.end_reason is EndReason.REJECTED
    assert house.calls.state.call is None


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda op: Answer(op, "nothing"), Reason.INVITE_UNKNOWN),
        (lambda op: Decline(op, "nothing"), Reason.INVITE_UNKNOWN),
        (lambda op: Dial(op, ("ann",), CallType.AUDIO), Reason.INVITEES_INVALID),
        (lambda op: Switch(op, CallType.AUDIO), Reason.SWITCH_NOT_ALLOWED),
    ],
)
async def test_a_refused_command_changes_nothing(house: House, make: object, reason: Reason) -> None:
    before = house.calls.state
    with pytest.raises(Refused) as refused:
        await house.calls.perform(make)  # type: ignore[arg-type]
    assert refused.value.reason is reason
    assert house.calls.state is before
    assert not house.signalling.commands


async def test_what_the_hub_refuses_reaches_the_client(house: House) -> None:
    house.signalling.answers = lambda command: Refused(Reason.USER_UNKNOWN, "user_id: nobody of that name")
    with pytest.raises(Refused) as refused:
        await house.calls.perform(lambda op: Dial(op, ("nobody",), CallType.AUDIO))
    assert refused.value.reason is Reason.USER_UNKNOWN
    assert house.calls.state.call is None
    assert house.calls.state.pending is None


@pytest.mark.parametrize(
    ("kind", "code"),
    [(CallType.AUDIO, ErrorCode.SWITCH_TO_AUDIO_FAILED), (CallType.VIDEO, ErrorCode.SWITCH_TO_VIDEO_FAILED)],
)
async def test_a_switch_without_a_call_is_an_error_event_too(
    house: House, kind: CallType, code: ErrorCode
) -> None:
    with pytest.raises(Refused):
        await house.calls.perform(lambda op: Switch(op, kind))
    (event,) = house.events.of(ErrorRaised)
    assert isinstance(event, ErrorRaised)
    assert event.code is code


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.DEVICE_NOT_FOUND, ErrorCode.NO_CAMERA),
        (Reason.DEVICE_FAILED, ErrorCode.NO_CAMERA),
        (Reason.DEVICE_PERMISSION, ErrorCode.NO_PERMISSION),
    ],
)
async def test_a_camera_that_does_not_open_is_one_error_event(
    house: House, reason: Reason, code: ErrorCode
) -> None:
    house.media.camera_error = Refused(reason, "camera: no", {"code": str(int(code))})
    with pytest.raises(Refused) as refused:
        await house.calls.perform(OpenCamera)
    assert refused.value.reason is reason
    (event,) = house.events.of(ErrorRaised)
    assert isinstance(event, ErrorRaised)
    assert event.code is code
    assert not house.calls.state.camera


async def test_camera_and_microphone(house: House) -> None:
    await house.calls.perform(OpenCamera)
    assert house.media.camera_open
    await house.calls.perform(lambda op: SetMicMute(op, True))
    await house.calls.perform(CloseCamera)
    assert not house.media.camera_open
    assert house.events.of(LocalMediaChanged) == [
        LocalMediaChanged(True, False), LocalMediaChanged(True, True), LocalMediaChanged(False, True),
    ]  # fmt: skip


async def test_quality_waits_for_the_next_call_once_this_one_is_dialled(house: House) -> None:
    assert house.calls.set_video_quality(VideoProfile.P480)
    await house.dial()
    assert not house.calls.set_video_quality(VideoProfile.P1080)
    await house.calls.perform(Hangup)
    assert house.calls.set_video_quality(VideoProfile.P720)
    assert len(house.events.of(LocalMediaChanged)) >= 3


async def test_a_quality_that_takes_effect_with_the_end_of_a_call_is_told(house: House) -> None:
    await house.calls.perform(OpenCamera)  # it stays open: nothing else changes with the call's end
    await house.dial()
    house.calls.set_video_quality(VideoProfile.P1080)
    told = len(house.events.of(LocalMediaChanged))
    await house.calls.perform(Hangup)
    assert house.events.of(LocalMediaChanged)[told:] == [LocalMediaChanged(True, False)]


async def test_what_media_has_by_now_is_told_once(house: House) -> None:
    house.media.camera = "/dev/video0"
    for _ in range(2):
        house.calls.media_changed()
    assert house.events.of(LocalMediaChanged) == [LocalMediaChanged(False, False)]
    await house.calls.perform(lambda op: SetMicMute(op, True))
    house.calls.media_changed()
    assert house.events.of(LocalMediaChanged)[1:] == [LocalMediaChanged(False, True)]


async def test_quality_may_be_chosen_while_it_rings(house: House) -> None:
    house.calls.handle(CallChanged(ringing("bob", "ann")))
    assert house.calls.set_video_quality(VideoProfile.P480)
    waiting = asyncio.create_task(house.calls.perform(lambda op: Answer(op, "i1")))
    await asyncio.sleep(0)
    assert not house.calls.set_video_quality(VideoProfile.P1080)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_a_client_that_goes_does_not_stop_its_command(house: House) -> None:
    waiting = asyncio.create_task(house.calls.perform(lambda op: Dial(op, ("bob",), CallType.AUDIO)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    house.signalling.done(ringing())
    assert house.calls.state.call is not None


async def test_the_hub_that_never_answers_is_given_up() -> None:
    """The one timer, on the loop's own clock."""
    house = House()
    await house.calls.login("ann", "sig")
    loop = asyncio.get_running_loop()
    started, real = loop.time(), loop.time
    waiting = asyncio.create_task(house.calls.perform(lambda op: Dial(op, ("bob",), CallType.AUDIO)))
    await asyncio.sleep(0)
    loop.time = lambda: real() + 11  # type: ignore[method-assign]
    with pytest.raises(Refused) as refused:
        await waiting
    assert refused.value.reason is Reason.HUB_UNREACHABLE
    assert real() - started < 5


async def test_login_again_is_nothing_another_user_is_refused(house: House) -> None:
    await house.calls.login("ann", "other")
    assert house.signalling.user_sig == "other"
    with pytest.raises(Refused) as refused:
        await house.calls.login("bob", "sig")
    assert refused.value.reason is Reason.ALREADY_LOGGED_IN
    assert house.calls.login_time is not None


async def test_login_again_is_a_login_when_no_session_runs(house: House) -> None:
    """Whatever took it away without a word: the state is not believed."""
    house.signalling.has_session = False
    await house.calls.login("ann", "sig")
    assert house.signalling.has_session


async def test_logout_hangs_up_first(house: House) -> None:
    await house.dial()
    await house.calls.logout()
    (ended,) = house.events.of(CallEnded)
    assert isinstance(ended, CallEnded)
    assert ended.call.end_reason is EndReason.LOGGED_OUT
    assert house.calls.login_time is None
    await house.calls.logout()
    assert house.signalling.logouts == 1


async def test_kicked_out_may_log_in_again(house: House) -> None:
    house.calls.handle(SessionChanged(SessionPhase.KICKED_OUT, "ann", "other-device"))
    assert house.events.of(KickedOut) == [KickedOut("other-device")]
    await house.calls.login("ann", "sig")
    assert house.calls.state.session is SessionPhase.ONLINE


async def test_a_defect_behind_a_port_costs_that_one_effect(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The camera is given back though a connection cannot be closed, and the defect is not hidden."""

    def defect(*_: object) -> None:
        raise RuntimeError("a defect")

    await house.dial()
    house.calls.handle(CallChanged(joined(ringing())))
    monkeypatch.setattr(house.media, "close_peer", defect)
    assert house.media.camera_open
    with pytest.raises(RuntimeError, match="a defect"):
        await asyncio.wait_for(house.calls.perform(Hangup), 5)
    assert len(house.events.of(CallEnded)) == 1
    assert (house.media.camera_open, house.media.sending) == (False, (False, False))


async def test_commands_answered_within_the_port_run_in_turn(house: House) -> None:
    """The port answers while the command is being handled, and its answer causes another."""
    order: list[str] = []

    def answer(command: HubCommand) -> HubCall | None:
        order.append(type(command).__name__)
        return joined(ringing()) if isinstance(command, types.Invite) else None

    house.signalling.answers = answer
    call = await house.calls.perform(lambda op: Dial(op, ("bob",), CallType.VIDEO))
    assert call is not None
    assert order[0] == "Invite"
    assert house.media.peers == {("c1", "bob", 2)}


async def test_closing_fails_who_waits(house: House) -> None:
    waiting = asyncio.create_task(house.calls.perform(lambda op: Dial(op, ("bob",), CallType.AUDIO)))
    await asyncio.sleep(0)
    house.calls.close()
    with pytest.raises(Refused) as refused:
        await waiting
    assert refused.value.reason is Reason.SHUTTING_DOWN
