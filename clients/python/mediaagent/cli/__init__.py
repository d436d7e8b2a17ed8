"""The command line `mediaagent`.

Exit codes: 0 done; 1 the agent refused; 2 wrong usage; 3 no agent answers; 4 a call that was waited for
was not answered (busy, rejected, timed out, cancelled); 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

LEAVE_WITHIN = 3.0
"""Seconds that an ended command may take to leave: what it prints may go to somebody who does not read."""


def main() -> int:
    """Entry point of the console script."""
    _open_streams()
    try:
        from mediaagent.cli.running import run
    except ModuleNotFoundError as error:
        if error.name not in ("cyclopts", "rich"):
            raise
        sys.stderr.write("mediaagent: the command line needs its extra: pip install 'mediaagent[cli]'\n")
        return 2
    except KeyboardInterrupt:
        return 130
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)
    return run(sys.argv[1:])


def _open_streams() -> None:
    """What was closed (`>&-`) leads nowhere: else the next socket has its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _interrupt(_number: int, _frame: object) -> None:
    """A command that is ended (`timeout`, a terminal that closes) takes back what it began, as on Ctrl-C, and
    leaves without ceremony when it cannot.
    """
    last = threading.Timer(LEAVE_WITHIN, os._exit, (130,))
    last.daemon = True
    last.start()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)
