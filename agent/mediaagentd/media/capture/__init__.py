"""Cameras, microphones and files: what makes pictures and sound."""
