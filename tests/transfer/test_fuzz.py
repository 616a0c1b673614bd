"""Whatever bytes come, each reader gives secrets or an AdytonError, and nothing else."""

import contextlib
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adyton.errors import AdytonError
from adyton.transfer import PortableSecret, TransferLimits
from adyton.transfer.bundle import read_bundle, read_document
from adyton.transfer.dotenv import read_dotenv
from adyton.transfer.json_doc import read_json
from adyton.transfer.yaml_doc import read_yaml
from transfer.bundle_vectors import sample
from transfer.helpers import NOW
from transfer.test_bundle import FROM, bundle

LIMITS = TransferLimits(depth=6, value_bytes=1000)
AGE_FILE = bundle()
BUNDLE = json.dumps(sample()).encode()
READERS = {
    "bundle": lambda data: read_bundle(data, identities=FROM, limits=LIMITS),
    "passphrase": lambda data: read_bundle(
        data, passphrase="x", limits=TransferLimits(scrypt_log_n=2)
    ),
    "document": lambda data: read_document(data, limits=LIMITS),
    "dotenv": lambda data: read_dotenv(data, now=NOW, limits=LIMITS),
    "json": lambda data: read_json(data, now=NOW, limits=LIMITS),
    "json-flat": lambda data: read_json(data, now=NOW, flatten=True, limits=LIMITS),
    "yaml": lambda data: read_yaml(data, now=NOW, limits=LIMITS),
    "yaml-flat": lambda data: read_yaml(data, now=NOW, flatten=True, limits=LIMITS),
}
# fmt: off
PIECES = st.sampled_from([
    b"{", b"}", b"[", b"]", b'"', b"'", b":", b": ", b",", b"\n", b" ", b"  ", b"\t", b"-", b"- ",
    b"? ", b"|", b">", b"&a", b"*a", b"!", b"!!str ", b"%YAML 1.2\n", b"%TAG ! x\n", b"---\n",
    b"...\n", b"#", b"\\", b"\\u", b"\\ud800", b"\\x", b"$", b"=", b"export ", b"a", b"b", b"1",
    b"1e999", b"-", b"0", b"null", b"true", b"NaN", b"<<", b"\xff", b"\xc3\xa9", b"\0", b"\r",
    b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"A=", b'"a":', b'{"a":"b"}', b"@", b"`",
])
# fmt: on
ANY = st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=25).map(b"".join))


def check(name, data):
    with contextlib.suppress(AdytonError):
        assert all(isinstance(s, PortableSecret) for s in READERS[name](data))


@pytest.mark.parametrize("name", READERS)
@given(data=ANY)
@example(b"")
@example(b"\xff\xfea\x00")
@example(b"%YAML 99999999999999999999.1\n---\na: b\n")
@example(b'a: "\\UFFFFFFFF"')
@settings(deadline=None, max_examples=400)
def test_any_bytes_give_secrets_or_an_error_of_ours(name, data):
    """Random bytes, and random runs of what the formats are made of, raise nothing foreign."""
    check(name, data)


@given(st.data())
@settings(deadline=None, max_examples=400)
def test_a_changed_document_gives_an_error_of_ours_or_the_same_secrets(data):
    """A bundle's document with bytes replaced or cut out is refused, or means the same."""
    start = data.draw(st.integers(0, len(BUNDLE)))
    end = data.draw(st.integers(start, min(start + 12, len(BUNDLE))))
    changed = BUNDLE[:start] + data.draw(ANY) + BUNDLE[end:]
    try:
        found = read_document(changed, limits=LIMITS)
    except AdytonError:
        return
    assert found == read_document(BUNDLE, limits=LIMITS)


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_a_changed_bundle_gives_an_error_of_ours(data):
    """An age file with a piece replaced by something else is refused."""
    whole = AGE_FILE
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(start + 30, len(whole))))
    piece = data.draw(st.binary(max_size=30).filter(lambda p: p != whole[start:end]))
    with pytest.raises(AdytonError):
        read_bundle(whole[:start] + piece + whole[end:], identities=FROM)
