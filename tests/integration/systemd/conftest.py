"""A house for who asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mediaagentd.children import free_port

from tests.integration.systemd.house import House, override
from tests.integration.systemd.machine import machine


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Installed, and switched on."""
    port = free_port()
    async with machine(tmp_path) as box:
        made = House(box, port)
        await override(box, "mediaagent-hub", f"Environment=MEDIAAGENT_HUB__LISTEN={made.hub.target}",
                        "Environment=MEDIAAGENT_HUB__ALLOWED_CANDIDATES=127.0.0.0/8")  # fmt: skip
        await box.run("systemctl", "enable", "--now", "mediaagent-hub", "mediaagentd")
        yield made
