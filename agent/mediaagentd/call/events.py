"""The public events of the call machine, derived in one place from the state before and after.

Order: the session, being kicked out, then the call (cause before effect: the rejection before the end,
whoever leaves before the end, CALL_CHANGED before CALL_END), then local media. Each event of a call
carries the whole call as it is after the change.
"""

from __future__ import annotations

from dataclasses import dataclass

from mediaagentd.call.types import (
    Call,
    EndReason,
    ErrorCode,
    MemberState,
    Participant,
    Phase,
    SessionPhase,
    State,
)


@dataclass(frozen=True, slots=True)
class Invited:
    """INVITED: an invitation arrived."""

    call: Call


@dataclass(frozen=True, slots=True)
class Rejected:
    """REJECT, to the inviter."""

    user_id: str
    call: Call


@dataclass(frozen=True, slots=True)
class NotResponded:
    """NO_RESP, to the inviter; `user_ids` are all who timed out together, `user_id` the first."""

    user_id: str
    user_ids: tuple[str, ...]
    call: Call


@dataclass(frozen=True, slots=True)
class LineBusy:
    """LINE_BUSY, to the inviter."""

    user_id: str
    call: Call


@dataclass(frozen=True, slots=True)
class CallingCancelled:
    """CALLING_CANCEL, to an invitee; `user_id` is the inviter."""

    invite_id: str
    user_id: str
    call: Call


@dataclass(frozen=True, slots=True)
class CallingTimedOut:
    """CALLING_TIMEOUT, to an invitee."""

    invite_id: str
    call: Call


@dataclass(frozen=True, slots=True)
class UserEntered:
    """USER_ENTER: media with that user flows."""

    user_id: str
    call: Call


@dataclass(frozen=True, slots=True)
class UserLeft:
    """USER_LEAVE, for a user that entered; also for everyone when this agent leaves. `reason` is why that
    user left, CONNECTION_LOST for a connection that could not be regained, else the call's end.
    """

    user_id: str
    call: Call
    reason: EndReason = EndReason.HANGUP


@dataclass(frozen=True, slots=True)
class CallEnded:
    """CALL_END, once for every call that this agent knew."""

    call: Call


@dataclass(frozen=True, slots=True)
class KickedOut:
    """KICKED_OUT: a newer login of this user took over."""

    device_id: str


@dataclass(frozen=True, slots=True)
class UserVideoChanged:
    """USER_VIDEO_AVAILABLE."""

    user_id: str
    available: bool
    call: Call


@dataclass(frozen=True, slots=True)
class UserAudioChanged:
    """USER_AUDIO_AVAILABLE."""

    user_id: str
    available: bool
    call: Call


@dataclass(frozen=True, slots=True)
class ErrorRaised:
    """ERROR; made by the shell from a Raise effect or a refusal that carries a code."""

    code: ErrorCode
    message: str


@dataclass(frozen=True, slots=True)
class SessionChanged:
    """SESSION_CHANGED."""

    session: SessionPhase
    user_id: str


@dataclass(frozen=True, slots=True)
class CallChanged:
    """CALL_CHANGED: whatever a client can see of the call changed."""

    call: Call


@dataclass(frozen=True, slots=True)
class LocalMediaChanged:
    """LOCAL_MEDIA_CHANGED: camera open, microphone off."""

    camera: bool
    muted: bool


Event = (
    Invited | Rejected | NotResponded | LineBusy | CallingCancelled | CallingTimedOut | UserEntered
    | UserLeft | CallEnded | KickedOut | UserVideoChanged | UserAudioChanged | ErrorRaised
    | SessionChanged | CallChanged | LocalMediaChanged
)  # fmt: skip


