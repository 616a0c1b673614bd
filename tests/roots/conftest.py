"""The built-in roots, each as a way to open the same one again and again."""

import logging
from typing import NamedTuple

import pytest

from adyton.crypto.gathering import Gathering
from adyton.crypto.secretbytes import SecretBytes
from adyton.crypto.shares import parse
from adyton.roots.dev import DevRoot
from adyton.roots.keyfile import KeyFileRoot
from adyton.roots.passphrase import TEST_PARAMS, PassphraseRoot
from adyton.roots.shamir import ShamirRoot


class Kind(NamedTuple):
    """A kind of root under test."""

    name: str
    reopen: object
    other: object


@pytest.fixture(params=["keyfile", "passphrase", "dev", "shamir"])
def kind(request, tmp_path):
    """``reopen()`` opens the same root again, ``other()`` makes a different one of that kind."""
    logging.getLogger("adyton").setLevel(logging.ERROR)  # the dev root is loud
    if request.param == "keyfile":
        path = tmp_path / "master.key"
        KeyFileRoot.create(path).close()
        made = Kind(
            "keyfile", lambda: KeyFileRoot(path), lambda: KeyFileRoot.create(tmp_path / "2")
        )
    elif request.param == "passphrase":
        made = Kind(
            "passphrase",
            lambda: PassphraseRoot("correct horse battery", params=TEST_PARAMS),
            lambda: PassphraseRoot("correct horse batterz", params=TEST_PARAMS),
        )
    elif request.param == "shamir":
        first, shares = ShamirRoot.create(2, 3)
        known = first.known

        def reopen():
            gathering = Gathering([known])
            for share in shares[1:]:
                gathering.enter(parse(share.hex().encode()))
            with gathering.key(known) as combined:
                return ShamirRoot.of_key(combined, known)

        made = Kind("shamir", reopen, lambda: ShamirRoot.create(2, 3)[0])
    else:
        key = SecretBytes.random(32)
        made = Kind("dev", lambda: DevRoot(key), DevRoot)
    yield made
    logging.getLogger("adyton").setLevel(logging.NOTSET)


@pytest.fixture
def root(kind):
    """One open root."""
    opened = kind.reopen()
    yield opened
    opened.close()
