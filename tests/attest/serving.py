"""A real server over TLS with a TPM of software, and what a client needs to know of it."""

import contextlib
import json
import ssl
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adyton.attest.verifier import authenticate
from adyton.evidence import parse_document
from attest.selfmade import dt
from server.test_tls_reload import TOKEN, TlsServer

PCRS = "sha256:0+7+16"


def key_of(pem):
    """SHA-256 of the SubjectPublicKeyInfo of a certificate."""
    spki = x509.load_pem_x509_certificate(pem).public_key()
    return sha256(spki.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


class AttestedServer(TlsServer):
    """A development server that shows quotes of a TPM."""

    token = TOKEN

    def __init__(self, folder, tpm, **more):
        self.tpm = tpm
        env = {
            "ADYTON_ATTESTATION_PLATFORM": "tpm",
            "ADYTON_ATTESTATION_TCTI": tpm.tcti,
            "ADYTON_ATTESTATION_PCRS": PCRS,
            **more.pop("env", {}),
        }
        super().__init__(folder, env=env, **more)
        self.addr = f"https://127.0.0.1:{self.port}"
        self.ca = folder / "ca.pem"

    def ask(self, nonce="ab" * 32, *, method="GET", query=None, body=None):
        """A request for evidence: status and parsed body."""
        with contextlib.closing(self.connect()) as connection:
            target = "/v1/adyton/attestation"
            if query is None and method == "GET":
                query = f"nonce={nonce}"
            headers = {"Content-Type": "application/json"} if body is not None else {}
            data = None if body is None else json.dumps(body)
            connection.request(method, f"{target}?{query}" if query else target, data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), connection.sock.getpeercert(True)

    def document(self, nonce="ab" * 32, **more):
        status, data, der = self.ask(nonce, **more)
        assert status == 200, data
        return parse_document(data), key_of(ssl.DER_cert_to_PEM_cert(der).encode())

    def claims(self):
        found, _ = self.document()
        return authenticate("tpm", found.evidence, dt.datetime.now(dt.UTC))

    def policy(self, *, ak=None, pcr16=None, top=""):
        """The text of a policy that accepts this server, or one that is changed."""
        claims = self.claims()
        lines = [f'"{name}" = ["{value}"]' for name, value in claims.pcrs.items()]
        if pcr16 is not None:
            lines[-1] = f'"sha256:16" = ["{pcr16}"]'
        return "\n".join(
            [top, "[[accept]]", 'platform = "tpm"', f'aks = ["{ak or claims.facts["ak"]}"]',
             "[accept.pcrs]", *lines]
        )  # fmt: skip
