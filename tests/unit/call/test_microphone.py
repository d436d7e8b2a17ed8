"""A microphone that fails: told once, to clients and to the others; the call goes on."""

from __future__ import annotations

from mediaagentd.call import machine
from mediaagentd.call import types as t
from mediaagentd.errors import Reason, Refused

from tests.unit.call.stage import AUDIO, Stage, has

GONE = Refused(Reason.DEVICE_FAILED, "no sound comes")
FORBIDDEN = Refused(Reason.DEVICE_PERMISSION, "no permission")


def test_a_microphone_that_fails_in_a_call() -> None:
    ann = Stage().connect(AUDIO)
    assert ann.tell(t.MicrophoneFailed(GONE)) == (
        t.Raise(t.ErrorCode.NO_MICROPHONE, "no sound comes"),
        t.Hub(0, t.SetAvailability("c1", False, False)),
    )
    assert ann.phase() is t.Phase.ACTIVE
    assert machine.sending(ann.state) == (True, False), "media tries again"
    assert ann.tell(t.MicrophoneFailed(GONE)) == (), "told once"
    assert ann.tell(t.MicrophoneOpened()) == (t.Hub(0, t.SetAvailability("c1", True, False)),)


def test_a_microphone_that_nobody_may_open() -> None:
    ann = Stage().connect(AUDIO)
    effects = ann.tell(t.MicrophoneFailed(FORBIDDEN))
    assert effects[0] == t.Raise(t.ErrorCode.NO_PERMISSION, "no permission")


def test_unmuting_makes_a_broken_microphone_no_better() -> None:
    ann = Stage().connect(AUDIO)
    ann.tell(t.MicrophoneFailed(GONE))
    assert not has(ann.tell(t.SetMicMute(5, True)), t.Hub)
    assert not has(ann.tell(t.SetMicMute(6, False)), t.Hub)


def test_the_next_call_begins_with_a_clean_slate() -> None:
    ann = Stage().connect(AUDIO)
    ann.tell(t.MicrophoneFailed(GONE))
    ann.tell(t.Hangup(5))
    assert not ann.state.deaf
    assert ann.tell(t.MicrophoneFailed(GONE)) == (), "late: of the call before"
