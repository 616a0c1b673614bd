"""Answers that are nearly right: each becomes a secret or one error of ours, and nothing else."""

import json

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.client.answers import Answer
from adyton.client.shapes import secret_of, secrets_of
from adyton.errors import ServerUnavailable
from client.test_connection import META, secret

GOOD = json.dumps(secret()).encode()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def _try(body):
    answer = Answer(200, httpx.Headers(), bytearray(body))
    for read in (lambda: [secret_of(answer)], lambda: secrets_of(answer)):
        answer.body = bytearray(body)
        try:
            found = read()
        except ServerUnavailable as error:
            assert error.__context__ is None  # noqa: PT017 - on any error
        else:
            for each in found:
                with each:
                    each.reveal()
                    each.metadata.versions  # noqa: B018 - made when it is asked for
                    each.info  # noqa: B018 - idem
        assert not any(answer.body)  # overwritten, whatever came of it


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.integers(0, 4))
def test_single_bytes_that_are_changed_or_lost(at, byte, lost):
    """Every place and every byte of a good answer may be wrong."""
    _try(GOOD[:at] + bytes([byte]) + GOOD[at + lost :])


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(secret())), st.sampled_from(sorted(META)), JSON, st.booleans())
def test_members_of_other_kinds(member, inner, value, deep):
    """Any JSON in the place of any member, outside and in the metadata."""
    body = secret()
    if deep:
        body["metadata"] = META | {inner: value}
    else:
        body[member] = value
    _try(json.dumps(body).encode())
    _try(json.dumps({"items": [secret(), body]}).encode())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(body):
    """Noise is refused."""
    _try(body)
