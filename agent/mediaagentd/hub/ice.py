"""STUN and TURN servers for a session. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac

from mediaagentd.hub.settings import HubSettings, IceServer


def ice_servers(settings: HubSettings, user_id: str, now: float) -> tuple[IceServer, ...]:
    """The configured servers, and a TURN server with credentials of that user from `now` (Unix seconds)."""
    if not settings.turn_secret or not settings.turn_urls:
        return settings.ice_servers
    turn = turn_credential(settings.turn_secret, user_id, now + settings.turn_ttl, settings.turn_urls)
    return (*settings.ice_servers, turn)


def turn_credential(secret: str, user_id: str, expires: float, urls: tuple[str, ...]) -> IceServer:
    """A name that says until when it is good, and its HMAC-SHA1 (draft-uberti-behave-turn-rest-00)."""
    username = f"{int(expires)}:{user_id}"
    mac = hmac.new(secret.encode(), username.encode(), hashlib.sha1)
    return IceServer(urls, username, base64.b64encode(mac.digest()).decode("ascii"))
