"""Generated stubs; see proto/."""
