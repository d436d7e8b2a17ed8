"""The command line `mediaagent`.

Exit codes: 0 done; 1 the agent refused; 2 wrong usage; 3 no agent answers; 4 a call that was waited for
was not answered (busy, rejected, timed out, cancelled); 130 interrupted.
"""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Entry point of the console script."""
    try:
        from mediaagent.cli.running import run
    except ModuleNotFoundError as error:
        if error.name not in ("cyclopts", "rich"):
            raise
        sys.stderr.write("mediaagent: the command line needs its extra: pip install 'mediaagent[cli]'\n")
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)
    return run(sys.argv[1:])


def _interrupt(_number: int, _frame: object) -> None:
    """A command that is ended (`timeout`, a terminal that closes) takes back what it began, as on Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)
