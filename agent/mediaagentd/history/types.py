"""What is kept of calls that are over, how to ask for it, and what is told of it. Frozen and pure."""

from __future__ import annotations

from dataclasses import dataclass

from mediaagentd.call.words import CallType, EndReason, MemberState


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of a call (`mediaagent.v1.Record`). Times are seconds since the epoch. `ended` is None
    while the call goes on: such a record is there only so that a crash leaves something. `invite_id` is
    empty for a call that was joined without one; `part` then tells one part in the call from another of the
    same user. `record_id` is 0 until it is stored.
    """

    owner_id: str
    call_id: str
    invite_id: str
    room_id: int
    outgoing: bool
    type: CallType
    sponsor: str
    invitees: tuple[tuple[str, MemberState], ...]
    invited: float
    answered: float | None = None
    ended: float | None = None
    end_reason: EndReason | None = None
    ended_by: str = ""
    group_id: str = ""
    missed: bool = False
    other_device_id: str = ""
    part: str = ""
    record_id: int = 0

    @property
    def duration(self) -> float:
        """Seconds from answer to end, 0 when never answered; never negative, though a clock was set back."""
        if self.answered is None or self.ended is None:
            return 0.0
        return max(0.0, self.ended - self.answered)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records; what is None or empty does not restrict. Times are seconds since the epoch, `until`
    is not in it.
    """

    user_id: str = ""
    owner_id: str = ""
    outgoing: bool | None = None
    type: CallType | None = None
    missed: bool | None = None
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, the newest first; `token` asks for the next ones and is empty on the last page."""

    records: tuple[Record, ...]
    token: str
    total: int


@dataclass(frozen=True, slots=True)
class Retention:
    """What is kept: so many records, none older than so many seconds."""

    records: int = 1000
    age: float = 90 * 86400.0


# --------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class MissedCall:
    """MISSED_CALL: a call to this user that nobody took; told once."""

    record: Record


@dataclass(frozen=True, slots=True)
class HistoryChanged:
    """HISTORY_CHANGED: a record was written, or records were deleted."""

    record: Record | None = None
    deleted: tuple[int, ...] = ()


Event = MissedCall | HistoryChanged
