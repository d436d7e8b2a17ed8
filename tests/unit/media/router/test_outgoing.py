"""What is made of the users' feedback, by arithmetic on `now`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from mediaagentd.media import outgoing
from mediaagentd.media.link import Link
from mediaagentd.media.local import LocalStreams
from mediaagentd.media.outgoing import LOOK, Outgoing
from mediaagentd.media.types import VideoProfile


def test_feedback_that_says_what_it_said_is_looked_at_only_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = SimpleNamespace(now=10.0)
    monkeypatch.setattr(outgoing, "time", SimpleNamespace(monotonic=lambda: clock.now))
    desk = Outgoing(cast("LocalStreams", None), VideoProfile.P720)

    def heeded(user: str, bitrate: int, loss: float = 0.0) -> bool:
        said = SimpleNamespace(user_id=user, rate=SimpleNamespace(bitrate=bitrate), audio_loss=loss)
        return desk.heeds(cast("Link", said))

    assert heeded("bob", 800_000)
    assert heeded("carol", 800_000)
    assert not heeded("bob", 800_000)
    assert heeded("bob", 700_000), "new at once"
    assert heeded("bob", 700_000, 0.1)
    assert not heeded("carol", 800_000)
    clock.now += LOOK
    assert heeded("carol", 800_000), "time has passed"
    assert not heeded("bob", 700_000, 0.1)
    desk.forget("bob")
    assert heeded("bob", 700_000, 0.1), "is connected anew"
