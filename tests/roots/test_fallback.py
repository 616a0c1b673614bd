"""Several roots named for opening: the first that opens the store does."""

import dataclasses
import logging

import pytest

from adyton import SecretStore
from adyton.errors import ConfigurationError, RootError, RootLocked, RootUnavailable
from adyton.roots import open_root
from adyton.wiring import Options, open_store
from shell import Shell


@pytest.fixture
def options(tmp_path):
    """A store of two key files, and one that is nobody's."""
    uris = [f"keyfile:{tmp_path}/{name}" for name in ("first", "second", "other")]
    path = str(tmp_path / "store.db")
    with SecretStore.open(path, root=uris[0], create=True) as store:
        store.set_secret("u", "a", "value")
        store.roots.add(uris[1])
    open_root(uris[2], create=True).close()
    return Options(path, uris[0], upkeep=False), uris, tmp_path


def opened(options, root, *fallbacks):
    found = open_store(dataclasses.replace(options, root=root, fallback_roots=fallbacks))
    with SecretStore(found) as store:
        assert store.get_secret("u", "a").text() == "value"
        return store.health().root["path"]


def test_the_first_that_opens_it_does(options, caplog):
    """Away, refusing, wrongly named: the next; an order that people have chosen is kept."""
    options, (first, second, other), folder = options
    assert opened(options, first, second) == str(folder / "first")
    assert opened(options, other, second) == str(folder / "second")
    with caplog.at_level(logging.WARNING, "adyton.roots"):
        assert opened(options, other, "nothing:", second, first) == str(folder / "second")
    assert "fallback root, of kind keyfile" in caplog.text
    (folder / "first").rename(folder / "moved")
    assert opened(options, first, other, second) == str(folder / "second")


def test_where_none_opens_it_the_first_says_why(options):
    """So a server waits for a root that is away, as it does with one."""
    options, (first, second, other), folder = options
    with pytest.raises(RootLocked):
        opened(options, other)
    with pytest.raises(RootLocked):
        opened(options, other, other)
    (folder / "first").rename(folder / "moved")
    (folder / "second").rename(folder / "moved too")
    with pytest.raises(RootUnavailable):
        opened(options, first, other, second)
    with pytest.raises(ConfigurationError):
        opened(options, "nothing:", second)
    with pytest.raises(RootError):
        opened(options, first)


def test_they_are_named_in_the_configuration(tmp_path):
    """A command takes them too; shares and secrets have no place there."""
    shell = Shell(tmp_path)
    shell("init")
    shell("set", "a", stdin="value")
    shell("root", "add", f"keyfile:{tmp_path}/second")
    (tmp_path / "k").rename(tmp_path / "moved")
    shell("get", "a", code=8)
    named = {"ADYTON_STORE_FALLBACK_ROOTS": f"keyfile:{tmp_path}/second"}
    assert shell("get", "a", **named) == b"value"
    for wrong in ("shamir:2/3", "pkcs11:token=a?pin-value=1234"):
        shell("get", "a", code=2, ADYTON_STORE_FALLBACK_ROOTS=wrong)
    assert "1234" not in shell.error
