"""Whether `mediaagentd check` calls a hub good exactly when the agent could speak with it."""

from __future__ import annotations

import datetime
import ipaddress
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mediaagentd import check
from mediaagentd.config import Config


def _certificate() -> tuple[bytes, bytes]:
    """One of 127.0.0.1 that signed itself, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([]), datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1))
        .add_extension(address, True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return made.public_bytes(pem), key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)


@pytest.fixture(scope="module")
def hubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    """Ports: of one with TLS, one without, and one that takes connections and says nothing."""
    certificate, key = _certificate()
    file = tmp_path_factory.mktemp("hub") / "ca.pem"
    file.write_bytes(certificate)
    server = grpc.server(ThreadPoolExecutor(1))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        places = {
            "tls": server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)])),
            "plain": server.add_insecure_port("127.0.0.1:0"),
            "silent": silent.getsockname()[1],
            "ca": file,
        }
        server.start()
        yield places
        server.stop(None).wait()


@pytest.mark.parametrize(
    ("hub", "host", "tls", "found", "advice"),
    [
        ("plain", "127.0.0.1", False, "answers", ""),
        ("tls", "127.0.0.1", True, "answers", ""),
        ("tls", "127.0.0.1", False, "speaks no gRPC", "hub_tls = true"),
        ("plain", "127.0.0.1", True, "speaks no TLS", "hub_tls = false"),
        ("tls", "localhost", True, "not good: Hostname mismatch", "a name that is in the certificate"),
        ("silent", "127.0.0.1", False, "speaks no gRPC", "another hub_target"),
        ("silent", "127.0.0.1", True, "speaks no TLS", "hub_tls = false"),
    ],
)
def test_a_hub_is_good_when_the_agent_could_speak_with_it(
    hubs: dict[str, object],
    hub: str,
    host: str,
    tls: bool,
    found: str,
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(check, "CONNECT_WITHIN", 0.5)
    told = {"hub_target": f"{host}:{hubs[hub]}", "hub_tls": tls, "hub_ca": hubs["ca"]}
    finding = check._hub(Config.model_validate(told))
    assert finding.good is not bool(advice)
    assert found in finding.found
    assert advice in finding.advice


def test_an_authority_that_nobody_knows_is_named(hubs: dict[str, object]) -> None:
    told = {"hub_target": f"127.0.0.1:{hubs['tls']}", "hub_tls": True}
    finding = check._hub(Config.model_validate(told))
    assert "self-signed certificate" in finding.found
    assert "configure hub_ca" in finding.advice
