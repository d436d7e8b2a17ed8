"""The camera as the call machine sees it: closed, being opened (`Probe`), open. What is to be done
follows from the change of state (`machine`), so nothing here asks for an effect on the device.
"""

from __future__ import annotations

from dataclasses import replace

from mediaagentd.call.types import Change, Done, ErrorCode, Failed, Probe, Raise, State
from mediaagentd.errors import Reason, Refused

CAMERA_PATIENCE = 10.0
"""Seconds until a camera that says nothing counts as failed."""


def opening(state: State, now: float) -> State:
    """The machine opens the camera by itself, unless it is open or being opened."""
    if state.camera or state.probe is not None:
        return state
    number = state.probes + 1
    return replace(state, probes=number, probe=Probe(-number, now + CAMERA_PATIENCE))


def asked(state: State, now: float, op: int) -> Change:
    """A client opens the camera; one that is being opened answers both."""
    if state.camera:
        return state, (Done(op),)
    probe = state.probe or Probe(op, now + CAMERA_PATIENCE, preview=state.call is None)
    return replace(state, probe=replace(probe, waiting=(*probe.waiting, op))), ()


def closed(state: State, why: Refused) -> Change:
    """The camera is closed; who waits for it to open fails with `why`."""
    waiting = state.probe.waiting if state.probe else ()
    after = replace(state, camera=False, preview=False, probe=None)
    return after, tuple(Failed(op, why) for op in waiting)


def opened(state: State, op: int) -> Change:
    """The device works. News of a probe that was taken back is ignored."""
    probe = state.probe
    if probe is None or probe.op != op:
        return state, ()
    after = replace(state, camera=True, preview=probe.preview, probe=None)
    return after, tuple(Done(waiting) for waiting in probe.waiting)


def failed(state: State, op: int, error: Refused) -> Change:
    """The device cannot be opened, or (`op` 0) an open one stopped. A call goes on without a picture."""
    code = ErrorCode.NO_PERMISSION if error.reason is Reason.DEVICE_PERMISSION else ErrorCode.NO_CAMERA
    raised = Raise(code, error.message)
    if op == 0 and state.camera:
        return replace(state, camera=False, preview=False), (raised,)
    probe = state.probe
    if probe is None or probe.op != op:
        return state, ()
    return replace(state, probe=None), (raised, *(Failed(waiting, error) for waiting in probe.waiting))
