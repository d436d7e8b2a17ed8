"""The command line `mediaagent`.

Exit codes: 0 done; 1 the agent refused; 2 wrong usage; 3 no agent answers; 4 a call that was waited for
was not answered (busy, rejected, timed out, cancelled); 130 interrupted.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Entry point of the console script."""
    try:
        from mediaagent.cli.app import run
    except ModuleNotFoundError as error:
        if error.name not in ("cyclopts", "rich"):
            raise
        sys.stderr.write("mediaagent: the command line needs its extra: pip install 'mediaagent[cli]'\n")
        return 2
    return run(sys.argv[1:])
