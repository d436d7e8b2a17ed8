"""The media agent: one daemon that owns camera, microphone and every WebRTC connection."""


def version() -> str:
    """Of the installed distribution; a source tree has none."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("mediaagentd")
    except PackageNotFoundError:
        return "unknown"
