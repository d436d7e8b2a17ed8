"""The figures of one connection, put together from those who count."""

from __future__ import annotations

from mediaagentd.media.link import Link
from mediaagentd.media.playout.playout import Slots
from mediaagentd.media.remote import RemoteVideo
from mediaagentd.media.settings import PeerFigures


def figures_of(
    link: Link, remote: RemoteVideo, slots: Slots, in_call_since: float | None
) -> PeerFigures | None:
    """None before there is a peer. `in_call_since`: an instant of `time.monotonic()`."""
    stats = link.stats()
    if stats is None:
        return None
    entered = link.opened if in_call_since is None else min(in_call_since, link.opened)

    def since(instant: float | None) -> float | None:
        return None if instant is None else instant - entered

    return PeerFigures(
        user_id=link.user_id,
        stats=stats,
        connect_time=since(link.connected),
        first_arrival_time=since(link.first_arrival),
        first_frame_time=since(remote.first_decoded),
        frames_decoded=remote.decoded,
        decoded_size=remote.size,
        audio_slots_played=slots.played,
        audio_slots_concealed=slots.concealed,
        lip_sync=None if remote.lag is None or slots.lag is None else remote.lag - slots.lag,
    )
