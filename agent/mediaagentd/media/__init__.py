"""Everything that touches pictures, sound and WebRTC."""
