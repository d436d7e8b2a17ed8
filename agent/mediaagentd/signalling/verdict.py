"""What a refused login means: whether it passes by itself. One rule for the first login and later ones."""

from __future__ import annotations

import enum

from mediaagentd.errors import Reason, Refused, Status


class Verdict(enum.Enum):
    """When another attempt makes sense."""

    SOON = enum.auto()
    """It passes by itself: the hub is away, is full, is no hub yet, or has a defect."""
    LATER = enum.auto()
    """Somebody has to mend something: the user's name, its UserSig, the hub's keys."""
    NEVER = enum.auto()
    """A newer login of this user won; only a person may turn that round."""


def verdict(refused: Refused) -> Verdict:
    """What to make of a login that the hub refused."""
    if refused.reason is Reason.KICKED_OUT:
        return Verdict.NEVER
    told = refused.reason.status in (Status.UNAUTHENTICATED, Status.INVALID_ARGUMENT)
    if told and refused.reason is not Reason.SESSION_UNKNOWN:
        return Verdict.LATER
    return Verdict.SOON
