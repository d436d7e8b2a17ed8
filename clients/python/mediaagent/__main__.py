"""`python -m mediaagent` is the command line."""

import sys

from mediaagent.cli import main

sys.exit(main())
