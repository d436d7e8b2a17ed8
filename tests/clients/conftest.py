"""Clients of other languages, examples and the demonstration."""

from __future__ import annotations

import asyncio

# pytest-asyncio asks for "the loop before ours"; Python 3.11 then makes one that nobody closes, and its
# ResourceWarning fails a test that has nothing to do with it.
asyncio.set_event_loop(None)
