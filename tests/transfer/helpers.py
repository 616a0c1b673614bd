"""Strategies and tools that the tests of transfer share."""

import datetime as dt
import os
import shutil
import unicodedata

import pytest
from hypothesis import strategies as st

from adyton.errors import InvalidName
from adyton.model import CONTENT_BYTES, CONTENT_JSON, CONTENT_TEXT, State, secret_name
from adyton.transfer import PortableSecret, PortableVersion
from adyton.transfer.records import MAX_US

NOW = dt.datetime(2026, 2, 1, 12, 0, 0, 250_000, tzinfo=dt.UTC)
CANARY = "c4n4ry-must-not-be-shown"


def need_program(name, package):
    """Path of a program; without it the test is skipped, and fails where CI=true."""
    path = shutil.which(name)
    if path is None:
        text = f"the program {name!r} is missing: apt-get install {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        pytest.skip(text)
    return path


def _is_name(text):
    try:
        secret_name(text)
    except InvalidName:
        return False
    return True


_TEXT = st.text(st.characters(codec="utf-8"))
_SEGMENTS = st.text(
    st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters="/"),
    min_size=1,
    max_size=6,
).map(lambda text: unicodedata.normalize("NFC", "x" if text in {".", ".."} else text))
NAMES = st.lists(_SEGMENTS, min_size=1, max_size=3).map("/".join).filter(_is_name)
_TAGS = st.lists(NAMES, max_size=3).map(tuple)
_MAPS = st.dictionaries(NAMES, _TEXT.map(lambda t: t[:1024]), max_size=3)
_TIMES = st.integers(0, MAX_US)


@st.composite
def _versions(draw):
    numbers = sorted(draw(st.sets(st.integers(1, 2**53 - 1), min_size=1, max_size=3)))
    found = []
    for number in numbers:
        state = draw(st.sampled_from(State))
        value = None if state is State.DESTROYED else draw(st.binary(max_size=64))
        content_type = draw(st.sampled_from((CONTENT_BYTES, CONTENT_TEXT, CONTENT_JSON, "x/y")))
        actor = draw(_TEXT.map(lambda t: t[:512]))
        found.append(PortableVersion(number, draw(_TIMES), actor, state, content_type, value))
    return tuple(found)


SECRETS = st.builds(
    PortableSecret,
    name=NAMES,
    tags=_TAGS,
    attributes=_MAPS,
    expires_us=st.none() | _TIMES,
    max_versions=st.integers(0, 1000),
    created_us=_TIMES,
    updated_us=_TIMES,
    rotation=_MAPS,
    versions=_versions(),
)
BATCHES = st.lists(SECRETS, max_size=3, unique_by=lambda s: s.name)


def secret(name="db/password", value=b"correct horse", content_type=CONTENT_TEXT, **more):
    """A secret of one version."""
    fields = {
        "tags": (),
        "attributes": {},
        "expires_us": None,
        "max_versions": 0,
        "created_us": 1_770_000_000_000_000,
        "updated_us": 1_770_000_000_000_001,
        "rotation": {},
        "versions": (
            PortableVersion(1, 1_770_000_000_000_001, "cli:a", State.LIVE, content_type, value),
        ),
    }
    return PortableSecret(name=name, **(fields | more))


def values(secrets):
    """Names and current values."""
    return {s.name: bytes(s.current.value) for s in secrets}


def chain(error):
    """An error's text, its hint and those of everything behind it."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error), getattr(error, "hint", "")]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(texts)
