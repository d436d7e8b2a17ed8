"""`python -m mediaagentd`."""

from mediaagentd.cli import main

if __name__ == "__main__":
    main()
