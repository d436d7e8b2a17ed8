"""Pushes as they go over the wire. What many are told is put into bytes once: a group of a thousand that is
called costs one encoding of its thousand members, not a thousand.
"""

from __future__ import annotations

from mediaagent.hub.v1 import hub_pb2

from mediaagentd.hub import wire
from mediaagentd.hub.outbox import Push
from mediaagentd.hub.types import Call, PushCall

HEARTBEAT = hub_pb2.SubscribeResponse(heartbeat=hub_pb2.Heartbeat()).SerializeToString()
"""A message that says only that the stream is alive."""

FRESH = 0.05
"""Seconds for which the time that is left to answer, which is in the bytes, is not counted anew."""

_KEPT = 16
"""Calls whose bytes are kept. A change is told to all concerned within one turn of the loop, or a few."""


class Letters:
    """Writes pushes, and keeps the bytes of the calls that were told last."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], tuple[bytes, float]] = {}

    def write(self, push: Push, now: float) -> bytes:
        """One message of the stream, serialized."""
        if not isinstance(push.body, PushCall):
            return wire.push(push, now).SerializeToString()
        # Two serialized messages in a row are the serialized message with the fields of both.
        sequence = hub_pb2.SubscribeResponse(sequence=push.sequence)
        return sequence.SerializeToString() + self._call(push.body.call, now)

    def _call(self, call: Call, now: float) -> bytes:
        name = (call.call_id, call.revision)
        body, made = self._kept.get(name, (b"", 0.0))
        if not body or not 0 <= now - made < FRESH:
            body = hub_pb2.SubscribeResponse(call_changed=wire.call(call, now)).SerializeToString()
            if len(self._kept) >= _KEPT and name not in self._kept:
                del self._kept[next(iter(self._kept))]
            self._kept[name] = (body, now)
        return body