def derive(old: State, new: State) -> tuple[Event, ...]:
    """The events of a step from `old` to `new`, in order."""
    if old is new:
        return ()
    me = new.user_id or old.user_id
    found: list[Event] = []
    if (old.session, old.user_id) != (new.session, new.user_id):
        found.append(SessionChanged(new.session, new.user_id))
        if new.session is SessionPhase.KICKED_OUT:
            found.append(KickedOut(new.kicked_by))
    # By identity: a call that ended with a logout can ring and end again after the next login.
    over = new.previous if new.previous is not old.previous else None
    if over is not None:
        known = old.call if _id(old.call) == _id(over) else None
        found += _call_events(known, over, me)
    if new.call is not None and new.call is not old.call:
        # One that has just ended may ring anew: whoever is asked in again.
        known = old.call if over is None and _id(old.call) == _id(new.call) else None
        found += _call_events(known, new.call, me)
    if (old.camera, old.muted) != (new.camera, new.muted):
        found.append(LocalMediaChanged(new.camera, new.muted))
    return tuple(found)


def _call_events(old: Call | None, new: Call, me: str) -> list[Event]:
    """The events of one call; `old` is None when it is new to this agent."""
    found: list[Event] = []
    if old is None and not new.outgoing and not new.uninvited:
        found.append(Invited(new))
    if old is not None or new.outgoing:
        found += _outcomes(old, new, me)
    if old is not None and old.phase is Phase.RINGING and new.end_reason is EndReason.CANCELLED:
        found.append(CallingCancelled(new.invite.invite_id, new.invite.sponsor, new))
    if old is not None and old.phase is Phase.RINGING and new.end_reason is EndReason.NO_RESPONSE:
        found.append(CallingTimedOut(new.invite.invite_id, new))
    found += _comings_and_goings(old, new)
    if old is None or _visible(old) != _visible(new):
        found.append(CallChanged(new))
    if new.phase is Phase.ENDED:
        found.append(CallEnded(new))
    return found


def _outcomes(old: Call | None, new: Call, me: str) -> list[Event]:
    """What became of those whom this user invited; all who timed out together in one event."""
    before = {m.user_id: (m.state, old.hub.invitation(m).invite_id) for m in old.hub.members} if old else {}
    invited = [(m, new.hub.invitation(m)) for m in new.hub.members]
    changed = [
        m for m, by in invited if by.sponsor == me and before.get(m.user_id) != (m.state, by.invite_id)
    ]
    found: list[Event] = []
    for member in changed:
        if member.state is MemberState.REJECTED:
            found.append(Rejected(member.user_id, new))
        elif member.state is MemberState.BUSY:
            found.append(LineBusy(member.user_id, new))
    silent = tuple(m.user_id for m in changed if m.state is MemberState.NO_RESPONSE)
    if silent:
        found.append(NotResponded(silent[0], silent, new))
    return found


def _comings_and_goings(old: Call | None, new: Call) -> list[Event]:
    """Who left, who entered and with what, and who turned microphone or camera on or off."""
    before = _entered(old) if old else {}
    after = _entered(new)
    found: list[Event] = [UserLeft(key[0], new, _reason(new, key)) for key in before if key not in after]
    for key, participant in after.items():
        known = before.get(key)
        if known is None:
            found.append(UserEntered(participant.user_id, new))
        if participant.audio != (known.audio if known else False):
            found.append(UserAudioChanged(participant.user_id, participant.audio, new))
        if participant.video != (known.video if known else False):
            found.append(UserVideoChanged(participant.user_id, participant.video, new))
    return found


def _reason(call: Call, left: tuple[str, int]) -> EndReason:
    if left in call.given_up:
        return EndReason.CONNECTION_LOST
    member = call.hub.member(left[0])
    if member is not None and member.left is not None:
        return member.left
    return call.end_reason or EndReason.HANGUP


def _entered(call: Call) -> dict[tuple[str, int], Participant]:
    """Participants with whom media has flowed. One that came back is another one."""
    return {(p.user_id, p.attempt): p for p in call.participants if p.entered is not None}


def _visible(call: Call) -> tuple[object, ...]:
    """What a client can see of a call and what can change."""
    return (
        call.phase,
        call.hub.type,
        call.hub.is_group,
        call.answered,
        call.end_reason,
        tuple((m.user_id, m.state, call.hub.invitation(m).sponsor) for m in call.hub.members),
        tuple((p.user_id, p.link, p.audio, p.video, p.entered) for p in call.participants),
    )


def _id(call: Call | None) -> str:
    return call.hub.call_id if call else ""
