"""The agent's side of the hub: one session, one stream, commands that arrive."""
