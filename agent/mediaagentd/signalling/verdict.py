"""What a refused login means: whether it passes by itself. One rule for the first login and later ones."""

from __future__ import annotations

import enum

from mediaagentd.errors import Reason, Refused, Status
from mediaagentd.usersig import LEEWAY, MADE_IN_THE_FUTURE, parse


class Verdict(enum.Enum):
    """When another attempt makes sense."""

    SOON = enum.auto()
    """It passes by itself: the hub is away, is full, is no hub yet, has a defect or a wrong clock."""
    LATER = enum.auto()
    """Somebody has to mend something: the user's name, its UserSig, the hub's keys."""
    NEVER = enum.auto()
    """A newer login of this user won; only a person may turn that round."""


def verdict(refused: Refused, user_sig: str, now: float) -> Verdict:
    """What to make of a login with that UserSig that the hub refused at `now` (Unix seconds)."""
    if refused.reason is Reason.KICKED_OUT:
        return Verdict.NEVER
    if refused.reason is Reason.USER_SIG_EXPIRED and not _has_expired(refused, user_sig, now):
        return Verdict.SOON
    told = refused.reason.status in (Status.UNAUTHENTICATED, Status.INVALID_ARGUMENT)
    if told and refused.reason is not Reason.SESSION_UNKNOWN:
        return Verdict.LATER
    return Verdict.SOON


def _has_expired(refused: Refused, user_sig: str, now: float) -> bool:
    """Whether the hub's clock is believed. After a power cut a hub may be there before NTP has set its clock
    (and so may we). One that is behind says itself that only time is missing; one that is ahead of ours is
    taken for wrong while by ours the UserSig is good.
    """
    if refused.metadata.get("rule") == MADE_IN_THE_FUTURE:
        return False
    try:
        return parse(user_sig).ends < now - LEEWAY
    except Refused:
        return True
