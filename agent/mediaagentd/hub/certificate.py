"""The hub's certificate: new connections get the one that lies on the disk when they come."""

from __future__ import annotations

import ssl
from pathlib import Path

import grpc

from mediaagentd.renewed import Renewed

_KEYS = "hub.tls_certificate, hub.tls_key"


def credentials(certificate: Path, key: Path) -> grpc.ServerCredentials:
    """What a server is bound with. While renewed files do not fit each other or cannot be read, the
    certificate before them is served. Raises OSError, with the keys of the configuration.
    """
    renewed = Renewed(_KEYS, (certificate, key), lambda: _pair(certificate, key))
    served = first = renewed.now()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        """Asked by gRPC, in a thread of its own, before each handshake. None: the same as before."""
        nonlocal served
        latest = renewed.now()
        if latest is served:
            return None
        served = latest
        return latest

    return grpc.dynamic_ssl_server_credentials(first, changed)  # type: ignore[arg-type] # the stubs know no None


def _pair(certificate: Path, key: Path) -> grpc.ServerCertificateConfiguration:
    """Of what is none gRPC would say that the address cannot be listened on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password="")
        return grpc.ssl_server_certificate_configuration([(key.read_bytes(), certificate.read_bytes())])
    except ssl.SSLError:
        raise OSError(f"{_KEYS}: not a certificate and its key in PEM, without a password") from None
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise OSError(f"{_KEYS}: {error.strerror}{where}") from None
