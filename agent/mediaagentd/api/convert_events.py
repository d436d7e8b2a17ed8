"""Events of the call machine to messages of the contract. Total: every event has its message."""

from __future__ import annotations

from typing import assert_never

from mediaagent.v1 import call_pb2
from mediaagent.v1 import event_pb2 as pb

from mediaagentd.api import convert, convert_history, words
from mediaagentd.api.convert import Conversion, Present
from mediaagentd.call import events
from mediaagentd.events import Event, Happened
from mediaagentd.history.types import HistoryChanged, MissedCall

INVITATION_VERSION = 1
"""Version of the invitation's format (source: inviteData.version)."""

KICKED_OUT = "the same user logged in on another device"
"""What KICKED_OUT says to a person."""

TYPES: dict[type[Event], pb.EventType.ValueType] = {
    events.Invited: pb.EVENT_TYPE_INVITED,
    events.Rejected: pb.EVENT_TYPE_REJECT,
    events.NotResponded: pb.EVENT_TYPE_NO_RESP,
    events.LineBusy: pb.EVENT_TYPE_LINE_BUSY,
    events.CallingCancelled: pb.EVENT_TYPE_CALLING_CANCEL,
    events.CallingTimedOut: pb.EVENT_TYPE_CALLING_TIMEOUT,
    events.UserEntered: pb.EVENT_TYPE_USER_ENTER,
    events.UserLeft: pb.EVENT_TYPE_USER_LEAVE,
    events.CallEnded: pb.EVENT_TYPE_CALL_END,
    events.KickedOut: pb.EVENT_TYPE_KICKED_OUT,
    events.UserVideoChanged: pb.EVENT_TYPE_USER_VIDEO_AVAILABLE,
    events.UserAudioChanged: pb.EVENT_TYPE_USER_AUDIO_AVAILABLE,
    events.ErrorRaised: pb.EVENT_TYPE_ERROR,
    events.SessionChanged: pb.EVENT_TYPE_SESSION_CHANGED,
    events.CallChanged: pb.EVENT_TYPE_CALL_CHANGED,
    events.LocalMediaChanged: pb.EVENT_TYPE_LOCAL_MEDIA_CHANGED,
    MissedCall: pb.EVENT_TYPE_MISSED_CALL,
    HistoryChanged: pb.EVENT_TYPE_HISTORY_CHANGED,
}
"""Which type of the filter an event is."""

_Own = (
    events.KickedOut
    | events.ErrorRaised
    | events.SessionChanged
    | events.LocalMediaChanged
    | MissedCall
    | HistoryChanged
)

CLASSES = {number: event for event, number in TYPES.items()}
"""The other way round."""


def happened(entry: Happened, conversion: Conversion, present: Present) -> pb.Event:
    """An entry of the log. What an event does not carry itself (names of the devices, time of the login)
    is as at present.
    """
    made = pb.Event(
        cursor=entry.cursor,
        event_time=conversion.clock.timestamp(entry.time),
        type=TYPES[type(entry.event)],
    )
    _fill(made, entry.event, conversion, present)
    return made


def _fill(made: pb.Event, event: Event, conversion: Conversion, present: Present) -> None:
    """Sets the body of `made`."""
    call = conversion.call
    match event:
        case events.Invited():
            made.invited.CopyFrom(_invited(event, conversion))
        case events.Rejected(user_id, about):
            made.rejected.CopyFrom(pb.Rejected(user_id=user_id, call=call(about)))
        case events.NotResponded(user_id, users, about):
            body = pb.NotResponded(user_id=user_id, user_id_list=users, call=call(about))
            made.not_responded.CopyFrom(body)
        case events.LineBusy(user_id, about):
            made.line_busy.CopyFrom(pb.LineBusy(user_id=user_id, call=call(about)))
        case events.CallingCancelled(invite_id, user_id, about):
            cancelled = pb.CallingCancelled(invite_id=invite_id, user_id=user_id, call=call(about))
            made.calling_cancelled.CopyFrom(cancelled)
        case events.CallingTimedOut(invite_id, about):
            made.calling_timed_out.CopyFrom(pb.CallingTimedOut(invite_id=invite_id, call=call(about)))
        case events.UserEntered(user_id, about):
            made.user_entered.CopyFrom(pb.UserEntered(user_id=user_id, call=call(about)))
        case events.UserLeft(user_id, about, reason):
            why = call_pb2.EndReason.ValueType(reason.value)
            made.user_left.CopyFrom(pb.UserLeft(user_id=user_id, call=call(about), reason=why))
        case events.CallEnded(about):
            made.call_ended.CopyFrom(pb.CallEnded(call=call(about)))
        case events.UserVideoChanged(user_id, available, about):
            video = pb.UserVideoChanged(user_id=user_id, is_video_available=available, call=call(about))
            made.user_video_changed.CopyFrom(video)
        case events.UserAudioChanged(user_id, available, about):
            audio = pb.UserAudioChanged(user_id=user_id, is_audio_available=available, call=call(about))
            made.user_audio_changed.CopyFrom(audio)
        case events.CallChanged(about):
            made.call_changed.CopyFrom(pb.CallChanged(call=call(about)))
        case _:
            _fill_own(made, event, conversion, present)


def _fill_own(made: pb.Event, event: _Own, conversion: Conversion, present: Present) -> None:
    """The same of what happens here, whoever else is in a call."""
    match event:
        case events.KickedOut(device_id):
            made.kicked_out.CopyFrom(pb.KickedOut(reason=KICKED_OUT, device_id=device_id))
        case events.ErrorRaised(code, message):
            made.error_raised.CopyFrom(pb.ErrorRaised(code=int(code), message=message))
        case events.SessionChanged(session, user_id):
            changed = pb.SessionChanged(session=conversion.session(session, user_id, present.login_time))
            made.session_changed.CopyFrom(changed)
        case events.LocalMediaChanged(camera, muted):
            media = convert.local_media(camera, muted, present.local)
            made.local_media_changed.CopyFrom(pb.LocalMediaChanged(media=media))
        case MissedCall(record):
            made.missed_call.CopyFrom(pb.MissedCall(record=convert_history.record(record)))
        case HistoryChanged(record, deleted):
            changed_history = pb.HistoryChanged(
                record=convert_history.record(record) if record is not None else None,
                deleted_record_ids=map(str, deleted),
            )
            made.history_changed.CopyFrom(changed_history)
        case _:
            assert_never(event)


def _invited(event: events.Invited, conversion: Conversion) -> pb.Invited:
    hub, invite = event.call.hub, event.call.invite
    return pb.Invited(
        sponsor=invite.sponsor,
        user_id_list=[
            member.user_id
            for member in hub.members
            if member.user_id != hub.sponsor and hub.invitation(member).invite_id == invite.invite_id
        ],
        is_from_group=bool(hub.group_id),
        invite_data=pb.InviteData(
            version=INVITATION_VERSION, call_type=words.call_type(hub.type), room_id=hub.room_id
        ),
        invite_id=invite.invite_id,
        call=conversion.call(event.call),
        user_data=hub.user_data,
    )


def snapshot(cursor: str, conversion: Conversion, present: Present) -> pb.Snapshot:
    """The present state of everything."""
    state = present.state
    return pb.Snapshot(
        cursor=cursor,
        session=conversion.session(state.session, state.user_id, present.login_time),
        call=conversion.call(state.call),
        media=convert.local_media(state.camera, state.muted, present.local),
        views=convert.views(present.views),
    )
