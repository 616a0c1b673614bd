"""Genuine captured evidence: accepted at its time by a policy that fits, refused when touched."""

import datetime as dt
import json

import cbor2
import msgspec
import pytest

from adyton.attest.verifier import Policy, authenticate
from adyton.attest.verifier.dcap import Root
from adyton.attest.verifier.rules import AnyEntry
from adyton.errors import AdytonError, AttestationError
from adyton.evidence import Parts
from attest import captured
from attest.captured import CAPTURES

FIRM = {"sev-snp": {"measurements": "measurement"}, "tdx": {"mr_td": "mr_td"},
        "sgx": {"mr_enclaves": "mr_enclave"}}  # fmt: skip


def time_of(capture, parts):
    if capture.at is not None:
        return capture.at
    found = cbor2.loads(parts.quote)
    payload = cbor2.loads(getattr(found, "value", found)[2])
    return dt.datetime.fromtimestamp(payload["timestamp"] / 1000, dt.UTC)


def entry_for(capture, claims, **changes):
    """An entry of a policy that names what was measured."""
    made = {"platform": capture.platform, **capture.entry}
    if capture.platform == "nitro":
        made["pcrs"] = {name: [claims.pcrs[name]] for name in ("0", "1", "2", "8")}
    for rule, claim in FIRM.get(capture.platform, {}).items():
        made[rule] = [claims.facts[claim]]
    if capture.platform == "sev-snp":
        made["max_vmpl"] = claims.facts["vmpl"]
    made.update(changes)
    return msgspec.convert(made, AnyEntry)


@pytest.fixture(params=CAPTURES)
def capture(request):
    captured.need()
    found = CAPTURES[request.param]
    parts = found.load()
    at = time_of(found, parts)
    return found, parts, at, authenticate(found.platform, parts, at)


def test_accepted_by_a_policy_that_fits(capture):
    """Signature, chain, TCB and measurement hold at the time of the capture."""
    found, _, _, claims = capture
    assert claims.debug == found.debug
    entry_for(found, claims).judge(claims)


def test_a_debug_guest_is_refused_unless_allowed(capture):
    """By default; others are not."""
    found, _, _, claims = capture
    entry = entry_for(found, claims, allow_debug=False)
    if found.debug:
        with pytest.raises(AttestationError) as refused:
            entry.judge(claims)
        assert refused.value.rule == "debug"
    else:
        entry.judge(claims)


