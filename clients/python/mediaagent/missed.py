"""What a snapshot tells of the call that no event told: it came, or ended, while nobody listened."""

from __future__ import annotations

from google.protobuf.message import Message

from mediaagent.v1 import call_pb2, event_pb2
from mediaagent.words import Event

INVITATION_VERSION = 1
"""Version of the invitation's format (source: inviteData.version)."""

_RINGING = call_pb2.CALL_STATE_RINGING


class KnownCall:
    """The call as this client last heard of it."""

    def __init__(self) -> None:
        self._call: call_pb2.Call | None = None

    def note(self, event: event_pb2.Event) -> None:
        """Remembers the call that an event carries; forgets it when that is over."""
        field = event.WhichOneof("body")
        call = getattr(getattr(event, field), "call", None) if field else None
        if isinstance(call, call_pb2.Call) and call.call_id:
            self._call = None if call.state == call_pb2.CALL_STATE_ENDED else call

    def compare(self, snapshot: event_pb2.Snapshot) -> list[tuple[Event, Message]]:
        """What was missed, as events: CALL_CHANGED and CALL_END of a call that is no more (why is not known:
        END_REASON_UNSPECIFIED), INVITED of one that rings. Remembers the snapshot's call.
        """
        known, self._call = self._call, snapshot.call if snapshot.HasField("call") else None
        told: list[tuple[Event, Message]] = []
        if known is not None and (self._call is None or not _continues(known, self._call)):
            ended = call_pb2.Call()
            ended.CopyFrom(known)
            ended.state = call_pb2.CALL_STATE_ENDED
            told.append((Event.CALL_CHANGED, event_pb2.CallChanged(call=ended)))
            told.append((Event.CALL_END, event_pb2.CallEnded(call=ended)))
            known = None
        if known is None and self._call is not None and self._call.state == _RINGING:
            told.append((Event.INVITED, invitation(self._call)))
        return told


def _continues(known: call_pb2.Call, now: call_pb2.Call) -> bool:
    """Whether it is the same part in the same call: who left may be asked in again."""
    if known.call_id != now.call_id:
        return False
    return now.state != _RINGING or (known.state, known.invite_id) == (_RINGING, now.invite_id)


def invitation(call: call_pb2.Call) -> event_pb2.Invited:
    """The INVITED of a call that rings, as the agent sends it. Everyone invited is in the list, not only
    those invited together with this user, which the call does not tell.
    """
    return event_pb2.Invited(
        sponsor=call.sponsor,
        user_id_list=[invitee.user_id for invitee in call.invitees],
        is_from_group=bool(call.group_id),
        invite_data=event_pb2.InviteData(
            version=INVITATION_VERSION, call_type=call.type, room_id=call.room_id
        ),
        invite_id=call.invite_id,
        call=call,
        user_data=call.user_data,
    )
