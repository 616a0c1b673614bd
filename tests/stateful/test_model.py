"""The store against a plain dictionary, by random sequences of operations."""

import shutil
import tempfile
from pathlib import Path

import pyrage
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from adyton import SecretStore
from adyton.errors import ImportConflict, SecretNotFound, UserNotFound

USERS = st.sampled_from(["alice", "bob", 42])
NAMES = st.sampled_from(["a", "b", "f/a", "f/b", "ü"])
VALUES = st.binary(max_size=40)
LIVE, DELETED, DESTROYED = "live", "deleted", "destroyed"


class Model:
    """One secret as a plain value: version to [state, value]."""

    def __init__(self):
        self.versions = {}
        self.tags = ()

    @property
    def current(self):
        return max(self.versions)


class StoreMachine(RuleBasedStateMachine):
    """Runs the same operations on both and compares."""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(prefix="adyton-model-"))
        self.model = {}
        self.identity = pyrage.x25519.Identity.generate()
        self.open(create=True)

    def open(self, **options):
        self.store = SecretStore.open(
            str(self.folder / "s.db"),
            root=f"keyfile:{self.folder / 'k'}",
            upkeep=False,
            **options,
        )

    def teardown(self):
        if hasattr(self, "store"):
            self.store.audit.verify()
            self.store.close()
            shutil.rmtree(self.folder)

    def of(self, user):
        return self.model.setdefault(str(user), {})

    @rule(user=USERS, name=NAMES, value=VALUES)
    def set(self, user, name, value):
        secret = self.of(user).setdefault(name, Model())
        number = max(secret.versions, default=0) + 1
        assert self.store.set_secret(user, name, value).version == number
        secret.versions[number] = [LIVE, value]
        for old in sorted(secret.versions)[:-10]:
            del secret.versions[old]

    @rule(user=USERS, values=st.dictionaries(NAMES, VALUES, max_size=4))
    def set_batch(self, user, values):
        if values:
            self.store.set_secrets(user, values)
        for name, value in values.items():
            secret = self.of(user).setdefault(name, Model())
            secret.versions[max(secret.versions, default=0) + 1] = [LIVE, value]
            for old in sorted(secret.versions)[:-10]:
                del secret.versions[old]

    def change(self, user, name, call, before, after):
        secret = self.of(user).get(name)
        if secret is None:
            with pytest.raises(SecretNotFound):
                call(user, name)
            return
        call(user, name)
        version = secret.versions[secret.current]
        if version[0] == before:
            version[0] = after

    @rule(user=USERS, name=NAMES)
    def delete(self, user, name):
        self.change(user, name, self.store.delete_secret, LIVE, DELETED)

    @rule(user=USERS, name=NAMES)
    def undelete(self, user, name):
        self.change(user, name, self.store.undelete_secret, DELETED, LIVE)

    @rule(user=USERS, name=NAMES, which=st.integers(0, 9))
    def destroy_version(self, user, name, which):
        secret = self.of(user).get(name)
        if secret is None:
            return
        number = sorted(secret.versions)[which % len(secret.versions)]
        self.store.destroy_secret(user, name, versions=[number])
        secret.versions[number] = [DESTROYED, None]

    @rule(user=USERS, name=NAMES)
    def destroy(self, user, name):
        if self.of(user).pop(name, None) is None:
            with pytest.raises(SecretNotFound):
                self.store.destroy_secret(user, name)
        else:
            self.store.destroy_secret(user, name)

    @rule(user=USERS, name=NAMES, which=st.integers(0, 9))
    def rollback(self, user, name, which):
        secret = self.of(user).get(name)
        if secret is None:
            return
        number = sorted(secret.versions)[which % len(secret.versions)]
        state, value = secret.versions[number]
        if state != LIVE:
            with pytest.raises(SecretNotFound):
                self.store.rollback_secret(user, name, number)
            return
        new = self.store.rollback_secret(user, name, number).version
        assert new == max(secret.versions) + 1
        secret.versions[new] = [LIVE, value]
        for old in sorted(secret.versions)[:-10]:
            del secret.versions[old]

    @rule(user=USERS, name=NAMES, tags=st.sets(st.sampled_from(["t", "u", "v"])))
    def tag(self, user, name, tags):
        secret = self.of(user).get(name)
        if secret is not None:
            secret.tags = tuple(sorted(tags))
            assert self.store.update_secret_tags(user, name, tags).tags == secret.tags

    @rule(user=st.none() | USERS)
    def rotate(self, user):
        if user is not None and user_unknown(self.store, user):
            with pytest.raises(UserNotFound):
                self.store.keys.rotate(user)
        else:
            self.store.keys.rotate(user)

    @rule(deep=st.booleans())
    def rewrap(self, deep):
        self.store.keys.rewrap(deep=deep)
        assert all(info.current for info in self.store.keys.list())

    @rule()
    def rotate_master(self):
        self.store.keys.rotate(master=True)

    @rule(user=USERS)
    def purge(self, user):
        if user_unknown(self.store, user):
            return
        assert self.store.purge_user(user) == len(self.of(user))
        self.model[str(user)] = {}

    @rule(
        source=USERS,
        receiver=USERS,
        conflict=st.sampled_from(["fail", "skip", "replace"]),
    )
    def move(self, source, receiver, conflict):
        bundle = self.store.export_secrets(
            source, recipients=[str(self.identity.to_public())], all_versions=True
        )
        live = {
            name: secret
            for name, secret in self.of(source).items()
            if secret.versions[secret.current][0] == LIVE
        }
        clash = set(live) & set(self.of(receiver))
        call = {"identities": [str(self.identity)], "on_conflict": conflict}
        if clash and conflict == "fail":
            with pytest.raises(ImportConflict):
                self.store.import_secrets(receiver, bundle, **call)
            return
        self.store.import_secrets(receiver, bundle, **call)
        for name, secret in live.items():
            if name in clash and conflict == "skip":
                continue
            copy = Model()
            copy.versions = {number: list(pair) for number, pair in secret.versions.items()}
            copy.tags = secret.tags
            self.of(receiver)[name] = copy

    @rule()
    def reopen(self):
        self.store.close()
        self.open()

    @precondition(lambda self: hasattr(self, "store"))
    @invariant()
    def reads_are_the_models(self):
        """Every user reads exactly what the model holds, and nothing of anybody else."""
        for user in ("alice", "bob", 42):
            secrets = self.of(user)
            listed = {found.name: found for found in self.store.list_secrets(
                user, include_deleted=True
            )}  # fmt: skip
            assert set(listed) == set(secrets)
            found = self.store.get_secrets(user, secrets)
            for name, secret in secrets.items():
                state, value = secret.versions[secret.current]
                assert (name in found) == (state == LIVE)
                if state == LIVE:
                    assert found[name].reveal() == value
                    found[name].wipe()
                assert [info.version for info in listed[name].versions] == sorted(secret.versions)
                assert listed[name].tags == secret.tags


def user_unknown(store, user):
    return str(user) not in {info.user for info in store.users()}


TestStore = StoreMachine.TestCase
TestStore.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
