"""Others beside whom a call is measured when asked for:

    python -m tests.bench call --baseline gstreamer,libwebrtc,chromium

Each installs what it needs, and only then: Debian packages with root or sudo, an npm package below `build/`.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from tests.bench import content
from tests.bench.contenders import MakePair, Pair, Setting, described
from tests.bench.networks import NeedsError
from tests.bench.peers import python
from tests.integration.processes import REPOSITORY

HOME = REPOSITORY / "build" / "bench" / "baselines"

WRTC = "@roamhq/wrtc@0.10.0"
"""libwebrtc for Node, BSD; the newest that there was."""

_TYPELIBS, _PLUGINS, _PACKAGES = (
    "/usr/lib/*/girepository-1.0",
    "/usr/lib/*/gstreamer-1.0",
    "/usr/lib/python3/dist-packages",
)
GSTREAMER = (
    f"{_PACKAGES}/gi/overrides/Gst.py=python3-gst-1.0",
    f"{_TYPELIBS}/GstWebRTC-1.0.typelib=gir1.2-gst-plugins-bad-1.0",
    f"{_TYPELIBS}/GstApp-1.0.typelib=gir1.2-gst-plugins-base-1.0",
    f"{_PLUGINS}/libgstwebrtc.so=gstreamer1.0-plugins-bad",
    f"{_PLUGINS}/libgstvpx.so=gstreamer1.0-plugins-good",
    f"{_PLUGINS}/libgstopus.so=gstreamer1.0-plugins-base",
    f"{_PLUGINS}/libgstnice.so=gstreamer1.0-nice",
)


def gstreamer() -> MakePair:
    """`webrtcbin` of Debian, VP8. Raises: NeedsError."""
    _install(GSTREAMER)
    command = python("gst_peer", str(content.ensure()))
    done = subprocess.run(
        [*command[:-1], "--probe"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NeedsError(f"GStreamer does not load: {done.stderr.strip().splitlines()[-1]}")
    return _described(command)


def libwebrtc() -> MakePair:
    """`@roamhq/wrtc` for Node, VP8. Raises: NeedsError."""
    _install(("node=nodejs", "npm=npm"))
    home = HOME / "libwebrtc"
    if not (home / "node_modules" / "@roamhq").exists():
        home.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(home), WRTC]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NeedsError(f"npm cannot install {WRTC}: {done.stderr.strip()[-200:]}")
    film = home / "film.yuv"
    if not film.exists():
        pictures = content.originals(content.ensure())
        film.write_bytes(b"".join(picture.to_ndarray().tobytes() for picture in pictures))
    script = str(Path(__file__).with_name("wrtc_peer.mjs"))
    return _described(
        [shutil.which("node") or "node", script, str(film), str(content.WIDTH), str(content.HEIGHT)]
    )


def chromium() -> MakePair:
    """Debian's, headless, a browser for each end. Raises: NeedsError."""
    return _described(python("chromium_peer", str(chromium_film())))


def chromium_film() -> Path:
    """Installs Debian's Chromium, and makes the film that is its camera. Raises: NeedsError."""
    _install(("chromium=chromium",))
    film = HOME / "film.y4m"
    if not film.exists():
        film.parent.mkdir(parents=True, exist_ok=True)
        head = f"YUV4MPEG2 W{content.WIDTH} H{content.HEIGHT} F{content.FPS}:1 Ip A1:1 C420jpeg\n"
        pictures = content.originals(content.ensure())
        film.write_bytes(
            head.encode() + b"".join(b"FRAME\n" + picture.to_ndarray().tobytes() for picture in pictures)
        )
    return film


BASELINES: dict[str, tuple[str, Callable[[], MakePair]]] = {
    "gstreamer": ("GStreamer webrtcbin, VP8", gstreamer),
    "libwebrtc": ("libwebrtc (@roamhq/wrtc), VP8", libwebrtc),
    "chromium": ("Chromium, headless, VP8", chromium),
}
"""By the word of the flag: how it is told, and what makes it."""


def asked_for(words: str) -> tuple[dict[str, MakePair], dict[str, str]]:
    """Those of a comma-separated list that can be run here, and why the others cannot. Raises: KeyError."""
    found: dict[str, MakePair] = {}
    failed: dict[str, str] = {}
    for word in words.split(","):
        name, make = BASELINES[word.strip()]
        try:
            found[name] = make()
        except NeedsError as needs:
            failed[name] = str(needs)
    return found, failed


def _install(needs: tuple[str, ...]) -> None:
    done = subprocess.run(
        [REPOSITORY / ".ci" / "install-packages", *needs], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NeedsError((done.stderr or done.stdout).strip())


def _described(command: list[str]) -> MakePair:
    def make(directory: Path, how: Setting) -> AbstractAsyncContextManager[Pair]:
        return described(command, directory, how)

    return make
