"""Revocation lists that a policy brings: for AMD's chain and for that of a TPM's key."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from adyton.attest.verifier import parse_policy
from adyton.errors import InvalidDocument
from attest.selfmade import NOW, Amd, Tpm, certificate, der
from attest.test_binding import BINDING, PCRS, check, document, refused

DAY = dt.timedelta(days=1)


def crl(issuer, key, serials=(), *, name=None, since=NOW - DAY, until=NOW + DAY, part=False):
    """A list as PEM; by RSA-PSS where the key is of RSA, as AMD's are."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(name or issuer.subject)
        .last_update(since)
        .next_update(until)
    )
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
        builder = builder.add_revoked_certificate(revoked.build())
    if part:
        point = x509.IssuingDistributionPoint(None, None, True, False, None, False, False)
        builder = builder.add_extension(point, critical=True)
    scheme = {}
    if isinstance(key, rsa.RSAPrivateKey):
        scheme = {"rsa_padding": padding.PSS(padding.MGF1(hashes.SHA384()), 48)}
    made = builder.sign(key, hashes.SHA384(), **scheme)
    return made.public_bytes(Encoding.PEM).decode()


def quoted(*pems):
    return "crls = [" + ", ".join(f'"""{pem}"""' for pem in pems) + "]"


@pytest.fixture(scope="module")
def amd():
    return Amd()


def accept(maker, *pems):
    """Whether a chip is accepted with these lists: None, or the rule that refuses."""
    policy = (
        f'[[accept]]\nplatform = "sev-snp"\nroots = ["{next(iter(maker.roots))}"]\n'
        f'measurements = ["{"11" * 48}"]\n{quoted(*pems)}\n'
    )
    found = document("sev-snp", maker.parts(BINDING.report_data()))
    try:
        check(found, policy)
    except Exception:
        return refused(found, policy)
    return None


def test_a_chain_that_no_list_names_is_accepted(amd):
    """By the root's list, by both, and with a list of another root beside."""
    root = crl(amd.ark, amd.ark_key, [4711])
    assert accept(amd, root) is None
    assert accept(amd, root, crl(amd.ask, amd.ask_key)) is None
    other = Amd()
    assert accept(amd, root, crl(other.ark, other.ark_key, [amd.ask.serial_number])) is None


def test_what_a_list_names_is_refused(amd):
    """What signs chips' keys, and a chip's key itself; whatever else is in the list."""
    ask, leaf = amd.ask.serial_number, amd.leaf.serial_number
    assert accept(amd, crl(amd.ark, amd.ark_key, [1, ask, 2])) == "revocation"
    fine = crl(amd.ark, amd.ark_key)
    assert accept(amd, fine, crl(amd.ask, amd.ask_key, [leaf])) == "revocation"
    # Serial numbers are the issuer's own: the same number of another one means nothing.
    assert accept(amd, fine, crl(amd.ask, amd.ask_key, [ask])) is None


def test_a_list_has_to_hold_and_to_be_of_the_chain(amd):
    """Too old, too new, signed by somebody else under the issuer's name, or of nobody in it."""
    old = {"since": NOW - 9 * DAY, "until": NOW - DAY}
    assert accept(amd, crl(amd.ark, amd.ark_key, **old)) == "revocation"
    new = {"since": NOW + DAY, "until": NOW + 2 * DAY}
    assert accept(amd, crl(amd.ark, amd.ark_key, **new)) == "revocation"
    stranger = rsa.generate_private_key(65537, 2048)
    assert accept(amd, crl(amd.ark, stranger)) == "revocation"
    assert accept(amd, crl(amd.ark, ec.generate_private_key(ec.SECP384R1()))) == "revocation"
    other = Amd()
    assert accept(amd, crl(other.ask, other.ask_key, name=amd.leaf.subject)) == "revocation"


@pytest.mark.parametrize("wrong", ["part", "text", "none"])
def test_lists_that_are_none_or_do_not_tell_all_make_no_policy(amd, wrong):
    """Said when the policy is read, and not when it is needed."""
    pems = {"part": [crl(amd.ark, amd.ark_key, part=True)], "text": ["a list"], "none": []}[wrong]
    entry = f'[[accept]]\nplatform = "sev-snp"\nmeasurements = ["{"11" * 48}"]\n{quoted(*pems)}\n'
    with pytest.raises(InvalidDocument, match="crls"):
        parse_policy(entry)


def test_a_tpm_whose_maker_has_revoked_it():
    """A chain to a root is looked up; a key that is accepted by its name has none."""
    tpm = Tpm()
    root_key = ec.generate_private_key(ec.SECP384R1())
    root = certificate("maker", root_key)
    leaf = certificate("ak", tpm.key, (root, root_key), ca=False)
    parts = tpm.parts(BINDING.report_data(), PCRS)
    parts.certificates[:] = [der(leaf), der(root)]
    found = document("tpm", parts)
    pem = root.public_bytes(Encoding.PEM).decode()

    def policy(key, listed):
        return (
            f'[[accept]]\nplatform = "tpm"\n{key}\n{quoted(crl(root, root_key, listed))}\n'
            f'[accept.pcrs]\n"sha256:7" = ["{"07" * 32}"]'
        )

    by_root = f'ak_roots = ["""{pem}"""]'
    check(found, policy(by_root, []))
    assert refused(found, policy(by_root, [leaf.serial_number])) == "revocation"
    check(found, policy(f'aks = ["{tpm.name}"]', [leaf.serial_number]))
