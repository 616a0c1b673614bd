"""Self-made evidence under roots of the tests: bound to nonce, TLS key and log, and to policies."""

import datetime as dt
import json
import subprocess
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from adyton.attest.verifier import load_policy, parse_policy, verify
from adyton.errors import AttestationError, ConfigurationError, InvalidDocument
from adyton.evidence import Binding, Document
from attest.selfmade import NOW, Amd, Aws, Tpm, certificate, der, event_log, root_of
from support import require_program

BINDING = Binding(b"n" * 32, b"k" * 32, "adyton+0102+AQID")
PCRS = {7: b"\x07" * 32, 11: b"\x0b" * 32}


def document(platform, parts, binding=BINDING):
    return Document(platform, binding.nonce, binding.tls_key, binding.log_key, parts)


def check(found, policy, *, nonce=BINDING.nonce, tls_key=BINDING.tls_key, asked_at=NOW, now=NOW):
    return verify(
        found, nonce=nonce, tls_key=tls_key, policy=parse_policy(policy), asked_at=asked_at, now=now
    )


def refused(*args, **more):
    with pytest.raises(AttestationError) as error:
        check(*args, **more)
    return error.value.rule


class Kind:
    """One platform: evidence, and a policy that accepts it."""

    def __init__(self, platform):
        self.platform = platform
        self.maker = {"sev-snp": Amd, "nitro": Aws, "tpm": Tpm}[platform]()

    def parts(self, binding=BINDING, **more):
        data = binding.report_data()
        if self.platform == "tpm":
            return self.maker.parts(data, PCRS, **more)
        return self.maker.parts(data, **more)

    def policy(self, top="", more=""):
        head = f'{top}\n[[accept]]\nplatform = "{self.platform}"\n{more}\n'
        if self.platform == "tpm":
            return f'{head}aks = ["{self.maker.name}"]\n[accept.pcrs]\n"sha256:7" = ["{"07" * 32}"]'
        root = next(iter(self.maker.roots))
        if self.platform == "nitro":
            return f'{head}roots = ["{root}"]\n[accept.pcrs]\n0 = ["{"22" * 48}"]'
        return f'{head}roots = ["{root}"]\nmeasurements = ["{"11" * 48}"]'


@pytest.fixture(scope="module", params=["sev-snp", "nitro", "tpm"])
def kind(request):
    return Kind(request.param)


def test_accepted(kind):
    """What is bound to all three, of an accepted measurement."""
    assert check(document(kind.platform, kind.parts()), kind.policy()).platform == kind.platform


def test_another_nonce_is_refused(kind):
    """A replay: evidence made for another nonce, whatever the document says of it."""
    old = BINDING._replace(nonce=b"o" * 32)
    replayed = document(kind.platform, kind.parts(old), old)
    assert refused(replayed, kind.policy()) == "nonce"
    renamed = document(kind.platform, kind.parts(old), BINDING)
    assert refused(renamed, kind.policy()) == "binding"


def test_another_tls_key_is_refused(kind):
    """A man in the middle: the connection shows another key than the evidence is bound to."""
    assert refused(document(kind.platform, kind.parts()), kind.policy(), tls_key=b"m" * 32) == (
        "tls-key"
    )
    theirs = BINDING._replace(tls_key=b"m" * 32)
    renamed = document(kind.platform, kind.parts(), theirs)
    assert refused(renamed, kind.policy(), tls_key=b"m" * 32) == "binding"


def test_each_region_corrupted_is_refused(kind):
    """Also where no captured evidence is at hand: no byte may differ, and none goes unsigned."""
    parts, policy = kind.parts(), kind.policy()
    fields = {"quote": parts.quote, "signature": parts.signature}
    if kind.platform == "sev-snp":
        fields["quote"] = parts.quote[: 0x2A0 + 144]  # what follows is padding
    for field, data in fields.items():
        for at in range(0, len(data), 5):
            whole = bytearray(getattr(parts, field))
            whole[at] ^= 0x10
            changed = msgspec.structs.replace(parts, **{field: bytes(whole)})
            assert refused(document(kind.platform, changed), policy), (field, at)


def test_no_tls_key_is_refused(kind):
    """A server without TLS of its own can't be told from whoever is in front of it."""
    none = BINDING._replace(tls_key=b"")
    assert refused(
        document(kind.platform, kind.parts(none), none), kind.policy(), tls_key=b""
    ) == "tls-key"  # fmt: skip


