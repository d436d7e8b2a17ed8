"""The composition root of the hub; apart from the agent's, so that a hub loads no media."""

from __future__ import annotations

import asyncio
import gc
from ipaddress import ip_network

from mediaagentd.config import Config, ConfigError
from mediaagentd.hub.quotas import Rate
from mediaagentd.hub.server import CLOSING, HubServer
from mediaagentd.hub.settings import HubSettings, IceServer
from mediaagentd.hub.types import Policy
from mediaagentd.lifecycle import end_with_parent, serve, step
from mediaagentd.systemd import Notifier

GRACE = 1.0
"""Seconds that commands under way may take, at the end, to be answered."""

STOP_WITHIN = GRACE + CLOSING + 1.0
"""Seconds that a hub may take to leave."""


def run_hub(config: Config, *, with_parent: bool = False) -> int:
    """Runs a hub until it is told to leave; `with_parent`: ends with the process that started it.

    Raises ConfigError, OSError.
    """
    if with_parent:
        end_with_parent()

    async def run() -> None:
        hub = Hub(config)

        async def ready() -> str:
            _tame_collector()
            return f"listening on {config.hub.listen}"

        await serve([hub], Notifier(), ready)

    asyncio.run(run())
    return 0


def _tame_collector() -> None:
    """Full collections become rare. With 2,000 agents online one stops everything for 0.1 s, and came every
    few seconds under load: it was the p99 of an invitation. Cycles that die young, and nearly all do, are
    collected as before.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


class Hub:
    """A hub as configured in the `[hub]` section."""

    def __init__(self, config: Config) -> None:
        """Raises ConfigError."""
        if not config.hub.keys:
            raise ConfigError(
                "hub.keys: the hub needs at least one key to verify UserSigs with: any secret, in the "
                "credential hub_keys (see mediaagent-hub.service), MEDIAAGENT_HUB__KEYS or the configuration"
            )
        self._server = HubServer(_hub_settings(config))

    async def start(self) -> None:
        """Raises OSError, StoreError."""
        await self._server.start()

    async def healthy(self) -> bool:
        """Whether commands are stored and so answered. A disk that refuses (it is full) is asked again, and
        no reason to restart, which would make it no better. One that never answers is.
        """
        return self._server.makes_progress

    async def stop(self) -> None:
        """Ends the agents' streams and writes what waits."""
        await step("stop the hub", self._server.stop(GRACE), STOP_WITHIN)


def _hub_settings(config: Config) -> HubSettings:
    section = config.hub
    ice = IceServer(section.ice_urls, section.ice_username, section.ice_credential.get_secret_value())
    return HubSettings(
        listen=section.listen,
        sdk_app_id=config.sdk_app_id,
        keys=tuple(key.get_secret_value() for key in section.keys),
        database=section.database,
        lease=section.lease,
        call_lease=section.call_lease,
        members=section.members,
        policy=Policy[section.login_policy.upper()],
        devices=section.devices,
        groups=section.groups,
        group_members=section.group_members,
        missed=section.missed,
        caller=Rate(section.caller_burst, section.caller_per_second),
        callee=Rate(section.callee_burst, section.callee_per_second),
        allowed_candidates=tuple(ip_network(text) for text in section.allowed_candidates),
        ice_servers=(ice,) if ice.urls else (),
        turn_urls=section.turn_urls,
        turn_secret=section.turn_secret.get_secret_value(),
        tls_certificate=section.tls_certificate,
        tls_key=section.tls_key,
    )
