"""What every test stands on."""

import asyncio
import signal

import pytest

# pytest-asyncio takes over, and leaves open, whatever loop the main thread seems to have: it has none.
asyncio.set_event_loop(None)

# A shell that runs the tests in its background makes them, and every process that they start, deaf to
# Ctrl-C; a handler, unlike that, is not handed down.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=50, help="how often tests/integration/hub kills the hub")
