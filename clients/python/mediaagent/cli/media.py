"""mute, camera, quality."""

from __future__ import annotations

from typing import Literal

from mediaagent.cli.app import DONE, Common, app, connected
from mediaagent.v1 import media_pb2


@app.command
async def mute(state: Literal["on", "off"] = "on", /, *, common: Common | None = None) -> int:
    """Turns the microphone off (mute on) or on (mute off)."""
    async with connected(common) as (agent, out):
        media = await agent.set_mic_mute(state == "on")
        out.result(media, f"microphone {'muted' if media.is_mic_muted else 'on'}")
    return DONE


@app.command
async def camera(state: Literal["on", "off"], /, *, common: Common | None = None) -> int:
    """Turns the camera on or off."""
    async with connected(common) as (agent, out):
        media = await (agent.open_camera() if state == "on" else agent.close_camera())
        out.result(media, f"camera {'on' if media.is_camera_open else 'off'} ({media.camera})")
    return DONE


@app.command
async def quality(profile: Literal["480p", "720p", "1080p"], /, *, common: Common | None = None) -> int:
    """Chooses the video quality; during a call for the next one."""
    async with connected(common) as (agent, out):
        reply = await agent.set_video_quality(profile)
        now = reply.effect == media_pb2.QUALITY_EFFECT_NOW
        out.result(reply, f"{profile} {'from now on' if now else 'with the next call'}")
    return DONE
