"""Places where video is shown: streams of pictures, snapshots, recordings."""
