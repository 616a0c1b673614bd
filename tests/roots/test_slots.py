"""Several roots of one store: each opens it alone, and none is left behind by a rotation."""

import pytest

from adyton import SecretStore
from adyton.errors import RootLocked, RootUnavailable
from adyton.ports import MasterKeyRow
from adyton.roots import KeyFileRoot, PassphraseRoot
from adyton.roots.passphrase import TEST_PARAMS


def passphrase(text="correct horse battery"):
    return PassphraseRoot(text, params=TEST_PARAMS)


@pytest.fixture
def path(tmp_path):
    """A store of a key file in slot 0 and a passphrase in slot 2."""
    path = tmp_path / "store.db"
    with SecretStore.open(str(path), root=f"keyfile:{tmp_path}/key", create=True) as store:
        store.set_secret("u", "a", "value")
        core, other = store._opened.core, passphrase()

        async def work(scope):
            for row in await scope.tx.master_keys():
                context = core.ring.master_context(core.ring.store_id, row.version)
                with core.slots[0].unwrap(row.wrapped, context) as key:
                    wrapped = other.wrap(key, context)
                await scope.tx.put_master_key(
                    MasterKeyRow(row.version, 2, other.kind, wrapped, row.created_us, False)
                )

        async def put():
            await core.commit.submit(work)

        core.commit.run_sync(put())
    return path


def test_each_root_opens_the_store(path, tmp_path):
    """By its own slot; what it is, is told; the slots of other kinds stay."""
    for root, slot in ((KeyFileRoot(tmp_path / "key"), 0), (passphrase(), 2)):
        with SecretStore.open(str(path), root=root) as store:
            assert store.get_secret("u", "a").text() == "value"
            assert list(store._opened.core.slots) == [slot]
            assert store.health().root["kind"] == root.kind


def test_another_root_of_a_kind_is_refused(path, tmp_path):
    """A wrong passphrase, and another key file, with the error of their own kind."""
    with pytest.raises(RootLocked, match="passphrase root does not open"):
        SecretStore.open(str(path), root=passphrase("correct horse batterz"))
    with pytest.raises(RootLocked, match="keyfile root does not open"):
        SecretStore.open(str(path), root=KeyFileRoot.create(tmp_path / "other"))


def test_the_master_key_does_not_rotate_past_a_root_that_is_not_here(path, tmp_path):
    """The other root could not open a new version; so there is none, and both go on opening."""
    first = SecretStore.open(str(path), root=f"keyfile:{tmp_path}/key")
    with first as store, pytest.raises(RootUnavailable, match="another root"):
        store.keys.rotate(master=True)
    with SecretStore.open(str(path), root=passphrase()) as store:
        assert store.get_secret("u", "a").text() == "value"