def test_another_measurement_is_refused(capture):
    """One digit of what was measured differs."""
    found, _, _, claims = capture
    if found.platform == "nitro":
        wrong = {"pcrs": {"0": ["ab" * 48]}}
    else:
        name = next(iter(FIRM[found.platform]))
        size = len(claims.facts[FIRM[found.platform][name]])
        wrong = {name: ["ab" * (size // 2)]}
    with pytest.raises(AttestationError) as refused:
        entry_for(found, claims, **wrong).judge(claims)
    assert refused.value.rule == ("pcrs" if found.platform == "nitro" else "measurement")


def strides(size, most):
    """Places spread over all of some bytes, both ends among them."""
    return sorted({*range(0, size, max(1, size // most)), size - 1})


def refuses(found, parts, at):
    """Whether evidence is refused by an error of ours; anything else fails the test."""
    try:
        authenticate(found.platform, parts, at)
    except AttestationError as error:
        return bool(error.rule)
    return False


def test_each_region_corrupted_is_refused(capture):
    """One bit of the quote, at places all over it."""
    found, parts, at, _ = capture
    most = 120 if found.platform == "nitro" else 300
    for place in strides(len(parts.quote), most):
        touched = bytearray(parts.quote)
        touched[place] ^= 1 << place % 8
        assert refuses(found, msgspec.structs.replace(parts, quote=bytes(touched)), at), place
    size = len(parts.quote.rstrip(b"\0"))  # the kernel fills up a quote of TDX with zeros
    for cut in (0, 1, size // 2, size - 1):
        assert refuses(found, msgspec.structs.replace(parts, quote=parts.quote[:cut]), at), cut
    longer = msgspec.structs.replace(parts, quote=parts.quote + b"\x01")
    assert refuses(found, longer, at)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
def test_each_bit_corrupted_is_refused(capture):
    """Every byte of the quote, three ways."""
    found, parts, at, _ = capture
    for place in range(len(parts.quote)):
        for change in (1, 0x80, 0xFF):
            touched = bytearray(parts.quote)
            touched[place] ^= change
            changed = msgspec.structs.replace(parts, quote=bytes(touched))
            assert refuses(found, changed, at), (place, change)


def test_each_region_of_certificates_corrupted_is_refused(capture):
    """One bit of each certificate, at places all over it; and each one left out."""
    found, parts, at, _ = capture
    for number, each in enumerate(parts.certificates):
        for place in strides(len(each), 60):
            touched = bytearray(each)
            touched[place] ^= 1 << place % 8
            chain = [*parts.certificates]
            chain[number] = bytes(touched)
            assert refuses(found, msgspec.structs.replace(parts, certificates=chain), at), place
        chain = parts.certificates[:number] + parts.certificates[number + 1 :]
        assert refuses(found, msgspec.structs.replace(parts, certificates=chain), at), number


def test_another_time_is_refused(capture):
    """Before it was made, and after certificates or collateral have ended."""
    found, parts, at, _ = capture
    for years in (-30, 30):
        assert refuses(found, parts, at.replace(year=at.year + years))


@pytest.mark.parametrize("name", ["tdx", "sgx"])
def test_collateral_ends(name):
    """Intel's lasts for a month: then it is refused, and so is one that is not issued yet."""
    captured.need()
    found = CAPTURES[name]
    for days in (-7, 40):
        with pytest.raises(AttestationError) as refused:
            authenticate(found.platform, found.load(), found.at + dt.timedelta(days=days))
        assert refused.value.rule == "collateral-age"


@pytest.mark.parametrize("name", ["tdx", "sgx"])
def test_collateral_corrupted_is_refused(name):
    """Each part of it, touched or of the other kind."""
    captured.need()
    found = CAPTURES[name]
    parts = found.load()
    other = json.loads(CAPTURES["sgx" if name == "tdx" else "tdx"].load().collateral)
    given = json.loads(parts.collateral)
    for key, value in given.items():
        if key == "pck_crl_issuer_chain":
            continue  # not read: the list is checked by the quote's own chain up to Intel's root
        for bad in (value.replace("a", "b", 1), value[: len(value) // 3], ""):
            touched = json.dumps({**given, key: bad})
            if bad == value:
                continue
            assert refuses(found, msgspec.structs.replace(parts, collateral=touched), found.at), key
    mixed = json.dumps({**given, "tcb_info": other["tcb_info"],
                        "tcb_info_signature": other["tcb_info_signature"]})  # fmt: skip
    assert refuses(found, msgspec.structs.replace(parts, collateral=mixed), found.at)


def test_an_outdated_platform_is_refused():
    """Its TCB is below every level that Intel knows."""
    parts = captured.quote("tdx_quote_outdated")()
    with pytest.raises(AttestationError) as refused:
        authenticate("tdx", parts, captured.day("2026-03-01"))
    assert refused.value.rule == "tcb-status"


def test_a_status_that_is_not_allowed_is_refused():
    """The quote verifies; its TCB needs hardening, and by default only UpToDate is accepted."""
    captured.need()
    found = CAPTURES["sgx"]
    claims = authenticate("sgx", found.load(), found.at)
    with pytest.raises(AttestationError) as refused:
        entry_for(found, claims, statuses=["UpToDate"]).judge(claims)
    assert refused.value.rule == "tcb-status"
    with pytest.raises(AttestationError) as refused:
        entry_for(found, claims, refused_advisories=["INTEL-SA-00615"]).judge(claims)
    assert refused.value.rule == "tcb-status"
    with pytest.raises(AttestationError) as refused:
        entry_for(found, claims, min_isv_svn=1).judge(claims)
    assert refused.value.rule == "svn"


def test_an_older_tcb_of_amd_is_refused():
    """Each component has a least version."""
    captured.need()
    found = CAPTURES["genoa"]
    claims = authenticate("sev-snp", found.load(), found.at)
    for name, value in (("bootloader", 11), ("tee", 1), ("snp", 28), ("microcode", 28)):
        with pytest.raises(AttestationError) as refused:
            entry_for(found, claims, **{f"min_tcb_{name}": value}).judge(claims)
        assert refused.value.rule == "tcb-version"


def test_certificates_of_another_chip_are_refused():
    """Milan's with Genoa's report, and a VLEK where a VCEK signed."""
    captured.need()
    loaded = {name: CAPTURES[name].load() for name in ("milan", "genoa", "vlek")}
    for name, parts in loaded.items():
        for other, theirs in loaded.items():
            if name == other:
                continue
            mixed = msgspec.structs.replace(parts, certificates=theirs.certificates)
            assert refuses(CAPTURES[name], mixed, captured.day("2025-06-01")), (name, other)


@pytest.mark.parametrize("name", ["milan", "genoa", "vlek", "nitro"])
def test_wrong_roots_are_refused(name):
    """A chain that holds, to a root that is not one of those that are pinned."""
    captured.need()
    found = CAPTURES[name]
    parts = found.load()
    with pytest.raises(AttestationError) as refused:
        authenticate(found.platform, parts, time_of(found, parts), roots=frozenset(["ab" * 32]))
    assert refused.value.rule == "root"


@pytest.mark.parametrize("name", ["tdx", "sgx"])
def test_another_root_than_intels_is_refused(name):
    """The quote leads to Intel's, and somebody else's is trusted."""
    captured.need()
    found = CAPTURES[name]
    other = Root(captured.chain("nitro_root.pem")[0])
    with pytest.raises(AttestationError) as refused:
        authenticate(found.platform, found.load(), found.at, intel=other)
    assert refused.value.rule == "root"


@pytest.mark.parametrize("name", ["tdx_spr.dat", "tdx_v5.dat"])
def test_a_quote_without_collateral_is_refused(name):
    """Of quotes of versions 4 and 5 alike."""
    with pytest.raises(AttestationError) as refused:
        authenticate("tdx", Parts(captured.read(name)), captured.day("2025-06-25"))
    assert refused.value.rule == "collateral"


def test_no_evidence_is_that_of_another_platform(capture):
    """Evidence that is sent under another platform's name is refused, by an error of ours."""
    found, parts, at, _ = capture
    for platform in ("tpm", "sev-snp", "tdx", "sgx", "nitro", "unheard-of"):
        if platform != found.platform:
            with pytest.raises(AdytonError):
                authenticate(platform, parts, at)


def test_an_empty_policy_accepts_nothing(capture):
    """It has no entry for any platform."""
    found = capture[0]
    assert [entry for entry in Policy().accept if entry.platform == found.platform] == []
