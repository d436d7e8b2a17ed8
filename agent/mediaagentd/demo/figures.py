"""The table: rates between two readings of the daemons' own totals, and what the story measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mediaagent.v1 import agent_pb2, view_pb2
from rich import box
from rich.console import Console
from rich.table import Table

from mediaagentd.demo.actor import Actor


@dataclass(frozen=True, slots=True)
class Reading:
    """Totals of one daemon at one moment."""

    status: agent_pb2.GetStatusResponse
    stats: agent_pb2.GetStatsResponse


@dataclass(slots=True)
class Figures:
    """What one user's agent did during the five seconds. Rates are bits a second, times milliseconds."""

    user: str
    sees: str
    codec: str = ""
    resolution: str = ""
    fps_received: float = 0.0
    fps_shown: float = 0.0
    video_bitrate: int = 0
    audio_bitrate: int = 0
    round_trip_ms: float | None = None
    cpu_share: float = 0.0
    memory_mib: float = 0.0
    setup_ms: float | None = None
    setup_agent_ms: float | None = None
    connect_ms: float | None = None

    def as_json(self) -> dict[str, Any]:
        """For report.json."""
        return asdict(self)


async def read(actor: Actor) -> Reading:
    """The present totals."""
    return Reading(await actor.agent.status(), await actor.agent.stats())


def between(user: str, sees: str, before: Reading, after: Reading, pictures: int) -> Figures:
    """What happened between two readings; `pictures` were shown meanwhile."""
    old, new = _peer(before.stats, sees), _peer(after.stats, sees)
    seconds = _seconds(after.stats.uptime) - _seconds(before.stats.uptime)
    lived = _seconds(after.status.uptime) - _seconds(before.status.uptime)
    worked = _seconds(after.status.cpu_time) - _seconds(before.status.cpu_time)
    return Figures(
        user,
        sees,
        codec=view_pb2.VideoCodec.Name(new.video_codec).removeprefix("VIDEO_CODEC_"),
        resolution=f"{new.decoded_width}x{new.decoded_height}",
        fps_received=round((new.video_received.frames - old.video_received.frames) / seconds, 2),
        fps_shown=round(pictures / seconds, 2),
        video_bitrate=round((new.video_received.bytes - old.video_received.bytes) * 8 / seconds),
        audio_bitrate=round((new.audio_received.bytes - old.audio_received.bytes) * 8 / seconds),
        round_trip_ms=_ms(new, "round_trip"),
        cpu_share=round(worked / lived, 3),
        memory_mib=round(after.status.resident_bytes / 2**20, 1),
        setup_agent_ms=_ms(new, "first_frame_time"),
        connect_ms=_ms(new, "connect_time"),
    )


def _peer(stats: agent_pb2.GetStatsResponse, user: str) -> agent_pb2.PeerStats:
    return next((peer for peer in stats.peers if peer.user_id == user), agent_pb2.PeerStats())


def _seconds(duration: Any) -> float:
    return float(duration.ToTimedelta().total_seconds())


def _ms(peer: agent_pb2.PeerStats, name: str) -> float | None:
    """A time of the statistics in milliseconds, None when the agent has none."""
    return round(_seconds(getattr(peer, name)) * 1000, 1) if peer.HasField(name) else None  # type: ignore[arg-type]


_ROWS = (
    ("set-up, accept to first picture", "setup_ms", "{:.0f} ms"),
    ("  the agent's own figure", "setup_agent_ms", "{:.0f} ms"),
    ("  connection made", "connect_ms", "{:.0f} ms"),
    ("video received", "fps_received", "{:.1f} fps"),
    ("pictures shown", "fps_shown", "{:.1f} fps"),
    ("resolution", "resolution", "{}"),
    ("codec", "codec", "{}"),
    ("video bitrate", "video_bitrate", "{:,} bit/s"),
    ("audio bitrate", "audio_bitrate", "{:,} bit/s"),
    ("round trip", "round_trip_ms", "{:.1f} ms"),
    ("CPU of the daemon, cores", "cpu_share", "{:.2f}"),
    ("memory of the daemon", "memory_mib", "{:.0f} MiB"),
)


def show(console: Console, figures: list[Figures]) -> None:
    """The table for people: one column per user."""
    table = Table(box=box.ROUNDED if console.is_terminal else box.ASCII, title="five seconds of the call")
    table.add_column("")
    for one in figures:
        table.add_column(f"{one.user} sees {one.sees}", justify="right")
    for title, name, form in _ROWS:
        values = [getattr(one, name) for one in figures]
        table.add_row(title, *("-" if value is None else form.format(value) for value in values))
    console.print(table)
