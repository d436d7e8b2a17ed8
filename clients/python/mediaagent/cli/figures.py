"""status, stats and network-changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from mediaagent.cli.app import DONE, Common, Seconds, app, connected
from mediaagent.cli.calls import describe
from mediaagent.cli.output import word
from mediaagent.v1 import agent_pb2, media_pb2, session_pb2, view_pb2


@app.command
async def status(*, common: Common | None = None) -> int:
    """Everything at a glance."""
    async with connected(common) as (agent, out):
        reply = await agent.status()
        out.result(reply, _status_table(reply))
    return DONE


def _status_table(reply: agent_pb2.GetStatusResponse) -> Table:
    """The status for people."""
    table = Table(box=None, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    session, media = reply.session, reply.media
    state = word(session_pb2.SessionState, session.state, "SESSION_STATE_")
    profile = word(media_pb2.VideoProfile, media.profile, "VIDEO_PROFILE_")
    rows = {
        "agent": f"{reply.version}, up {reply.uptime.ToTimedelta().total_seconds():.0f} s",
        "hub": reply.hub,
        "session": f"{session.user_id or 'nobody'}: {state} (device {session.device_id})",
        "call": describe(reply.call) if reply.HasField("call") else "none",
        "camera": f"{media.camera}, {'on' if media.is_camera_open else 'off'}, {profile}",
        "microphone": ", ".join((media.microphone, "muted" if media.is_mic_muted else "on", *_voice(media))),
        "speaker": media.speaker,
        "video": _encoder(media),
        "views": ", ".join(_view(view) for view in reply.views) or "none",
        "load": f"{reply.cpu_time.ToTimedelta().total_seconds():.1f} s of CPU, "
        f"{reply.resident_bytes / 2**20:.0f} MiB, "
        f"loop late by {reply.loop_lag.ToTimedelta().total_seconds() * 1000:.1f} ms",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _voice(media: media_pb2.LocalMedia) -> Iterator[str]:
    for kind in media.voice_processing:
        yield word(media_pb2.VoiceProcessing, kind, "VOICE_PROCESSING_")


def _encoder(media: media_pb2.LocalMedia) -> str:
    if not media.highest_profile:
        return media.video_encoder
    highest = word(media_pb2.VideoProfile, media.highest_profile, "VIDEO_PROFILE_")
    return f"{media.video_encoder}, this machine holds {highest}"


def _view(view: view_pb2.View) -> str:
    return f"{view.view_id} ({view.user_id or 'local'}, {view.WhichOneof('kind')})"


@app.command(name="network-changed")
async def network_changed(*, common: Common | None = None) -> int:
    """Tells the agent that this device's network has changed: connections are made anew under the call."""
    async with connected(common) as (agent, out):
        count = await agent.notify_network_changed()
        reply = agent_pb2.NotifyNetworkChangedResponse(connections=count)
        out.result(reply, f"{count} media connections are made anew")
    return DONE


@app.command
async def stats(
    *,
    interval: Annotated[Seconds, Parameter(help="Seconds between the two readings that give the rates.")] = 1,
    common: Common | None = None,
) -> int:
    """Figures of the present call, per user. With --json: the agent's totals, once."""
    async with connected(common) as (agent, out):
        before = await agent.stats()
        if out.as_json:
            out.result(before, "")
            return DONE
        await asyncio.sleep(interval)
        after = await agent.stats()
        out.result(after, _stats_table(before, after) if after.peers else "there is no call")
    return DONE


def _stats_table(before: agent_pb2.GetStatsResponse, after: agent_pb2.GetStatsResponse) -> Table:
    """Rates between two readings."""
    table = Table()
    for name in ("user", "video out", "video in", "audio out", "audio in", "round trip", "lost"):
        table.add_column(name, justify="left" if name == "user" else "right")
    seconds = (after.uptime.ToTimedelta() - before.uptime.ToTimedelta()).total_seconds() or 1.0
    older = {peer.user_id: peer for peer in before.peers}
    for peer in after.peers:
        past = older.get(peer.user_id, agent_pb2.PeerStats())
        table.add_row(
            peer.user_id,
            _rate(past.video_sent, peer.video_sent, seconds),
            _rate(past.video_received, peer.video_received, seconds),
            _rate(past.audio_sent, peer.audio_sent, seconds),
            _rate(past.audio_received, peer.audio_received, seconds),
            f"{peer.round_trip.ToTimedelta().total_seconds() * 1000:.1f} ms"
            if peer.HasField("round_trip")
            else "-",
            f"{peer.fraction_lost:.1%}",
        )
    return table


def _rate(before: agent_pb2.StreamStats, after: agent_pb2.StreamStats, seconds: float) -> str:
    bits = (after.bytes - before.bytes) * 8 / seconds
    frames = (after.frames - before.frames) / seconds
    return f"{bits / 1000:.0f} kbit/s, {frames:.1f}/s"
