"""Histories in a place of the test's own, closed at its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from mediaagentd.history.types import Retention

from tests.unit.history.room import KEEPS, Room


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Callable[..., Room]]:
    rooms: list[Room] = []

    def made(retention: Retention = KEEPS, name: str = "history.sqlite") -> Room:
        rooms.append(Room(tmp_path / name, retention))
        return rooms[-1]

    yield made
    for room in rooms:
        await room.history.close()
