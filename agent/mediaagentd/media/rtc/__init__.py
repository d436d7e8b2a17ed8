"""One hardened WebRTC connection over aiortc: `peer.Peer`, encoded frames in and out."""
