"""Whether gRPC is spoken at an address, with TLS or without: to say which of the two is wrong."""

from __future__ import annotations

import contextlib
import socket
import ssl

_CLIENT_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""RFC 9113 section 3.4: what a client begins with; a SETTINGS frame follows."""

_SETTINGS_FRAME = 4
_NO_SETTINGS = bytes([0, 0, 0, _SETTINGS_FRAME, 0, 0, 0, 0, 0])
"""RFC 9113 section 4.1: length 0, type SETTINGS, no flags, stream 0."""

_ANOTHER = "configure another hub_target"
_SECURED = f"set hub_tls = true, or {_ANOTHER}"
_PLAIN = "set hub_tls = false, or hub.tls_certificate of the hub"
_TRUST = "configure hub_ca, or as hub_target a name that is in the certificate"


class GreetingError(Exception):
    """What is there is not what was looked for: what was seen, and what to do about it."""

    def __init__(self, seen: str, advice: str) -> None:
        super().__init__(seen)
        self.advice = advice


def greet(line: socket.socket, tls: ssl.SSLContext | None, host: str) -> None:
    """Greets as a gRPC client does and waits for the answer, over a connection that has a timeout.

    Raises: GreetingError.
    """
    with contextlib.ExitStack() as stack:
        if tls is not None:
            line = stack.enter_context(_secured(line, tls, host))
        try:
            line.sendall(_CLIENT_PREFACE + _NO_SETTINGS)
            answer = line.recv(9)
        except OSError:
            answer = b""
    if answer[3:4] != bytes([_SETTINGS_FRAME]):
        raise GreetingError("speaks no gRPC", _ANOTHER if tls is not None else _SECURED)


def _secured(line: socket.socket, tls: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    try:
        tls.set_alpn_protocols(["h2"])
        return tls.wrap_socket(line, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise GreetingError(f"has a certificate that is not good: {error.verify_message}", _TRUST) from None
    except OSError:  # ssl.SSLError as well
        raise GreetingError("speaks no TLS", _PLAIN) from None
