"""Device errors in the contract's words: reason and the source's code."""

from __future__ import annotations

import errno
from pathlib import Path

from mediaagentd.errors import Reason, Refused

NO_MICROPHONE = "60003"
NO_CAMERA = "60004"
NO_PERMISSION = "60005"
NO_SPEAKER = ""
"""The source has no code for that."""


def not_found(what: str, code: str = NO_CAMERA) -> Refused:
    """The device is not there."""
    return Refused(Reason.DEVICE_NOT_FOUND, f"{what}: there is no such device", _metadata(code))


def no_permission(what: str) -> Refused:
    """The device may not be opened by this user."""
    return Refused(
        Reason.DEVICE_PERMISSION,
        f"{what}: permission denied; is the daemon's user in the device's group?",
        {"code": NO_PERMISSION},
    )


def failed(what: str, why: str, code: str = NO_CAMERA) -> Refused:
    """The device is there but does not work."""
    return Refused(Reason.DEVICE_FAILED, f"{what}: {why}", _metadata(code))


def _metadata(code: str) -> dict[str, str]:
    return {"code": code} if code else {}


def from_os_error(what: str, error: OSError, code: str = NO_CAMERA) -> Refused:
    """What an operating system error (PyAV's are such too) means for a device."""
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return not_found(what, code)
    if error.errno in (errno.EACCES, errno.EPERM):
        return no_permission(what)
    return failed(what, error.strerror or type(error).__name__, code)


def check_readable(path: Path, code: str = NO_CAMERA) -> None:
    """Tells absence from lack of permission before a library blurs the two.

    Raises: Refused DEVICE_NOT_FOUND or DEVICE_PERMISSION.
    """
    try:
        with path.open("rb", buffering=0):
            pass
    except OSError as error:
        raise from_os_error(str(path), error, code) from None
