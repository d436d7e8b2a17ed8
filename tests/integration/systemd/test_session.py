"""`session.conf` as it is shipped: the agent as a user who is logged in, with his sound and his screen."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from mediaagent.v1 import view_pb2
from mediaagentd.media.capture.pattern import read_counter

from tests.integration.daemon.driver import WITHIN
from tests.integration.media.display import HEIGHT, WIDTH, Display
from tests.integration.media.pair import until
from tests.integration.processes import REPOSITORY
from tests.integration.systemd.house import LOBBY, House, in_call, override
from tests.integration.systemd.machine import unavailable

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))

SOUND = """\
[Service]
Type=notify
User=kiosk
RuntimeDirectory=user/4242
RuntimeDirectoryMode=0700
Environment=HOME=/home/kiosk XDG_RUNTIME_DIR=/run/user/4242
ExecStart=pulseaudio -n --daemonize=no --exit-idle-time=-1 --use-pid-file=no \\
  -L "module-null-sink sink_name=spk rate=48000" \\
  -L "module-native-protocol-unix socket=/run/user/4242/pulse/native"
"""
"""The sound server of a user who is logged in."""

HEAR = """\
export XDG_RUNTIME_DIR=/run/user/4242
parec --raw --format=s16le --rate=48000 --channels=1 --device=spk.monitor | head --bytes=288000 > ~/heard
"""
"""Three seconds of what his speaker plays."""

SCREEN = f"""\
[Service]
User=kiosk
RuntimeDirectory=screen
ExecStartPre=sh -c 'xauth -f /home/kiosk/.Xauthority add :77 . 0123456789abcdef0123456789abcdef'
ExecStart=Xvfb :77 -screen 0 {WIDTH}x{HEIGHT}x24 -fbdir /run/screen -nolisten tcp -br \\
  -auth /home/kiosk/.Xauthority
"""
"""His screen."""


async def _log_in(house: House, service: str, display: str = "") -> None:
    """A user called kiosk is there, with that service; the agent is his from now on."""
    box = house.box
    await box.run("useradd", "--uid=4242", "--create-home", "kiosk")
    box.path("/home/kiosk/.asoundrc").write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
    box.path("/etc/systemd/system/session.service").write_text(service)
    shipped = (REPOSITORY / "systemd/session.conf").read_text().replace("/run/user/1000", "/run/user/4242")
    if display:
        shipped = shipped.replace("Environment=WAYLAND", "# Environment=WAYLAND").replace(":0", display)
        for line in ("Environment=DISPLAY", "BindReadOnlyPaths="):
            shipped = shipped.replace(f"# {line}", line)
    await override(box, LOBBY, shipped)
    await box.run("systemctl", "start", "session")


@pytest.mark.skipif(shutil.which("pulseaudio") is None, reason="needs pulseaudio")
async def test_what_a_visitor_says_is_heard_in_the_session(house: House, tmp_path: Path) -> None:
    await _log_in(house, SOUND)
    house.configure(microphone="default", speaker="default")
    await house.box.run("systemctl", "restart", LOBBY)
    async with in_call(house, tmp_path, microphone="synthetic:440") as (_, lobby):
        media = (await lobby.status()).media
        assert len(media.voice_processing) == 3, "microphone and speaker are sound cards"
        await house.box.run("runuser", "-u", "kiosk", "--", "sh", "-c", HEAR)
        sound = np.frombuffer(house.box.path("/home/kiosk/heard").read_bytes(), np.int16)[48_000:]
        assert abs(np.abs(np.fft.rfft(sound)).argmax() * 48_000 / len(sound) - 440) < 2


@pytest.mark.skipif(not (shutil.which("Xvfb") and shutil.which("xauth")), reason="needs xvfb and xauth")
async def test_a_visitor_is_seen_on_the_screen_of_the_session(house: House, tmp_path: Path) -> None:
    await _log_in(house, SCREEN, ":77")
    await house.box.run("systemctl", "restart", LOBBY)
    screen = Display(":77", house.box.path("/run/screen/Xvfb_screen0"), None)  # type: ignore[arg-type]
    async with in_call(house, tmp_path) as (_, lobby):
        window = view_pb2.WindowView(is_fullscreen=True)
        request = view_pb2.StartRemoteViewRequest(view_id="main", user_id="visitor", window=window)
        await lobby.view.StartRemoteView(request, timeout=WITHIN)
        await until(lambda: read_counter(screen.window()) is not None)
