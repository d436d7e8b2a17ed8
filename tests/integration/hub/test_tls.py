"""TLS between agent and hub: whose certificates are taken, and that renewed files need no restart."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from mediaagentd import config, configured
from mediaagentd.call.types import Accept, SessionPhase
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.settings import HubSettings
from mediaagentd.signalling.client import HubClient
from structlog.testing import capture_logs

from tests.fakes.hub_ears import Device, Ears
from tests.integration.hub.conftest import APP, Bench, MakeDevice, sig


def made(name: str) -> tuple[bytes, bytes]:
    """A new certificate of 127.0.0.1 that signed itself, and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(1)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
        .add_extension(address, False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    plain = serialization.NoEncryption()
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain),
    )


@pytest.fixture
async def hub(settings: HubSettings, tmp_path: Path) -> AsyncIterator[Bench]:
    """One that serves the certificate `first`, which is the authority `ca.pem` too."""
    certificate, key = made("first")
    for name, pem in (("cert.pem", certificate), ("key.pem", key), ("ca.pem", certificate)):
        (tmp_path / name).write_bytes(pem)
    bench = Bench(settings)
    await bench.start(
        listen="127.0.0.1:0", tls_certificate=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem"
    )
    yield bench
    await bench.stop()


@pytest.fixture
async def secure(hub: Bench) -> AsyncIterator[Callable[..., Device]]:
    """Makes a device whose agent is configured so."""
    clients = []

    def make(**configuration: object) -> Device:
        ca = configured.hub_authorities(config.load(None, configuration))
        client = HubClient(
            hub.target,
            device_id="d",
            sdk_app_id=APP,
            listener=(ears := Ears()),
            heartbeat=1.0,
            tls=True,
            ca=ca,
        )
        clients.append(client)
        return Device(client, ears, "ann", sig("ann"))

    yield make
    for client in clients:
        await client.close()


async def served(target: str) -> str:
    """The name in the certificate that a new connection gets."""

    def connect() -> bytes:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port)), 5) as plain, context.wrap_socket(plain) as wrapped:
            return wrapped.getpeercert(binary_form=True) or b""

    subject = x509.load_der_x509_certificate(await asyncio.to_thread(connect)).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


async def test_an_agent_trusts_whom_it_is_told(
    hub: Bench, tmp_path: Path, device: MakeDevice, secure: Callable[..., Device]
) -> None:
    ann = secure(hub_ca=tmp_path / "ca.pem")
    await ann.login()
    assert (await ann.refused(Accept("none"))).reason is Reason.INVITE_UNKNOWN
    plain = await device("bob", login=False, target=hub.target)
    with pytest.raises(Refused) as refused:
        await plain.login()
    assert refused.value.reason is Reason.HUB_UNREACHABLE


async def test_an_agent_trusts_whom_the_system_trusts(
    hub: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secure: Callable[..., Device]
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))  # stands for the system's
    await secure().login()
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    with pytest.raises(Refused) as refused:
        await secure().login()
    assert refused.value.reason is Reason.HUB_UNREACHABLE


async def test_a_renewed_certificate_is_served(hub: Bench, tmp_path: Path) -> None:
    assert await served(hub.target) == "first"
    certificate, key = made("second")
    with capture_logs() as logs:
        (tmp_path / "key.pem").write_bytes(key)
        assert [await served(hub.target) for _ in range(2)] == ["first"] * 2
        (tmp_path / "cert.pem").unlink()
        assert await served(hub.target) == "first"
        (tmp_path / "cert.pem").write_bytes(certificate)
        assert [await served(hub.target) for _ in range(2)] == ["second"] * 2
    taken = [log["event"] for log in logs if log["event"].startswith("renewed")]
    assert taken == ["renewed_file_not_taken", "renewed_file_not_taken", "renewed_file_taken"]


async def test_a_renewed_authority_is_trusted(
    hub: Bench, tmp_path: Path, secure: Callable[..., Device]
) -> None:
    ann = secure(hub_ca=tmp_path / "ca.pem")
    await ann.login()
    target = hub.target
    await hub.stop()
    certificate, key = made("second")
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    await hub.start(listen=target)
    await ann.ears.phase(SessionPhase.RECONNECTING)
    with pytest.raises(Refused) as refused:
        await secure(hub_ca=tmp_path / "ca.pem").login()  # so much for the former one
    assert refused.value.reason is Reason.HUB_UNREACHABLE
    since = len(ann.ears.heard)
    (tmp_path / "ca.pem").write_bytes(certificate)
    await ann.ears.phase(SessionPhase.ONLINE, since)
