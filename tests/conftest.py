"""What every test stands on."""

import asyncio
import signal

import pytest
from hypothesis import settings

# pytest-asyncio takes over, and leaves open, whatever loop the main thread seems to have: it has none.
asyncio.set_event_loop(None)

# A shell that runs the tests in its background makes them, and every process that they start, deaf to
# Ctrl-C; a handler, unlike that, is not handed down.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same for nohup and the end of a terminal: the tests go on to ignore it, what they start does not.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

# A machine that has other things to do, too, is no failure of the example that it ran meanwhile.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("campaigns", "what takes longer than a minute")
    group.addoption("--campaign", action="store_true", help="long outages, long calls over bad networks")
    group.addoption("--hostile", type=int, default=20_000, help="hostile datagrams in each phase of a call")
    group.addoption("--kills", type=int, default=50, help="how often tests/integration/hub kills the hub")
