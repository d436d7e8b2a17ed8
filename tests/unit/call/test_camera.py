"""The camera: opened by the user or by the call, and never left on by mistake."""

from __future__ import annotations

from mediaagentd.call import machine
from mediaagentd.call import types as t
from mediaagentd.errors import Reason, Refused

from tests.unit.call.stage import AUDIO, S, Stage, call, failure, has, joined, member, over, pending

GONE = Refused(Reason.DEVICE_NOT_FOUND, "no camera")
FORBIDDEN = Refused(Reason.DEVICE_PERMISSION, "no permission")


def test_preview() -> None:
    ann = Stage(online=False)
    assert ann.tell(t.OpenCamera(1)) == (t.ProbeCamera(1),)
    assert ann.tell(t.OpenCamera(2)) == ()
    assert ann.tell(t.CameraOpened(1)) == (t.Done(1), t.Done(2))
    assert ann.names() == ["LocalMediaChanged"]
    assert ann.tell(t.OpenCamera(3)) == (t.Done(3),)
    assert ann.tell(t.CloseCamera(4)) == (t.ReleaseCamera(), t.Done(4))
    assert ann.names() == ["LocalMediaChanged"]
    assert ann.tell(t.CloseCamera(5)) == (t.Done(5),)


def test_a_camera_that_fails_to_open() -> None:
    ann = Stage()
    ann.tell(t.OpenCamera(1))
    effects = ann.tell(t.CameraFailed(1, GONE))
    assert effects[:2] == (t.Raise(t.ErrorCode.NO_CAMERA, "no camera"), t.ReleaseCamera())
    assert failure(effects, 1) is Reason.DEVICE_NOT_FOUND
    assert not ann.state.camera


def test_a_camera_that_says_nothing() -> None:
    ann = Stage()
    ann.tell(t.OpenCamera(1))
    effects = ann.tick()
    assert ann.now == 10.0
    assert failure(effects, 1) is Reason.TIMED_OUT
    assert has(effects, t.ReleaseCamera)
    assert ann.tell(t.CameraOpened(1)) == ()


def test_a_camera_that_is_closed_before_it_is_open() -> None:
    ann = Stage()
    ann.tell(t.OpenCamera(1))
    effects = ann.tell(t.CloseCamera(2))
    assert failure(effects, 1) is Reason.DEVICE_FAILED
    assert effects[-1] == t.Done(2)
    assert has(effects, t.ReleaseCamera)


def test_a_video_call_without_a_camera_goes_on() -> None:
    ann = Stage().connect()
    effects = ann.tell(t.CameraFailed(-1, FORBIDDEN))
    assert effects == (t.Raise(t.ErrorCode.NO_PERMISSION, "no permission"), t.ReleaseCamera())
    assert ann.phase() is t.Phase.ACTIVE


def test_a_camera_that_stops_in_a_call() -> None:
    ann = Stage().connect().open_camera()
    effects = ann.tell(t.CameraFailed(0, GONE))
    assert effects == (
        t.Raise(t.ErrorCode.NO_CAMERA, "no camera"),
        t.ReleaseCamera(),
        t.SetSending(True, False),
        t.Hub(0, t.SetAvailability("c1", True, False)),
    )


def test_the_end_of_a_call_closes_what_it_opened() -> None:
    ann = Stage().connect().open_camera()
    assert has(ann.tell(t.Hangup(5)), t.ReleaseCamera)
    assert not ann.state.camera


def test_the_end_of_a_call_leaves_a_preview_on() -> None:
    ann = Stage()
    ann.tell(t.OpenCamera(1))
    ann.tell(t.CameraOpened(1))
    ann.dial()
    assert ann.state.probe is None
    assert not has(ann.tell(t.Hangup(5)), t.ReleaseCamera)
    assert ann.state.camera


def test_a_preview_that_is_still_opening_survives_the_call() -> None:
    ann = Stage()
    ann.tell(t.OpenCamera(1))
    ann.dial()
    ann.tell(t.Hangup(5))
    assert ann.tell(t.CameraOpened(1)) == (t.Done(1),)
    assert ann.state.camera
    assert ann.state.preview


def test_a_camera_opened_while_it_rings_is_closed_after_a_reject() -> None:
    ann = Stage().ring()
    ann.tell(t.OpenCamera(1))
    end = over(call(joined("bob"), member("ann", S.REJECTED), revision=2), t.EndReason.REJECTED, "ann")
    effects = ann.tell(t.CallChanged(end))
    assert failure(effects, 1) is Reason.NO_CALL
    assert has(effects, t.ReleaseCamera)


def test_in_an_audio_call_no_picture_leaves() -> None:
    ann = Stage().connect(AUDIO)
    assert ann.state.probe is None
    ann.tell(t.OpenCamera(5))
    assert ann.tell(t.CameraOpened(5)) == (t.Done(5),)
    assert machine.sending(ann.state) == (True, False)


def test_a_switch_to_audio_takes_a_probe_back() -> None:
    ann = Stage().connect()
    ann.tell(t.OpenCamera(5))
    effects = ann.push(joined("bob"), joined("ann", 2), revision=3, type_=AUDIO)
    assert failure(effects, 5) is Reason.DEVICE_FAILED
    assert has(effects, t.ReleaseCamera)


def test_dialling_opens_the_camera_and_ringing_does_not() -> None:
    assert has(Stage().dial().effects, t.ProbeCamera)
    ann = Stage()
    assert ann.push(joined("bob"), pending("ann")) == ()
