"""Services of the daemon: convert, one call, convert back."""
