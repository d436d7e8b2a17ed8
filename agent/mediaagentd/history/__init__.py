"""The calls of this device, kept on its disk."""
