"""What tests of users' own roots share."""

import contextlib

import pytest

from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import UserRootAway
from adyton.roots import PassphraseRoot
from adyton.roots.passphrase import TEST_PARAMS

OWN = bytes(range(32))


def own(text="the user's own passphrase"):
    """A root that a user holds."""
    return PassphraseRoot(text, params=TEST_PARAMS)


def key(data=OWN):
    """A user root key itself."""
    return SecretBytes(data)


def given_away(store, user="alice"):
    """Set a root for a user and take it away."""
    store.user_roots.set(user, own())
    assert store.user_roots.take(user) is True


@contextlib.contextmanager
def closed():
    """What is done in here needs what a user keeps away."""
    with pytest.raises(UserRootAway, match="own root is away"):
        yield