def test_another_log_key_is_refused(kind):
    """Named by the policy, and bound by the evidence."""
    accepted = kind.policy('log_keys = ["adyton+0102+AQID"]')
    check(document(kind.platform, kind.parts()), accepted)
    assert refused(document(kind.platform, kind.parts()), kind.policy('log_keys = ["x"]')) == (
        "log-key"
    )
    theirs = BINDING._replace(log_key="x")
    renamed = document(kind.platform, kind.parts(), theirs)
    assert refused(renamed, kind.policy('log_keys = ["x"]')) == "binding"


def test_late_evidence_is_refused(kind):
    """It took longer than max_age, or was asked for in the future."""
    found, policy = document(kind.platform, kind.parts()), kind.policy("max_age = 60")
    check(found, policy, now=NOW + dt.timedelta(seconds=59))
    assert refused(found, policy, now=NOW + dt.timedelta(seconds=61)) == "age"
    assert refused(found, policy, asked_at=NOW + dt.timedelta(hours=1)) == "age"


def test_an_unreviewed_policy_accepts_nothing(kind):
    """One that was written from what a server showed."""
    found = document(kind.platform, kind.parts())
    assert refused(found, kind.policy("reviewed = false")) == "unreviewed"


def test_another_platform_is_refused(kind):
    """No entry is for it; and an empty policy has none at all."""
    found = document(kind.platform, kind.parts())
    tdx = f'[[accept]]\nplatform = "tdx"\nmr_td = ["{"11" * 48}"]'
    assert refused(found, tdx) == refused(found, "") == "platform"


def test_one_entry_of_several_is_enough(kind):
    """The others may refuse."""
    good = kind.policy()
    bad = good.replace("07" * 32, "08" * 32).replace("22" * 48, "23" * 48)
    bad = bad.replace("11" * 48, "12" * 48)
    found = document(kind.platform, kind.parts())
    assert refused(found, bad) in {"pcrs", "measurement"}
    check(found, bad + "\n" + good)


# -- platforms ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def snp():
    return Kind("sev-snp")


@pytest.mark.parametrize(
    ("changed", "more", "rule"),
    [
        ({"policy": 0x30000 | 1 << 19}, "", "debug"),
        ({"policy": 0x30000 | 1 << 18}, "", "guest-policy"),
        ({}, "allow_smt = false", "guest-policy"),
        ({"vmpl": 1}, "", "vmpl"),
        ({}, "min_guest_svn = 3", "svn"),
        ({}, "min_tcb_microcode = 116", "tcb-version"),
        ({}, 'signers = ["vlek"]', "signer"),
        ({}, f'id_key_digests = ["{"55" * 48}"]', "signer"),
        ({}, f'family_ids = ["{"55" * 16}"]', "measurement"),
        ({"measurement": b"\x12" * 48}, "", "measurement"),
        ({"signer": 1}, "", "signer"),
        ({"signer": 7}, "", "signature"),
        ({"family": 0x1A}, "", "malformed"),
        ({"version": 9}, "", "malformed"),
    ],
)
def test_rules_of_snp(snp, changed, more, rule):
    """Each refuses what it is about."""
    found = document("sev-snp", snp.parts(**changed))
    assert refused(found, snp.policy(more=more)) == rule


def test_a_chip_with_another_tcb_or_id_is_refused():
    """The certificate must be of this chip under this very TCB."""
    amd = Amd()
    policy = Kind.policy
    holder = Kind("sev-snp")
    holder.maker = amd
    for attribute, value, rule in (
        ("tcb", (3, 0, 8, 116), "tcb-version"),
        ("chip", b"\x08" * 64, "signer"),
    ):
        kept = getattr(amd, attribute)
        setattr(amd, attribute, value)
        found = document("sev-snp", holder.parts())
        setattr(amd, attribute, kept)
        assert refused(found, policy(holder)) == rule


def test_a_vlek_is_taken_by_its_provider():
    """Its certificate names the provider instead of the chip."""
    holder = Kind("sev-snp")
    holder.maker = Amd(leaf_name="SEV-VLEK")
    found = document("sev-snp", holder.parts(signer=1))
    check(found, holder.policy(more='csp_ids = ["CN=me"]'))
    assert refused(found, holder.policy(more='csp_ids = ["CN=you"]')) == "signer"


def test_a_debug_enclave_of_nitro_is_refused():
    """It measures zeros."""
    aws = Kind("nitro")
    found = document("nitro", aws.parts(pcr0=bytes(48)))
    assert refused(found, aws.policy().replace("22" * 48, "00" * 48)) == "debug"
    old = document("nitro", aws.parts(at=NOW - dt.timedelta(hours=2)))
    assert refused(old, aws.policy()) == "age"


