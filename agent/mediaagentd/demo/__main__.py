"""`python -m mediaagentd.demo [DIRECTORY]`: without a directory, build/demo."""

import sys

from mediaagentd.demo import main

if __name__ == "__main__":
    sys.exit(main())
