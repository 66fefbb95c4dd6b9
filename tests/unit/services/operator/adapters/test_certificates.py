"""
Certificates that a local Apache Kafka and its clients are given, and given anew.
"""

import shutil
import ssl
from types import SimpleNamespace

import pytest

from services.operator.adapters import certificates
from services.operator.adapters.certificates import Certificates
from shared.errors import Fatal

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")


@pytest.fixture
def nodes(tmp_path):
    return SimpleNamespace(numbers=(1,), certificates=lambda number: tmp_path / f"node-{number}")


def _greeted(tmp_path, environ, server_chain, server_trust):
    """The certificates that both sides see when they meet, each asking for the other's; in memory, without a socket."""
    client = ssl.create_default_context(cafile=environ["HOLDFAST_KAFKA_SSL_CAFILE"])
    client.load_cert_chain(environ["HOLDFAST_KAFKA_SSL_CERTFILE"], environ["HOLDFAST_KAFKA_SSL_KEYFILE"])
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=server_trust)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(server_chain)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(down, up, server_hostname="127.0.0.1"),
        server.wrap_bio(up, down, server_side=True),
    ]
    for end in ends * 4:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return [end.getpeercert() for end in ends]


def _issuer(certificate):
    return dict(part for parts in certificate["issuer"] for part in parts)["commonName"]


def test_client_and_broker_trust_each_other_before_and_after_an_exchange(tmp_path, nodes):
    made = Certificates(tmp_path / "made")
    environ = made.environ("127.0.0.1:1")
    keystore, trusted = tmp_path / "node-1" / "keystore.pem", tmp_path / "node-1" / "trusted.pem"

    made.issue(nodes)
    old = keystore.read_text()
    first = _greeted(tmp_path, environ, keystore, trusted)
    made.issue(nodes)
    second = _greeted(tmp_path, environ, keystore, trusted)

    assert [_issuer(one) for one in first] == ["first", "first"]
    assert [_issuer(one) for one in second] == ["second", "second"]
    kept = tmp_path / "kept.pem"
    kept.write_text(old)
    mixed = _greeted(tmp_path, environ, kept, trusted)
    assert [_issuer(one) for one in mixed] == ["first", "second"], "while brokers are exchanged one by one"


def test_what_openssl_refuses_is_told(tmp_path, nodes, monkeypatch):
    monkeypatch.setattr(certificates, "DAYS", "many")
    with pytest.raises(Fatal, match="openssl req failed"):
        Certificates(tmp_path / "made").issue(nodes)
