"""The shell of the call machine: inputs go in one at a time, effects go out through ports.

Everything is synchronous on one event loop, so that every input runs to completion and nothing needs a
lock. What is slow is a task of signalling or media and comes back as another input.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

import structlog

from mediaagentd.call.events import ErrorRaised, LocalMediaChanged, derive
from mediaagentd.call.machine import deadline, step
from mediaagentd.call.types import (
    Accept,
    Call,
    ClosePeer,
    Command,
    Dial,
    Done,
    Effect,
    EndReason,
    ErrorCode,
    Failed,
    Hangup,
    Hub,
    Input,
    Invite,
    OpenPeer,
    Phase,
    ProbeCamera,
    Raise,
    ReleaseCamera,
    SessionPhase,
    SetSending,
    State,
    Tick,
)
from mediaagentd.errors import Reason, Refused
from mediaagentd.history.record import noteworthy
from mediaagentd.logins import Logins
from mediaagentd.media.types import VideoProfile
from mediaagentd.ports import Media, Publisher, Records, Signalling

_log = structlog.stdlib.get_logger()


@dataclass(slots=True)
class _Waiting:
    """A client that waits for its command: its future, the call that had ended last before it, and the
    request if it makes a call.
    """

    future: asyncio.Future[Call | None]
    ended_before: Call | None
    request_id: str = ""


class Calls:
    """The one owner of the machine's state."""

    def __init__(self, signalling: Signalling, media: Media, log: Publisher, records: Records) -> None:
        self._signalling = signalling
        self._media = media
        self._log = log
        self._records = records
        self._loop = asyncio.get_running_loop()
        self._state = State()
        self._ended: Call | None = None
        self._login_time: float | None = None
        self._in_call = False
        self._ops = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._queue: deque[Input] = deque()
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self._reached = 0.0
        self._told = (False, False, media.local())
        self._logins = Logins(signalling, lambda: self._state, self._hang_up)

    @property
    def state(self) -> State:
        """The machine's state as it is now."""
        return self._state

    @property
    def login_time(self) -> float | None:
        """When the user logged in, on the machine's clock; None when nobody is."""
        return self._login_time

    @property
    def has_left(self) -> bool:
        """Whether nobody is logged in, and no client wanted it so."""
        return self._logins.has_left

    def on_login(self, told: Callable[[], None]) -> None:
        """Tells when a client's login is over, also one that failed: it may have changed `has_left`."""
        self._logins.on_login = told

    async def stop(self) -> None:
        """Gives up logins that are under way, then hangs up and leaves the hub."""
        await self._logins.stop()

    def close(self) -> None:
        """Stops the timer and fails whoever still waits with SHUTTING_DOWN."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiting in self._waiting.values():
            if not waiting.future.done():
                waiting.future.set_exception(Refused(Reason.SHUTTING_DOWN, "the daemon is stopping"))
        self._logins.close()

    # ------------------------------------------------------------ session

    async def login(self, user_id: str, user_sig: str) -> None:
        """Logs the user in. When that user is logged in already a success that only keeps the UserSig, if it
        is another. A client that stops waiting does not stop it.

        Raises Refused: ALREADY_LOGGED_IN, what the hub says, USER_SIG_* of one that cannot be kept.
        """
        await self._logins.login(user_id, user_sig)

    async def login_standing(self, user_id: str, user_sig: str) -> None:
        """Logs the configured user in, unless a client has had another word by then (`has_left`).

        Raises Refused: what the hub says.
        """
        await self._logins.login_standing(user_id, user_sig)

    def renew(self, user_id: str, user_sig: str) -> None:
        """Keeps another UserSig for the session of that user, if there is one.

        Raises Refused: USER_SIG_* of one that cannot be kept.
        """
        self._logins.renew(user_id, user_sig)

    async def logout(self) -> None:
        """Hangs up and leaves the hub. Idempotent. A client that stops waiting does not stop it."""
        await self._logins.logout()

    async def _hang_up(self) -> None:
        if self._state.call is not None or self._state.pending is not None:
            await self.perform(lambda op: Hangup(op, EndReason.LOGGED_OUT))

    def set_video_quality(self, profile: VideoProfile) -> bool:
        """Chooses the video quality; True when it is in effect now, False for the next call."""
        now = self._media.set_profile(profile)
        self.media_changed()
        return now

    def media_changed(self) -> None:
        """Media has other devices, encoders or qualities, perhaps: told once it is so."""
        if not self._busy:
            self._tell_local_media()

    # ------------------------------------------------------------ inputs

    async def perform(self, make: Callable[[int], Command]) -> Call | None:
        """Runs a client's command to its end. `make` gets the number of the operation.

        Returns the call that it concerns as it is then: the present one, else the one that it ended, None
        when there is none. Raises Refused; the state is as before then. A client that stops waiting does
        not stop the command.
        """
        op = next(self._ops)
        waiting = _Waiting(self._loop.create_future(), self._ended)
        self._waiting[op] = waiting
        command = make(op)
        waiting.request_id = command.request_id if isinstance(command, Dial) else ""
        try:
            self.handle(command)
            return await waiting.future
        finally:
            del self._waiting[op]

    def handle(self, told: Input) -> None:
        """Runs one input to completion, then those that it caused. An input that comes while another is
        handled (a port that reports at once) waits for its turn.

        Raises Refused for a command that cannot be done; its state is as before.
        """
        self._queue.append(told)
        if self._busy:
            return
        self._busy = True
        refusal: Exception | None = None
        while self._queue:
            try:
                refused: Exception | None = self._advance(self._queue.popleft())
            except Exception as error:  # a defect: what waits behind it does not wait for the next input
                refused = error
            refusal = refusal or refused
        self._busy = False
        self._arm()
        self._tell_local_media()
        if refusal is not None:
            raise refusal

    def _advance(self, told: Input) -> Refused | None:
        """One step of the machine and its consequences; the refusal of a command nobody waits for."""
        old = self._state
        try:
            new, effects = step(old, self._now(), told)
        except Refused as error:
            _log.info("command refused", command=type(told).__name__, reason=error.reason.name)
            self._tell_refusal(error)
            return self._reject(told, error)
        self._state = new
        if new.previous is not old.previous:
            self._ended = new.previous
        self._note(old, new, told)
        self._freeze_quality(new)
        for event in derive(old, new):
            if not isinstance(event, LocalMediaChanged):
                self._log.publish(event)
        self._tell_local_media()
        for owner_id, call in noteworthy(old, new):
            self._records.note(owner_id, call)
        defects = []
        for effect in effects:
            try:
                self._perform(effect)
            except Exception as error:  # it costs that one: the others are done, and who waits is answered
                defects.append(error)
        if defects:
            raise defects[0]
        return None

    def _reject(self, told: Input, error: Refused) -> Refused | None:
        """Hands a refusal to the one who waits; returns it when nobody does."""
        waiting = self._waiting.get(getattr(told, "op", 0))
        if waiting is None:
            return error
        if not waiting.future.done():
            waiting.future.set_exception(error)
        return None

    def _note(self, old: State, new: State, told: Input) -> None:
        """Login time, and one log line when the call or the session moved."""
        online = new.session in (SessionPhase.ONLINE, SessionPhase.RECONNECTING)
        was = old.session in (SessionPhase.ONLINE, SessionPhase.RECONNECTING)
        if online != was:
            self._login_time = self._now() if online else None
        if old.session is not new.session:
            _log.info("session", state=new.session.name)
        before = old.call.phase if old.call is not None else None
        call = new.call or (new.previous if old.call is not None else None)
        if call is not None and call.phase is not before:
            _log.info("call", call_id=call.hub.call_id, state=call.phase.name, cause=type(told).__name__,
                      end_reason=call.end_reason.name if call.end_reason else None)  # fmt: skip

    def _tell_local_media(self) -> None:
        """LOCAL_MEDIA_CHANGED, whoever changed it: the machine camera and microphone, media all else."""
        camera, muted = self._state.camera, self._state.muted
        now = (camera, muted, self._media.local())
        if now != self._told:
            self._told = now
            self._log.publish(LocalMediaChanged(camera, muted))

    def _freeze_quality(self, state: State) -> None:
        """Tells media when a call begins or ceases to use the video quality: from dialling or accepting
        on, but not while it only rings (a quality chosen before accept is for this call).
        """
        waits = state.pending is not None and isinstance(state.pending.command, Invite | Accept)
        in_call = waits or (state.call is not None and state.call.phase is not Phase.RINGING)
        if in_call != self._in_call:
            self._in_call = in_call
            self._media.set_in_call(in_call)

    # ------------------------------------------------------------ effects

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Hub(op, command):
                self._signalling.perform(op, command)
            case OpenPeer(call_id, user_id, attempt, offers):
                self._media.open_peer(call_id, user_id, attempt, offers)
            case ClosePeer(call_id, user_id, attempt):
                self._media.close_peer(call_id, user_id, attempt)
            case ProbeCamera(op):
                self._media.probe_camera(op)
            case ReleaseCamera():
                self._media.release_camera()
            case SetSending(audio, video):
                self._media.set_sending(audio, video)
            case Raise(code, message):
                self._publish_error(code, message)
            case Done(op):
                self._finish(op, None)
            case Failed(op, error):
                self._finish(op, error)
            case _:
                assert_never(effect)

    def _finish(self, op: int, error: Refused | None) -> None:
        """Resolves the future of the one who waits, if it still does."""
        waiting = self._waiting.get(op)
        if waiting is None or waiting.future.done():
            return
        if error is not None:
            waiting.future.set_exception(error)
        else:
            waiting.future.set_result(self._subject(waiting))

    def _subject(self, waiting: _Waiting) -> Call | None:
        """The call that a finished command was about: what it ended, else what there is; what is over for a
        request that made it and is repeated.
        """
        ended, present = self._ended, self._state.call
        if ended is not waiting.ended_before:
            return ended
        repeated = present is None and ended is not None and ended.request_id == waiting.request_id != ""
        return ended if repeated else present

    def _tell_refusal(self, error: Refused) -> None:
        """A refusal that the source also tells as an ERROR event carries its code. Failures that come
        later raise the event themselves.
        """
        code = error.metadata.get("code", "")
        if code in _EVENT_CODES:
            self._publish_error(_EVENT_CODES[code], error.message)

    def _publish_error(self, code: ErrorCode, message: str) -> None:
        _log.warning("error event", code=int(code))
        self._log.publish(ErrorRaised(code, message))

    # ------------------------------------------------------------ the timer

    def _arm(self) -> None:
        """Sets the one timer to the machine's deadline."""
        when = deadline(self._state)
        if self._timer is not None:
            if self._timer.when() == when and not self._timer.cancelled():
                return
            self._timer.cancel()
            self._timer = None
        if when is not None:
            self._timer = self._loop.call_at(when, self._tick, when)

    def _tick(self, when: float) -> None:
        self._timer = None
        # A loop may call one clock tick early; the machine must see the deadline reached.
        self._reached = when
        self.handle(Tick())

    def _now(self) -> float:
        return max(self._loop.time(), self._reached)


_EVENT_CODES = {str(int(code)): code for code in ErrorCode}
