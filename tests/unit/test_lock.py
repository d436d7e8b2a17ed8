"""One daemon per socket."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mediaagentd import lock
from mediaagentd.lock import LockedError


def test_the_second_learns_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock.lock"
    with lock.hold(path):
        with pytest.raises(LockedError) as refused, lock.hold(path):
            pass
        assert refused.value.holder == os.getpid()
        assert str(os.getpid()) in str(refused.value)
    with lock.hold(path):
        pass


def test_what_a_holder_wrote_badly_is_no_reason_to_fail(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("not a number, and longer than the new one")
    with lock.hold(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_full_disk_keeps_nobody_from_holding_it() -> None:
    full = Path("/dev/full")
    with lock.hold(full), pytest.raises(LockedError) as refused, lock.hold(full):
        pass
    assert refused.value.holder == 0
