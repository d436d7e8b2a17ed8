"""`python -m mediaagentd.demo [DIRECTORY]`: without a directory, build/demo."""

import sys
from pathlib import Path

from mediaagentd.demo.main import OUTPUT, run

if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT))
