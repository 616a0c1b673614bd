"""Evidence as a real server shows it, over TLS, from a TPM of software."""

import datetime as dt
import json
import secrets
import threading
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from adyton.attest.options import EvidenceOptions
from adyton.attest.verifier import authenticate, check_binding, parse_policy, tpmkey, verify
from adyton.errors import AttestationError
from adyton.evidence import parse_document
from attest.selfmade import certificate, event_log
from attest.serving import AttestedServer
from rootpeers import SoftTpm
from servers import Server
from support import require_module, require_program


def judged(server, document, key, nonce, policy=None):
    now = dt.datetime.now(dt.UTC)
    return verify(
        document, nonce=bytes.fromhex(nonce), tls_key=key, asked_at=now, now=now,
        policy=parse_policy(policy or server.policy()),
    )  # fmt: skip


def test_a_real_quote_is_accepted(server):
    """Of this TPM's key, these PCRs, this nonce, the connection's key; by GET and POST alike."""
    nonce = secrets.token_hex(32)
    for more in ({}, {"method": "POST", "body": {"nonce": nonce}}):
        document, key = server.document(nonce, **more)
        assert document.log_key.startswith("adyton/")
        judged(server, document, key, nonce)


def test_what_differs_is_refused(server):
    """Nonce, key of TLS, PCR, attestation key."""
    nonce = secrets.token_hex(32)
    document, key = server.document(nonce)
    cases = [
        ("nonce", {"nonce": secrets.token_hex(32)}),
        ("tls-key", {"key": b"x" * 32}),
        ("pcrs", {"policy": server.policy(pcr16="ab" * 32)}),
        ("ak", {"policy": server.policy(ak="000b" + "ab" * 32)}),
    ]
    for rule, changed in cases:
        given = {"nonce": nonce, "key": key, "policy": None, **changed}
        with pytest.raises(AttestationError) as refused:
            judged(server, document, given["key"], given["nonce"], given["policy"])
        assert refused.value.rule == rule


def test_an_extended_pcr_is_refused(tmp_path, tpm):
    """Software that measures itself otherwise changes the quote."""
    with AttestedServer(tmp_path, tpm) as server:
        policy = server.policy()
        tpm.extend(16)
        nonce = secrets.token_hex(32)
        document, key = server.document(nonce)
        with pytest.raises(AttestationError) as refused:
            judged(server, document, key, nonce, policy)
        assert refused.value.rule == "pcrs"


@pytest.mark.parametrize(
    "query",
    ["", "nonce=", "nonce=ab", "nonce=zz" + "ab" * 32, "nonce=" + "ab" * 65, "nonce=" + "AB" * 32,
     "nonce=" + "ab" * 32 + "&x=1", "nonce=" + "ab" * 32 + "&nonce=" + "ab" * 32,
     "nonce=" + "ab" * 32 + "&tls_key=ab", "nonce=" + "ab" * 32 + "&tls_key=" + "ab" * 32],
)  # fmt: skip
def test_bad_requests(server, query):
    """400, and never evidence for a key that the server does not hold."""
    status, data, _ = server.ask(query=query)
    assert (status, b"quote" in data) == (400, False)
    assert json.loads(data)["type"].endswith(":invalid-input")


def test_bad_bodies(server):
    """Of POST; and a GET takes none."""
    for body in ({}, {"nonce": 3}, {"nonce": "ab"}, {"nonce": "ab" * 32, "x": 1}, [], None):
        status, data, _ = server.ask(method="POST", body=body)
        assert status in {400, 415}, data
    assert server.ask(method="PUT", body={})[0] == 405


def test_after_a_change_of_certificates(tmp_path, tpm):
    """New connections show the new key in TLS and in evidence; old ones can name theirs."""
    with AttestedServer(tmp_path, tpm, drain="1h") as server:
        first, first_key = server.document()
        assert first.tls_key == first_key
        kept = server.connect()
        kept.connect()
        server.put("second")
        server.until("second")
        second, second_key = server.document()
        assert second.tls_key == second_key != first_key
        query = f"nonce={'ab' * 32}&tls_key={first_key.hex()}"
        kept.request("GET", f"/v1/adyton/attestation?{query}")
        answer = kept.getresponse()
        assert answer.status == 200
        assert first_key != second_key
        old = parse_document(answer.read())
        assert old.tls_key == first_key
        now = dt.datetime.now(dt.UTC)
        check_binding(authenticate("tpm", old.evidence, now), old.binding)
        kept.close()


