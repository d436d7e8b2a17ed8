"""What a change of the machine's addresses means for a connection. Pure."""

from __future__ import annotations

from typing import Protocol

from mediaagentd.media.continuity_types import NetworkChanged

_NEAR = ("127.", "::1", "169.254.", "fe80:")
"""What addresses begin with that lead to this machine, or no further than its link (RFC 3927, RFC 4291)."""


class Reached(Protocol):
    """What we need to know of a peer."""

    @property
    def addresses(self) -> frozenset[str]:
        """Of this machine, where it may be reached; none before they are gathered."""

    @property
    def local_address(self) -> str | None:
        """The one that it goes over; None before it is connected."""

    @property
    def is_relayed(self) -> bool:
        """Whether it goes over a relay."""


def change(
    now: frozenset[str] | None, came: frozenset[str], current: Reached | None, building: Reached | None
) -> NetworkChanged:
    """For a link whose media go over `current` and that makes `building`: the machine has these addresses
    `now`, those that `came` are new; None: a person says that the network has changed.
    """
    if now is None:
        return NetworkChanged(told=True)
    over = current.local_address if current is not None else None
    known = building.addresses if building is not None else frozenset()
    far = _far(came)
    return NetworkChanged(
        broken=over is not None and over not in now,
        better=bool(came) and current is not None and current.is_relayed,
        unfit=bool(known - now) or bool(known and far and not _far(known)),
        lacks=bool(far - known) and (building is None or bool(known)),
    )


def _far(addresses: frozenset[str]) -> frozenset[str]:
    """Those that lead further than this machine's link."""
    return frozenset(address for address in addresses if not address.startswith(_NEAR))
