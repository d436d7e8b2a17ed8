from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from mediaagentd.call.signal import IceServer
from mediaagentd.media.door import MediaDoor
from mediaagentd.media.settings import LocalMedia, MediaSettings
from mediaagentd.media.types import VideoProfile

SETTINGS = MediaSettings(
    camera="rtsp://user:secret@camera/1", microphone="none", speaker="null", profile=VideoProfile.P480
)


def door(settings: MediaSettings = SETTINGS, changed: Callable[[], None] = lambda: None) -> MediaDoor:
    return MediaDoor(
        settings, report=lambda report: None, send_signal=lambda call, user, signal: None, changed=changed
    )


async def test_a_door_tells_what_is_configured_before_it_opens_and_then_the_engine_does() -> None:
    told: list[LocalMedia] = []
    media = door(changed=lambda: told.append(media.local()))
    assert media.local().camera == "rtsp://camera/1"
    assert media.local().active_profile is VideoProfile.P480
    assert not media.views()
    assert not media.figures()
    media.set_ice_servers([IceServer(("stun:one",), "", "")])
    media.begin()
    await media.opened()
    assert not media.failed
    assert told[-1].encoder, "clients hear of what was not known before"
    assert media.set_profile(VideoProfile.P1080)
    assert media.local().profile is VideoProfile.P1080
    await media.stop()


async def test_a_door_that_was_never_opened_stops() -> None:
    await door().stop()


async def test_media_that_cannot_be_loaded_has_failed(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setitem(sys.modules, "mediaagentd.media.engine", None)
    media = door()
    media.begin()
    await media.opened()
    assert media.failed
    await media.stop()


def test_a_start_loads_no_media_before_it_serves() -> None:
    heavy = "{'av', 'numpy', 'aiortc', 'mediaagentd.hub'}"
    code = f"import sys, mediaagentd.daemon; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
