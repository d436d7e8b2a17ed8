"""The media agent: one daemon that owns camera, microphone and every WebRTC connection."""
