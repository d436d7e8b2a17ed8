"""Encoders and decoders; one of each per stream, shared."""
