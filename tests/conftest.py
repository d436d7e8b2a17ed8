"""What every test stands on."""

import asyncio

# pytest-asyncio takes over, and leaves open, whatever loop the main thread seems to have: it has none.
asyncio.set_event_loop(None)
