"""What a hub is told by its configuration. Frozen; `config.py` maps the `[hub]` section to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mediaagentd.hub.quotas import CALLEE, CALLER, Rate
from mediaagentd.hub.signals import Network
from mediaagentd.hub.types import Policy


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server (RFC 7064, RFC 7065)."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class HubSettings:
    """Everything that a hub can be told. Seconds.

    `listen` is `unix:/path` or `host:port`, port 0 for a free one. `keys` verify UserSigs; the first is
    the present one, the others are on their way out. `database` None keeps everything in memory.
    `lease`: how long a device that is silent stays, `call_lease` one that is in an answered call: longer than
    the agents' budget to regain its media. `policy` MULTI lets several devices of one user be logged in at
    once, `devices` at the most; `groups`, `group_members` and `missed` bound what is kept on the disk: see
    `values.Limits`.
    With `turn_secret` (coturn's `use-auth-secret`) each session gets credentials of its own for
    `turn_urls`, good for `turn_ttl`. `caller` and `callee`: how often one may invite and be invited.
    `allowed_candidates`: see `signals.Rules`. `tls_certificate` and `tls_key` are PEM files, both or neither.
    """

    listen: str
    sdk_app_id: int
    keys: tuple[str, ...] = field(repr=False)
    database: Path | None = None
    lease: float = 30.0
    call_lease: float = 75.0
    members: int = 6
    policy: Policy = Policy.SINGLE
    devices: int = 20
    groups: int = 100
    group_members: int = 1000
    missed: int = 200
    heartbeat: float = 5.0
    caller: Rate = CALLER
    callee: Rate = CALLEE
    allowed_candidates: tuple[Network, ...] = ()
    ice_servers: tuple[IceServer, ...] = ()
    turn_urls: tuple[str, ...] = ()
    turn_secret: str = field(default="", repr=False)
    turn_ttl: float = 6 * 3600.0
    tls_certificate: Path | None = None
    tls_key: Path | None = None
