"""What must hold of one agent after every step, and of the whole world when it is quiet."""

from __future__ import annotations

from mediaagentd.call import events
from mediaagentd.call.machine import SUCCESSORS
from mediaagentd.call.types import Call, Phase, SessionPhase, State

from tests.simulation.rules import Broken

Part = tuple[str, str, float]
"""One part in a call, from the invitation, the dial or the join to its end: whoever has left may be asked
again, or join again. Named by the call, the invitation and when the part began."""


class Watch:
    """Follows one run of one agent: operations, phases and events."""

    def __init__(self) -> None:
        self.open_ops: set[int] = set()
        self.known: set[Part] = set()
        self.over: set[Part] = set()
        self.rung: set[str] = set()
        self.out = True
        self.entered: dict[Part, set[str]] = {}

    def answered(self, op: int) -> None:
        if op not in self.open_ops:
            raise Broken(f"op {op} is answered twice, or was never asked")
        self.open_ops.remove(op)

    def step(self, old: State, new: State) -> None:
        """Only listed transitions."""
        before, after = old.call, new.call
        if before is after:
            return
        if before is not None and (after is None or after.hub.call_id != before.hub.call_id):
            over = new.previous
            if over is None or over.hub.call_id != before.hub.call_id or over.phase is not Phase.ENDED:
                raise Broken(f"call {before.hub.call_id} vanished without an end")
            if Phase.ENDED not in SUCCESSORS[before.phase]:
                raise Broken(f"{before.phase} -> ENDED")
        elif before is not None and after is not None:
            if after.phase is not before.phase and after.phase not in SUCCESSORS[before.phase]:
                raise Broken(f"{before.phase} -> {after.phase}")
            if after.hub.revision < before.hub.revision:
                raise Broken(f"revision fell from {before.hub.revision} to {after.hub.revision}")
        if after is not None and after.phase is Phase.ENDED:
            raise Broken("a call that is over counts as live")

    def event(self, event: events.Event) -> None:
        """The events of each part in a call form one story: it begins once, ends once, and nobody is lost
        between. A fresh login is a fresh beginning: what still rings at the hub rings again."""
        if isinstance(event, events.SessionChanged):
            self._session(event.session)
        call: Call | None = getattr(event, "call", None)
        if call is None:
            return
        call_id = (call.hub.call_id, call.invite.invite_id, call.invited)
        if call_id in self.over:
            raise Broken(f"{type(event).__name__} after CALL_END of {call_id}")
        if call_id not in self.known and any(part[0] == call_id[0] for part in self.known - self.over):
            raise Broken(f"{call_id} begins before it has ended")
        inside = self.entered.setdefault(call_id, set())
        match event:
            case events.Invited():
                if call_id in self.known or call.invite.invite_id in self.rung:
                    raise Broken(f"{call_id} rings twice")
                self.rung.add(call.invite.invite_id)
            case events.UserEntered(user_id):
                if user_id in inside:
                    raise Broken(f"{user_id} enters {call_id} twice")
                inside.add(user_id)
            case events.UserLeft(user_id):
                if user_id not in inside:
                    raise Broken(f"{user_id} leaves {call_id} without having entered")
                inside.remove(user_id)
            case events.UserAudioChanged(user_id) | events.UserVideoChanged(user_id):
                if user_id not in inside:
                    raise Broken(f"{user_id} is heard of in {call_id} before it entered")
            case events.CallEnded():
                if inside:
                    raise Broken(f"{call_id} ended with {inside} still in it")
                self.over.add(call_id)
            case _:
                pass
        self.known.add(call_id)

    def _session(self, session: SessionPhase) -> None:
        if session is SessionPhase.ONLINE and self.out:
            if self.known != self.over:
                raise Broken(f"no CALL_END for {sorted(self.known - self.over)} before the login")
            self.known.clear()
            self.over.clear()
            self.rung.clear()
        self.out = session in (SessionPhase.LOGGED_OUT, SessionPhase.KICKED_OUT)

    def finish(self) -> None:
        """At the very end everything asked is answered and every call that was known is over."""
        if self.open_ops:
            raise Broken(f"never answered: {sorted(self.open_ops)}")
        if self.known != self.over:
            raise Broken(f"no CALL_END for {sorted(self.known - self.over)}")
