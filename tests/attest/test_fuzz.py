"""Evidence of strangers: whatever it is, nothing but our errors comes out, and in short time."""

import contextlib
import json

import cbor2
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adyton.attest.verifier import authenticate, eventlog, parse_policy, tpmkey
from adyton.errors import AttestationError, InvalidDocument
from adyton.evidence import Binding, Document, Parts, parse_document
from attest import captured
from attest.captured import CAPTURES
from attest.selfmade import NOW, Amd, Aws, Tpm, event_log

BINDING = Binding(b"n" * 32, b"k" * 32, "log")
PLATFORMS = ("tpm", "sev-snp", "nitro", "tdx", "sgx")
LOG = event_log([(0, 8, b"a"), (4, 5, b"b"), (7, 1, b"c")], locality=3)[0]
MAKERS = {"sev-snp": Amd(), "nitro": Aws(), "tpm": Tpm(rsa_scheme=0x16)}
GOOD = {
    "sev-snp": MAKERS["sev-snp"].parts(BINDING.report_data()),
    "nitro": MAKERS["nitro"].parts(BINDING.report_data()),
    "tpm": MAKERS["tpm"].parts(BINDING.report_data(), {7: bytes(32)}, event_log=LOG),
}
CAPTURED = {name: (parts, NOW) for name, parts in GOOD.items()}
if captured.FOLDER is not None and captured.FOLDER.is_dir():
    for name in ("tdx", "sgx"):
        CAPTURED[name] = (CAPTURES[name].load(), CAPTURES[name].at)
quick = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def ours(platform, parts):
    """Authentic or refused by an error of ours; anything else fails the test."""
    roots = getattr(MAKERS.get(platform), "roots", None)
    try:
        authenticate(platform, parts, NOW, roots=roots)
    except AttestationError as error:
        return error.rule
    return ""


def mutated(data, draw):
    """Bytes with some of them changed, cut, doubled or put in."""
    made = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(made)))
        kind = draw(st.sampled_from("scdi"))
        if kind == "s" and at < len(made):
            made[at] = draw(st.integers(0, 255))
        elif kind == "c":
            del made[at:]
        elif kind == "d":
            made[at:at] = made[at : at + draw(st.integers(1, 64))]
        else:
            made[at:at] = draw(st.binary(max_size=16))
    return bytes(made)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@settings(max_examples=30_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_mutations_without_end(data):
    """As below, and of genuine quotes of TDX and SGX where they are there."""
    platform = data.draw(st.sampled_from(sorted(CAPTURED)))
    parts, at = CAPTURED[platform]
    name = data.draw(st.sampled_from(["quote", "collateral"]))
    value = getattr(parts, name)
    raw = value if isinstance(value, bytes) else value.encode()
    changed = mutated(raw, data.draw)
    made = changed if isinstance(value, bytes) else changed.decode("utf-8", "replace")
    with contextlib.suppress(AttestationError):
        authenticate(platform, msgspec.structs.replace(parts, **{name: made}), at)


@quick
@given(st.sampled_from(PLATFORMS), st.binary(max_size=2000), st.binary(max_size=200),
       st.binary(max_size=200), st.text(max_size=50))  # fmt: skip
def test_any_bytes(platform, quote, signature, public, collateral):
    """Of any platform."""
    parts = Parts(quote, signature, public, {}, signature, [public], collateral)
    assert ours(platform, parts)


@quick
@given(st.data())
def test_mutations_of_what_is_authentic(data):
    """A field that is changed is refused, unless the change is none."""
    platform = data.draw(st.sampled_from(sorted(GOOD)))
    parts = GOOD[platform]
    names = [name for name in ("quote", "signature", "public", "event_log") if getattr(parts, name)]
    name = data.draw(st.sampled_from(names))
    changed = mutated(getattr(parts, name), data.draw)
    rule = ours(platform, msgspec.structs.replace(parts, **{name: changed}))
    if changed != getattr(parts, name) and name != "event_log":  # an empty log is no lie
        assert rule


@quick
@given(st.data())
def test_mutations_of_certificates(data):
    """The chain of a chip."""
    parts = GOOD["sev-snp"]
    number = data.draw(st.integers(0, 2))
    chain = [*parts.certificates]
    chain[number] = mutated(chain[number], data.draw)
    rule = ours("sev-snp", msgspec.structs.replace(parts, certificates=chain))
    assert rule or chain == parts.certificates


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.binary(max_size=60) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.integers(0, 5) | st.sampled_from(["pcrs", "certificate", "timestamp"]), inner, max_size=4
    ),
    max_leaves=12,
)  # fmt: skip


@quick
@given(values, values)
def test_any_document_of_nitro(payload, other):
    """CBOR of any shape, at each place of a COSE_Sign1."""
    for document in (
        payload,
        [cbor2.dumps({1: -35}), {}, cbor2.dumps(payload), b"s" * 96],
        [cbor2.dumps(other), {}, cbor2.dumps(payload), b"s" * 96],
        cbor2.CBORTag(18, [payload, other, payload, other]),
    ):
        assert ours("nitro", Parts(cbor2.dumps(document)))


def test_nested_documents_of_nitro():
    """Too deep, too long, and shared by references to themselves."""
    for quote in (
        b"\x81" * 60_000, b"\x9b" + b"\xff" * 8, b"\xd8\x1c\x81\xd8\x1d\x00", b"\xc2\x5a\x7f",
        b"\x84\x44\xa1\x01\x38\x22\xa0\x58\x20" + b"\xa1" * 32, b"\xd8\x23\x61(",
    ):  # fmt: skip
        assert ours("nitro", Parts(quote))


@quick
@given(st.data())
def test_event_logs(data):
    """Logs that were changed parse or are refused."""
    changed = mutated(LOG, data.draw)
    try:
        values, events = eventlog.parse(changed)
    except AttestationError:
        return
    assert set(events) <= set(values)


@quick
@given(st.data())
def test_keys_of_tpms(data):
    """Public areas that were changed parse or are refused."""
    changed = mutated(GOOD["tpm"].public, data.draw)
    try:
        tpmkey.parse(changed)
    except AttestationError:
        return
    assert len(changed) == len(GOOD["tpm"].public)


DOCUMENT = msgspec.json.encode(
    Document("tpm", BINDING.nonce, BINDING.tls_key, BINDING.log_key, GOOD["tpm"])
)


@quick
@given(st.data())
def test_documents(data):
    """JSON of a server: bytes, changed bytes, and other JSON."""
    raw = data.draw(
        st.binary(max_size=300)
        | st.builds(lambda x: json.dumps(x).encode(), st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=9),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner),
            max_leaves=9,
        ))
    )  # fmt: skip
    for each in (raw, mutated(DOCUMENT, data.draw)):
        with contextlib.suppress(AttestationError):
            parse_document(each)


def test_documents_within_bounds():
    """One as it is sent parses; a huge or deep one is refused."""
    assert parse_document(DOCUMENT).binding == BINDING
    for raw in (b"[" * 100_000, b" " * 5_000_000, DOCUMENT.replace(b"tpm", b"\xff\xfe\xfd")):
        with pytest.raises(AttestationError):
            parse_document(raw)


@quick
@given(st.text(max_size=200))
def test_policies(text):
    """Any text is a policy or refused."""
    for each in (text, f'[[accept]]\nplatform = "tpm"\n{text}'):
        with contextlib.suppress(InvalidDocument):
            parse_policy(each)
