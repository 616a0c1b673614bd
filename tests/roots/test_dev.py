"""The dev root: loud, and gone with its process."""

import logging

import pytest

from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError, RootLocked
from adyton.roots import DevRoot, open_root


def test_it_warns_on_the_adyton_logger(caplog):
    """Each dev root logs one warning that says what it must not be used for."""
    with caplog.at_level(logging.WARNING, logger="adyton"):
        open_root("dev:")
    assert [(r.name, r.levelname) for r in caplog.records] == [("adyton", "WARNING")]
    assert "never use it" in caplog.text


def test_two_dev_roots_do_not_open_each_others_keys():
    """What one wrapped the next one, as after a restart, can't open."""
    with SecretBytes(b"k" * 32) as key:
        wrapped = DevRoot().wrap(key, b"c")
    with pytest.raises(RootLocked):
        DevRoot().unwrap(wrapped, b"c")


def test_a_given_key_stays_the_callers():
    """A key that is passed in is not wiped, and makes roots that open each other's keys."""
    with SecretBytes.random(32) as own:
        with SecretBytes(b"k" * 32) as key:
            wrapped = DevRoot(own).wrap(key, b"c")
        assert not own.wiped
        assert DevRoot(own).unwrap(wrapped, b"c").equals(b"k" * 32)


def test_nothing_may_follow_the_colon():
    """'dev:x' is refused."""
    with pytest.raises(ConfigurationError, match="nothing after its colon"):
        open_root("dev:x")
