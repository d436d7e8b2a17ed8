"""No event loop but that of a test; a sound system and a display for who asks for one."""

from __future__ import annotations

import asyncio

from tests.integration.media.display import display
from tests.integration.media.sound_system import sound_system

__all__ = ["display", "sound_system"]

# pytest-asyncio remembers the thread's loop of before its own by asyncio.get_event_loop(), which makes one
# that nobody closes: a ResourceWarning in whichever test the garbage collector comes by. Without a loop that
# was ever set it raises instead, and nothing is made.
asyncio.set_event_loop(None)
