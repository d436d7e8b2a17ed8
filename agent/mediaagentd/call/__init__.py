"""The call machine of one agent: pure."""
