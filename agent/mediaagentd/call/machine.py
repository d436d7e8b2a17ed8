"""The call machine: `step` and `deadline`, both pure.

`commands` and `reports` say what an input changes; what has to be done with peers, camera and
availability follows here from the change alone, so that no path can forget it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import assert_never

from mediaagentd.call import camera, commands, mirror, reports
from mediaagentd.call.types import (
    Answer,
    CallChanged,
    CallsListed,
    CallType,
    CameraFailed,
    CameraOpened,
    Change,
    CloseCamera,
    ClosePeer,
    Command,
    Decline,
    Dial,
    Done,
    Effect,
    Failed,
    Hangup,
    Hub,
    HubDone,
    HubFailed,
    Input,
    InviteUsers,
    Join,
    MicrophoneFailed,
    MicrophoneOpened,
    OpenCamera,
    OpenPeer,
    PeerDown,
    PeerUp,
    Phase,
    ProbeCamera,
    ReleaseCamera,
    Report,
    SessionChanged,
    SessionPhase,
    SetAvailability,
    SetMicMute,
    SetSending,
    State,
    Switch,
    Tick,
)
from mediaagentd.errors import Reason, Refused

SUCCESSORS: Mapping[Phase, frozenset[Phase]] = MappingProxyType(
    {
        Phase.DIALLING: frozenset({Phase.CONNECTING, Phase.ENDED}),
        Phase.RINGING: frozenset({Phase.CONNECTING, Phase.ENDED}),
        Phase.CONNECTING: frozenset({Phase.ACTIVE, Phase.ENDED}),
        # Back to CONNECTING: the only one connected has left a group call that others may still enter.
        Phase.ACTIVE: frozenset({Phase.RECONNECTING, Phase.CONNECTING, Phase.ENDED}),
        Phase.RECONNECTING: frozenset({Phase.ACTIVE, Phase.CONNECTING, Phase.ENDED}),
        Phase.ENDED: frozenset(),
    }
)
"""Which phase may follow which within one call. A call begins DIALLING or RINGING, or CONNECTING when this
agent joins it by itself; one whose invitees are all busy has ENDED by the time that the hub has answered."""


def step(state: State, now: float, input: Input) -> Change:  # noqa: A002 - the alphabet's word
    """The state after an input, and what is to be done, in order; answers (Done, Failed) come last.
    Refused: a client's command that cannot be done, before anything changed.
    """
    after, effects = _dispatch(state, now, input)
    if after is state:
        return after, effects
    answers = tuple(e for e in effects if isinstance(e, Done | Failed))
    others = tuple(e for e in effects if not isinstance(e, Done | Failed))
    after, announced = _announced(after)
    return after, (*others, *_peers(state, after), *_media(state, after), *announced, *answers)


def deadline(state: State) -> float | None:
    """When to come with a Tick, in the time of `step`; None when nothing waits."""
    times = [p.deadline for p in state.call.participants] if state.call else []
    times.append(state.call.doubted if state.call else None)
    times.append(state.pending.deadline if state.pending else None)
    times += [pending.deadline for pending in state.inviting]
    times.append(state.probe.deadline if state.probe else None)
    times += [reports.rings_until(state), reports.dials_until(state)]
    return min((time for time in times if time is not None), default=None)


def sending(state: State) -> tuple[bool, bool]:
    """What may leave for the peers: sound, picture."""
    call = state.call
    if call is None or call.answered is None:
        return False, False
    return not state.muted, state.camera and call.hub.type is CallType.VIDEO


def _dispatch(state: State, now: float, input: Input) -> Change:  # noqa: A002
    if isinstance(input, Command):
        return _commanded(state, now, input)
    return _reported(state, now, input)


def _commanded(state: State, now: float, command: Command) -> Change:
    match command:
        case Dial():
            return commands.dial(state, now, command)
        case InviteUsers():
            return commands.invite(state, now, command)
        case Join():
            return commands.join(state, now, command)
        case Answer():
            return commands.answer(state, now, command)
        case Decline():
            return commands.decline(state, now, command)
        case Hangup():
            return commands.hangup(state, now, command)
        case Switch():
            return commands.switch(state, now, command)
        case OpenCamera(op):
            return camera.asked(state, now, op)
        case CloseCamera(op):
            why = Refused(Reason.DEVICE_FAILED, "the camera was closed before it was open")
            state, effects = camera.closed(state, why)
            return state, (*effects, Done(op))
        case SetMicMute(op, muted):
            return replace(state, muted=muted), (Done(op),)
        case _:
            assert_never(command)


def _reported(state: State, now: float, report: Report) -> Change:
    match report:
        case SessionChanged():
            return reports.session_changed(state, now, report)
        case CallChanged(call):
            return mirror.streamed(state, now, call)
        case CallsListed():
            return reports.calls_listed(state, now, report)
        case HubDone():
            return reports.hub_done(state, now, report)
        case HubFailed():
            return reports.hub_failed(state, now, report)
        case PeerUp():
            return reports.peer_up(state, report, now)
        case PeerDown():
            return reports.peer_down(state, report, now)
        case CameraOpened(op):
            return camera.opened(state, op)
        case CameraFailed(op, error):
            return camera.failed(state, op, error)
        case MicrophoneFailed(error):
            return reports.microphone_failed(state, error)
        case MicrophoneOpened():
            return reports.microphone_opened(state)
        case Tick():
            return reports.tick(state, now)
        case _:
            assert_never(report)


# ------------------------------------------------------------------------- what follows from a change


def _peers(old: State, new: State) -> tuple[Effect, ...]:
    """Connections to end and to make: one for each participant of the live call."""
    if old.call is new.call:
        return ()
    before, after = _connections(old), _connections(new)
    closed = tuple(ClosePeer(*peer) for peer in before if peer not in after)
    return closed + tuple(
        # The later of the two, whose join names the attempt, makes the offer.
        OpenPeer(*peer, offers=_join_order(new) == peer[2])
        for peer in after
        if peer not in before
    )


def _media(old: State, new: State) -> tuple[Effect, ...]:
    """The camera to open or release, and what may be sent."""
    effects: tuple[Effect, ...] = ()
    held = old.camera or old.probe is not None
    if held and not new.camera and new.probe is None:
        effects += (ReleaseCamera(),)
    if new.probe is not None and (old.probe is None or old.probe.op != new.probe.op):
        effects += (ProbeCamera(new.probe.op),)
    if sending(old) != sending(new):
        effects += (SetSending(*sending(new)),)
    return effects


def _announced(state: State) -> Change:
    """Tells the hub what we make available, when it differs from what it was told last."""
    call = state.call
    if call is None or call.phase is Phase.RINGING or state.session is not SessionPhase.ONLINE:
        return state, ()
    audio = not state.muted and not state.deaf
    video = state.camera and call.hub.type is CallType.VIDEO
    if state.announced == (audio, video):
        return state, ()
    told = Hub(0, SetAvailability(call.hub.call_id, audio, video))
    return replace(state, announced=(audio, video)), (told,)


def _connections(state: State) -> tuple[tuple[str, str, int], ...]:
    call = state.call
    if call is None:
        return ()
    return tuple((call.hub.call_id, p.user_id, p.attempt) for p in call.participants)


def _join_order(state: State) -> int:
    me = state.call.hub.member(state.user_id) if state.call else None
    return me.join_order if me else 0
