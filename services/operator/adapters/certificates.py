"""
Certificates for a local Apache Kafka and the services that use it, made by OpenSSL, and exchanged while both run.
"""

import shutil
import subprocess
from pathlib import Path

from shared.broker.local import LocalKafka
from shared.errors import Fatal

DAYS = 2
OPENSSL_SECONDS_MAX = 30.0
AUTHORITIES = ("first", "second")
"""Two, both trusted from the beginning, as while an authority is being replaced."""


class Certificates:
    """
    A folder with two authorities, the services' certificate (`client.pem`, `client.key`) and whom all trust
    (`trusted.pem`). `issued` counts the issues; each is of another authority than the one before.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.issued = 0

    def environ(self, bootstrap_servers: str) -> dict[str, str]:
        """What services need to come over TLS."""
        return {
            "HOLDFAST_KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
            "HOLDFAST_KAFKA_SECURITY_PROTOCOL": "SSL",
            "HOLDFAST_KAFKA_SSL_CAFILE": str(self._folder / "trusted.pem"),
            "HOLDFAST_KAFKA_SSL_CERTFILE": str(self._folder / "client.pem"),
            "HOLDFAST_KAFKA_SSL_KEYFILE": str(self._folder / "client.key"),
        }

    def issue(self, nodes: LocalKafka) -> None:
        """
        New certificates for every node and for the services; a process uses them from its next start on.

        Raises:
            Fatal: there is no `openssl`, or it refused.

        """
        if not self.issued:
            self._found()
        authority = AUTHORITIES[self.issued % len(AUTHORITIES)]
        self.issued += 1
        self._sign("client", authority)
        for number in nodes.numbers:
            self._sign(f"node-{number}", authority)
            folder = nodes.certificates(number)
            folder.mkdir(parents=True, exist_ok=True)
            pair = (self._text(f"node-{number}.key"), self._text(f"node-{number}.pem"))
            (folder / "keystore.pem").write_text("".join(pair), encoding="ascii")
            (folder / "trusted.pem").write_text(self._text("trusted.pem"), encoding="ascii")

    def _found(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in AUTHORITIES:
            made = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", str(DAYS), "-subj", f"/CN={name}")
            self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", *made)
        trusted = "".join(self._text(f"{name}.pem") for name in AUTHORITIES)
        (self._folder / "trusted.pem").write_text(trusted, encoding="ascii")

    def _sign(self, name: str, authority: str) -> None:
        """A key (PKCS #8, as Kafka wants it) and a certificate for loopback, signed by *authority*."""
        self._openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
                      "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1")  # fmt: skip
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
                      "-days", str(DAYS), "-copy_extensions", "copy", "-out", f"{name}.pem")  # fmt: skip

    def _text(self, name: str) -> str:
        return (self._folder / name).read_text(encoding="ascii")

    def _openssl(self, *arguments: str) -> None:
        command = shutil.which("openssl")
        if command is None:
            raise Fatal("certificates are made by `openssl`, which is not on the PATH; install it")
        done = subprocess.run(  # noqa: S603  OpenSSL, by its full path
            [command, *arguments],
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=OPENSSL_SECONDS_MAX,
            check=False,
        )
        if done.returncode != 0:
            raise Fatal(f"openssl {arguments[0]} failed in {self._folder}: {done.stderr.strip()}")
