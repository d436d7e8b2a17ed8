"""Events of the call machine to messages of the contract. Total: every event has its message."""

from __future__ import annotations

from typing import assert_never

from mediaagent.v1 import event_pb2 as pb

from mediaagentd.api import convert, words
from mediaagentd.api.convert import Conversion, Present
from mediaagentd.call import events
from mediaagentd.call.events import Event
from mediaagentd.events import Happened

INVITATION_VERSION = 1
"""Version of the invitation's format (source: inviteData.version)."""

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
}
"""Which type of the filter an event is."""

CLASSES = {number: event for event, number in TYPES.items()}
"""The other way round."""


def happened(entry: Happened, conversion: Conversion, present: Present) -> pb.Event:
    """An entry of the log. What an event does not carry itself (names of the devices) is as at present."""
    made = pb.Event(
        cursor=entry.cursor,
        event_time=conversion.clock.timestamp(entry.time),
        type=TYPES[type(entry.event)],
    )
    _of_a_call(made, entry.event, conversion) or _of_the_agent(made, entry.event, conversion, present)
    return made