@pytest.mark.parametrize("scheme", [None, 0x14, 0x16])
def test_keys_of_tpms(scheme):
    """ECDSA, RSASSA and RSAPSS."""
    holder = Kind("tpm")
    holder.maker = Tpm(rsa_scheme=scheme)
    found = document("tpm", holder.parts())
    check(found, holder.policy())
    spoiled = document("tpm", Tpm(rsa_scheme=scheme).parts(BINDING.report_data(), PCRS))
    assert refused(spoiled, holder.policy()) == "ak"


@pytest.mark.parametrize("missing", [1, 4, 5, 16, 18])
def test_a_key_that_is_no_attestation_key_is_refused(missing):
    """One that could sign anything, leave its TPM, or came from outside."""
    holder = Kind("tpm")
    holder.maker = Tpm(attributes=(1 << 1 | 1 << 4 | 1 << 5 | 1 << 16 | 1 << 18) & ~(1 << missing))
    assert refused(document("tpm", holder.parts()), holder.policy()) == "ak"
    holder.maker = Tpm(attributes=1 << 1 | 1 << 4 | 1 << 5 | 1 << 16 | 1 << 18 | 1 << 17)
    assert refused(document("tpm", holder.parts()), holder.policy()) == "ak"


@pytest.mark.parametrize(
    "more",
    [{"magic": 0xFF544348}, {"kind": 0x8017}, {"kind": 0x801C}],
)
def test_what_is_no_quote_is_refused(more):
    """Other things that a TPM signs, and what it does not."""
    holder = Kind("tpm")
    assert refused(document("tpm", holder.parts(**more)), holder.policy()) == "malformed"


def test_pcrs_that_were_not_quoted_are_refused():
    """Values beside the quote, changed, added or left out."""
    holder = Kind("tpm")
    parts = holder.parts()
    for pcrs in (
        {**parts.pcrs, "sha256:7": b"\x08" * 32},
        {**parts.pcrs, "sha256:8": b"\x08" * 32},
        {"sha256:7": parts.pcrs["sha256:7"]},
        {},
    ):
        touched = holder.parts()
        touched = type(touched)(touched.quote, touched.signature, touched.public, pcrs)
        assert refused(document("tpm", touched), holder.policy()) == "pcrs"


def test_a_certificate_vouches_for_a_key():
    """Of this key, up to a root that the policy names, and in force."""
    holder = Kind("tpm")
    authority = ec.generate_private_key(ec.SECP384R1())
    root = certificate("TPM maker", authority)
    leaf = certificate("AK", holder.maker.key, (root, authority), ca=False)
    pem = root.public_bytes(Encoding.PEM).decode()
    policy = holder.policy().replace(f'aks = ["{holder.maker.name}"]', f'ak_roots = ["""{pem}"""]')
    check(document("tpm", holder.parts(certificates=[der(leaf), der(root)])), policy)
    check(document("tpm", holder.parts(certificates=[der(leaf), der(root)])), holder.policy())
    assert refused(document("tpm", holder.parts()), policy) == "ak"
    other = certificate("AK", authority, (root, authority), ca=False)
    assert refused(document("tpm", holder.parts(certificates=[der(other), der(root)])), policy) == (
        "ak"
    )
    mine = ec.generate_private_key(ec.SECP384R1())
    fake = certificate("TPM maker", mine)
    forged = certificate("AK", holder.maker.key, (fake, mine), ca=False)
    found = document("tpm", holder.parts(certificates=[der(forged), der(fake)]))
    assert refused(found, policy) == "root"
    found = document("tpm", holder.parts(certificates=[der(forged), der(root)]))
    assert refused(found, policy) == "chain"
    late = NOW + dt.timedelta(days=400)
    found = document("tpm", holder.parts(certificates=[der(leaf), der(root)]))
    assert refused(found, policy, asked_at=late, now=late) == "expired"
    assert root_of(root) != root_of(fake)