def test_a_sealed_server_shows_evidence(tmp_path, tpm):
    """Before shares are entered; it names no log."""
    (tmp_path / "t").mkdir()
    env = {
        "ADYTON_ATTESTATION_PLATFORM": "tpm", "ADYTON_ATTESTATION_TCTI": tpm.tcti,
        "ADYTON_ATTESTATION_PCRS": "sha256:0+7",
    }  # fmt: skip
    server = Server(
        "serve", "--store", tmp_path / "s.db", "--root", "shamir:2/3", env=env, sealed=True
    )
    try:
        status, _, found = server.raw("GET", f"/v1/adyton/attestation?nonce={'ab' * 32}")
        assert (status, found["platform"], found["log_key"]) == (200, "tpm", "")
        assert found["tls_key"] == ""  # plain HTTP: bound to no connection
        status, headers, found = server.raw("GET", "/v1/adyton/attestation?nonce=ab")
        assert status == 400
        assert headers["x-request-id"] == found["request_id"]
    finally:
        server.stop()


def test_a_server_without_evidence():
    """404 of its own kind; a TPM that is away is a 503, and the server serves on."""
    server = Server("serve", "--dev")
    try:
        status, _, found = server.raw("GET", f"/v1/adyton/attestation?nonce={'ab' * 32}")
        assert (status, found["type"]) == (404, "urn:adyton:error:attestation-error")
    finally:
        server.stop()


def test_a_tpm_that_goes_away(tmp_path, tpm):
    """It is told, and found again."""
    (tmp_path / "server").mkdir()
    own = SoftTpm(tmp_path / "tpm")
    try:
        with AttestedServer(tmp_path / "server", own) as server:
            before = server.claims().facts["ak"]
            own.stop()
            status, data, _ = server.ask()
            assert status == 503
            assert json.loads(data)["type"].endswith(":evidence-unavailable")
            own.start()
            assert server.claims().facts["ak"] == before
    finally:
        own.stop()


def test_many_who_ask_at_once(server):
    """Quotes are made one by one; whoever is too many is told to come again, and nobody else."""
    statuses = []

    def ask():
        for _ in range(3):
            statuses.append(server.ask(secrets.token_hex(32))[0])

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 429}
    assert statuses.count(200) >= 12


def test_log_and_certificates_that_go_with_a_quote(tmp_path):
    """A log whose events were really measured, and an authority that vouches for the real key."""
    require_program("swtpm")
    require_module("tpm2_pytss")
    events = [(4, 5, b"loader"), (7, 1, b"keys"), (4, 5, b"kernel")]
    log, pcrs = event_log(events)
    (tmp_path / "log").write_bytes(log)
    (tmp_path / "server").mkdir()
    authority = ec.generate_private_key(ec.SECP384R1())
    root = certificate("Our machines", authority, now=dt.datetime.now(dt.UTC))
    own = SoftTpm(tmp_path / "tpm")
    try:
        for pcr, _, data in events:
            own.extend(pcr, data)
        from adyton.attest.tpm import TpmEvidence  # needs the TPM's library

        made = TpmEvidence(EvidenceOptions("tpm", own.tcti, "sha256:4+7"))
        key = tpmkey.parse(made.produce(bytes(64)).public).key
        leaf = certificate("AK", key, (root, authority), ca=False, now=dt.datetime.now(dt.UTC))
        pem = b"".join(each.public_bytes(Encoding.PEM) for each in (leaf, root))
        (tmp_path / "chain.pem").write_bytes(pem)
        env = {
            "ADYTON_ATTESTATION_PCRS": "sha256:4+7",
            "ADYTON_ATTESTATION_EVENT_LOG": str(tmp_path / "log"),
            "ADYTON_ATTESTATION_CERTIFICATES": str(tmp_path / "chain.pem"),
        }
        with AttestedServer(tmp_path / "server", own, env=env) as server:
            digests = [sha256(data).hexdigest() for _, _, data in events]
            trusted = root.public_bytes(Encoding.PEM).decode()
            text = "\n".join(
                ["[[accept]]", 'platform = "tpm"', f"ak_roots = ['''{trusted}''']",
                 "[accept.events]", "pcrs = [4, 7]", f"digests = {json.dumps(digests)}"]
            )  # fmt: skip
            nonce = secrets.token_hex(32)
            document, tls_key = server.document(nonce)
            claims = judged(server, document, tls_key, nonce, text)
            assert {pcr: bytes.fromhex(claims.pcrs[f"sha256:{pcr}"]) for pcr in pcrs} == pcrs
            with pytest.raises(AttestationError) as refused:
                judged(server, document, tls_key, nonce, text.replace(digests[2], "ab" * 32))
            assert refused.value.rule == "event-log"
            own.extend(4, b"something later")
            document, tls_key = server.document(nonce)
            with pytest.raises(AttestationError) as refused:
                judged(server, document, tls_key, nonce, text)
            assert refused.value.rule == "event-log"
    finally:
        own.stop()
