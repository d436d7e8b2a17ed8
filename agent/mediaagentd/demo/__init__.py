"""The demonstration: one hub, two daemons, a whole story, driven only through the thin client.

`mediaagentd demo`, or `python -m mediaagentd.demo`. Writes report.json and pictures to build/demo.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Plays it; 0 when every step happened, 1 otherwise, 130 when interrupted."""
    from mediaagentd.demo import performance

    parser = argparse.ArgumentParser(
        "mediaagentd demo", description="A whole story between two agents and a hub, played and measured."
    )
    parser.add_argument(
        "output", nargs="?", type=Path, default=Path("build") / "demo", help="directory (build/demo)"
    )
    return performance.run(parser.parse_args(arguments).output)