def test_the_event_log_is_replayed():
    """Every event of the PCRs that are named must be accepted, and explain the quoted value."""
    events = [
        (0, 8, b"firmware"),
        (4, 5, b"loader"),
        (4, 5, b"kernel"),
        (7, 1, b"keys"),
        (4, 3, b""),
    ]
    log, pcrs = event_log(events, locality=3)
    tpm = Tpm()
    digests = ", ".join(f'"{sha256(data).hexdigest()}"' for _, _, data in events)
    wanted = f"[accept.events]\npcrs = [0, 4]\ndigests = [{digests}]"
    policy = entry("tpm", f'aks = ["{tpm.name}"]', wanted)

    def of(quoted, given):
        return document("tpm", tpm.parts(BINDING.report_data(), quoted, event_log=given))

    check(of(pcrs, log), policy)
    fewer = policy.replace(sha256(b"kernel").hexdigest(), "00" * 32)
    assert refused(of(pcrs, log), fewer) == "event-log"
    assert refused(of(pcrs, b""), policy) == "event-log"
    assert refused(of({**pcrs, 4: b"\x01" * 32}, log), policy) == "event-log"
    assert refused(of({0: pcrs[0]}, log), policy) == "event-log"
    other, _ = event_log([(4, 5, b"loader"), (4, 5, b"other kernel")])
    assert refused(of(pcrs, other), policy) == "event-log"
    for cut in range(0, len(log), 3):
        assert refused(of(pcrs, log[:cut]), policy) in {"event-log", "malformed"}


# -- policies -----------------------------------------------------------------------------------


def entry(platform, *lines):
    """An entry of a policy."""
    return "\n".join(["[[accept]]", f'platform = "{platform}"', *lines])


MR_TD = f'mr_td = ["{"00" * 48}"]'
AK = f'aks = ["000b{"00" * 32}"]'
PCR7 = f'[accept.pcrs]\n"sha256:7" = ["{"00" * 32}"]'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("unknown = 1", "unknown"),
        ("version = 2", "version"),
        ("max_age = 0", "max_age"),
        ("accept = 3", "accept"),
        (entry("sun"), "sun"),
        (entry("tdx"), "mr_td"),
        (entry("sev-snp", f'family_ids = ["{"00" * 16}"]'), "measurements"),
        (entry("sgx", f'mr_signers = ["{"00" * 32}"]'), "isv_prod_ids"),
        (entry("sgx", 'mr_enclaves = ["AB"]'), "mr_enclaves"),
        (entry("sgx", "mr_enclaves = []"), "mr_enclaves"),
        (entry("tdx", MR_TD, "mr_tdd = 1"), "mr_tdd"),
        (entry("tdx", MR_TD, 'statuses = ["Revoked"]'), "Revoked"),
        (entry("tpm", AK), "pcrs"),
        (entry("tpm", PCR7), "aks"),
        (entry("tpm", AK, PCR7.replace("sha256:", "")), "sha256:7"),
        (entry("tpm", 'ak_roots = ["x"]', PCR7), "ak_roots"),
        (entry("nitro", f'[accept.pcrs]\n3 = ["{"00" * 48}"]'), "pcrs"),
        ("[[accept]", "accept"),
    ],
)  # fmt: skip
def test_policies_are_strict(text, told):
    """What is unknown, empty, too wide or misspelt is refused, and the text says what it is."""
    with pytest.raises(InvalidDocument) as error:
        parse_policy(text)
    assert told in str(error.value) or "line" in str(error.value)


def test_files_of_policies(tmp_path):
    """One that is absent, no text or too large is refused."""
    with pytest.raises(ConfigurationError):
        load_policy(tmp_path / "none.toml")
    (tmp_path / "p.toml").write_bytes(b"\xff")
    with pytest.raises(InvalidDocument):
        load_policy(tmp_path / "p.toml")
    (tmp_path / "p.toml").write_bytes(b"#" * 1_100_000)
    with pytest.raises(InvalidDocument):
        load_policy(tmp_path / "p.toml")


VECTORS = Path(__file__).parents[2] / "vectors" / "attestation" / "report-data.json"


def test_report_data_is_as_specified():
    """As docs/spec/attestation.md, section 2, and programs that are none of ours make it."""
    vectors = json.loads(VECTORS.read_text())
    assert len(vectors) == 3
    for each in vectors:
        nonce, key = bytes.fromhex(each["nonce"]), bytes.fromhex(each["tls_key"])
        made = Binding(nonce, key, each["log_key"]).report_data()
        assert made.hex() == each["report_data"]
        assert sha256(made).hexdigest() == each["tpm"]


def test_vectors_are_what_their_script_makes():
    """With printf, xxd and openssl."""
    require_program("xxd")
    require_program("openssl")
    script = Path(__file__).with_name("make_vectors.sh")
    done = subprocess.run(["bash", script], capture_output=True, text=True, check=True)
    assert done.stdout == VECTORS.read_text()
