"""Pictures in another size or format: by whom, and that they are what the library makes."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import av
import mediaagentd
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from mediaagentd.media.capture.convert import KEPT, converted

MANY_AT_ONCE = """
import threading
import av, numpy as np
from mediaagentd.media.capture.convert import converted

wanted = ((320, 240, "yuv420p"), (480, 360, "yuv420p"), (640, 480, "rgb24"))
for _ in range(100):
    noise = np.random.default_rng(1).integers(0, 255, (720, 640), np.uint8)
    frame, together = av.VideoFrame.from_ndarray(noise, format="yuv420p"), threading.Barrier(len(wanted))

    def convert(*kind):
        together.wait()
        for _ in range(3):
            converted(frame, *kind)

    threads = [threading.Thread(target=convert, args=kind) for kind in wanted]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
"""


def noise(width: int = 64, height: int = 48, pixel_format: str = "yuv420p") -> av.VideoFrame:
    frame = av.VideoFrame(width, height, pixel_format)
    generator = np.random.default_rng(1)
    for each in frame.planes:
        each.update(generator.integers(0, 255, each.buffer_size, np.uint8).tobytes())
    return frame


def test_several_threads_convert_one_picture_at_once() -> None:
    """The frame's own converter ends the process with a segmentation fault."""
    done = subprocess.run([sys.executable, "-c", MANY_AT_ONCE], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_nobody_uses_the_converter_of_a_frame() -> None:
    root = Path(mediaagentd.__file__).parent
    users = [
        f"{path}:{node.lineno}"
        for path in sorted(root.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"reformat", "to_rgb", "to_image"}
    ]
    assert [user.rpartition("/")[2].partition(":")[0] for user in users] == ["convert.py"], users


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuyv422", "nv12", "yuvj422p"])
@pytest.mark.parametrize("size", [(64, 48), (32, 24)])
def test_pictures_are_as_the_library_makes_them_also_the_next_time(
    pixel_format: str, size: tuple[int, int]
) -> None:
    frame = noise(pixel_format=pixel_format)
    wanted = (*size, "rgb24")
    expected = VideoReformatter().reformat(frame, *wanted, interpolation=Interpolation.BILINEAR)
    for _ in range(2):
        made = converted(frame, *wanted)
        assert (made.width, made.height, made.format.name) == wanted
        assert np.array_equal(made.to_ndarray(), expected.to_ndarray())
        for other in range(KEPT):  # what was set up for the first is used again, or made anew
            converted(frame, 16, 16 + 2 * other)


def test_a_range_of_colours_that_changes_is_followed() -> None:
    frame = noise()
    for source in (ColorRange.MPEG, ColorRange.JPEG, ColorRange.MPEG):
        made = converted(frame, pixel_format="rgb24", src_color_range=source, dst_color_range=ColorRange.JPEG)
        expected = VideoReformatter().reformat(
            frame, format="rgb24", src_color_range=source, dst_color_range=ColorRange.JPEG
        )
        assert np.array_equal(made.to_ndarray(), expected.to_ndarray())


def test_what_is_so_already_is_handed_back() -> None:
    frame = noise()
    assert converted(frame, 64, 48, "yuv420p") is frame
