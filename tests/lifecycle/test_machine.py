"""Holds, retention, ends and notices against a small oracle, by random sequences of operations.

The oracle keeps plain values and times, and decides by the words of the guide alone.
"""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from adyton import SecretStore
from adyton.errors import LegalHold, SecretNotFound, UserNotFound
from adyton.service.kv import KeyValue, KvMount
from adyton.service.lifecycle.options import LifecycleOptions
from adyton.service.limits import Limits
from lifecycles import DAY, World

NAMES = ("a", "f/a", "f/g/b", "ff")
WHERE = ("", "f/", "f/g/", "a", "f/a")
NAME, PLACE = st.sampled_from(NAMES), st.sampled_from(WHERE)
PERIODS = (5 * DAY, 2 * DAY)
RETENTION = 10 * DAY
LIVE, DELETED, DESTROYED = 0, 1, 2


class Version:
    def __init__(self, value):
        self.value, self.state, self.ended = value, LIVE, None

    def gone(self, now):
        return self.state != LIVE or (self.ended is not None and self.ended <= now)


class Secret:
    def __init__(self):
        self.versions, self.ends, self.kept, self.next = {}, None, 10, 1
        self.pending = ()  # periods whose notices are still to come

    def set_end(self, ends, now):
        if ends != self.ends:
            self.pending = () if ends is None else tuple(p for p in PERIODS if ends - p > now)
        self.ends = ends


class Machine(RuleBasedStateMachine):
    """Runs the same on both and compares."""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(prefix="adyton-life-"))
        limits = Limits(lifecycle=LifecycleOptions(notice=PERIODS, retention=RETENTION))
        store = SecretStore.open(
            str(self.folder / "s.db"), root=f"keyfile:{self.folder / 'k'}", create=True,
            upkeep=False, limits=limits,
        )  # fmt: skip
        self.world, self.store = World(store), store
        self.secrets, self.holds, self.told = {}, {}, []

    def teardown(self):
        if hasattr(self, "store"):
            self.store.audit.verify()
            self.store.close()
            shutil.rmtree(self.folder)

    @property
    def now(self):
        return self.world.clock.more_us // 1_000_000

    def held(self, name):
        return any(
            not where or where == name or (where.endswith("/") and name.startswith(where))
            for where in self.holds.values()
        )

    def prune(self, name):
        secret = self.secrets[name]
        if not self.held(name):
            for old in sorted(secret.versions)[: -secret.kept]:
                del secret.versions[old]

    def attempt(self, name, call, expected):
        """Do what a hold may forbid; whether it was done."""
        if name not in self.secrets:
            with pytest.raises(SecretNotFound):
                call()
        elif self.held(name) and expected:
            with pytest.raises(LegalHold):
                call()
        else:
            call()
            return True
        return False

    # -- operations -----------------------------------------------------------------------------

    @rule(name=NAME, days=st.sampled_from([None, None, 1, 3, 9]), kept=st.sampled_from([1, 2, 10]))
    def set(self, name, days, kept):
        new = name not in self.secrets
        secret = self.secrets.setdefault(name, Secret())
        value = f"{name}-{secret.next}"
        more = {} if days is None else {"expires_at": self.world.after(days * DAY)}
        self.store.set_secret("alice", name, value, max_versions=kept, **more)
        secret.versions[secret.next], secret.kept = Version(value), kept
        secret.next += 1
        if days is not None:
            # A new end each time, which the real clock has passed when the days are over.
            secret.set_end(self.now + days * DAY - 1e-6 * secret.next, self.now)
        elif not new and secret.ends is not None and secret.ends <= self.now:
            secret.set_end(None, self.now)
        self.prune(name)

    @rule(name=NAME, number=st.integers(1, 4))
    def delete(self, name, number):
        version = self.secrets.get(name, Secret()).versions.get(number)
        if version is None:
            with pytest.raises(SecretNotFound):
                self.store.delete_secret("alice", name, versions=[number])
            return
        lives = not version.gone(self.now)
        done = self.attempt(
            name, lambda: self.store.delete_secret("alice", name, versions=[number]), lives
        )
        if done and lives:
            version.state, version.ended = DELETED, self.now

    @rule(name=NAME, number=st.integers(1, 4))
    def undelete(self, name, number):
        version = self.secrets.get(name, Secret()).versions.get(number)
        if version is None:
            with pytest.raises(SecretNotFound):
                self.store.undelete_secret("alice", name, versions=[number])
            return
        self.store.undelete_secret("alice", name, versions=[number])
        if version.state == DELETED:
            version.state, version.ended = LIVE, None

    @rule(name=NAME, number=st.integers(1, 4), by_kv=st.booleans())
    def destroy(self, name, number, by_kv):
        version = self.secrets.get(name, Secret()).versions.get(number)
        there = version is not None and version.state != DESTROYED

        def call():
            if by_kv:
                operation = KeyValue(self.world.core).destroy(
                    self.store._caller, "alice", KvMount(), name, [number]
                )
                self.world.core.commit.run_sync(operation)
            else:
                self.store.destroy_secret("alice", name, versions=[number])

        if version is None:
            if by_kv:
                call()  # what is not there is no error to this API
            else:
                with pytest.raises(SecretNotFound):
                    call()
        elif self.attempt(name, call, there):
            version.state, version.ended, version.value = DESTROYED, None, None

    @rule(name=NAME)
    def erase(self, name):
        if self.attempt(name, lambda: self.store.destroy_secret("alice", name), expected=True):
            del self.secrets[name]

    @rule(name=NAME)
    def replace(self, name):
        document = b'{"%s": "imported"}' % name.encode()

        def call():
            self.store.import_secrets("alice", document, format="json", on_conflict="replace")

        if name in self.secrets and self.held(name):
            with pytest.raises(LegalHold):
                call()
            return
        call()
        secret = self.secrets[name] = Secret()
        secret.versions[1], secret.next = Version("imported"), 2

    @rule(where=PLACE)
    def hold(self, where):
        if len(self.holds) < 3:
            self.holds[self.store.holds.add("alice", "case", where=where).id] = where

    @rule(data=st.data())
    def release(self, data):
        if self.holds:
            ident = data.draw(st.sampled_from(sorted(self.holds)))
            self.store.holds.release("alice", ident)
            del self.holds[ident]

    @rule()
    def purge(self):
        if self.holds:
            with pytest.raises(LegalHold):
                self.store.purge_user("alice")
        elif self.secrets:
            self.store.purge_user("alice")
            self.secrets, self.told = {}, []
        else:
            try:
                self.store.purge_user("alice")
                self.told = []
            except UserNotFound:
                pass

    @rule(days=st.sampled_from([1, 2, 4, 11]))
    def wait(self, days):
        self.world.wait(days * DAY)

    @rule()
    def run(self):
        self.world.run()
        for name, secret in list(self.secrets.items()):
            passed = [p for p in secret.pending if secret.ends - p <= self.now]
            if passed:
                self.told.append((name, min(passed)))
                secret.pending = tuple(p for p in secret.pending if p not in passed)
            over = [
                version for version in secret.versions.values()
                if version.state == DELETED and version.ended + RETENTION <= self.now
            ]  # fmt: skip
            if over and not self.held(name):
                for version in over:
                    version.state, version.ended, version.value = DESTROYED, None, None
                if all(version.state == DESTROYED for version in secret.versions.values()):
                    del self.secrets[name]

    # -- comparison -----------------------------------------------------------------------------

    @invariant()
    def values_are_the_same(self):
        if not hasattr(self, "store"):
            return
        listed = self.store.list_secrets("alice", include_deleted=True)
        assert {meta.name for meta in listed} == set(self.secrets)
        for meta in listed:
            secret = self.secrets[meta.name]
            ours = {number: version.state for number, version in secret.versions.items()}
            assert {version.version: version.state for version in meta.versions} == ours
            expired = secret.ends is not None and secret.ends <= self.now
            for number, version in secret.versions.items():
                if version.gone(self.now) or expired:
                    with pytest.raises(SecretNotFound):
                        self.store.get_secret("alice", meta.name, version=number)
                else:
                    with self.store.get_secret("alice", meta.name, version=number) as found:
                        assert found.text() == version.value

    @invariant()
    def notices_are_the_same(self):
        if not hasattr(self, "store") or not self.told:
            return
        told = [(subject, before) for _, subject, before in self.world.told()]
        assert sorted(told) == sorted(self.told)


class TestLifecycle(Machine.TestCase):
    settings = settings(
        max_examples=15, stateful_step_count=30, deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip


@pytest.mark.soak
@pytest.mark.timeout(1800)
class TestLifecycleLong(Machine.TestCase):
    settings = settings(
        max_examples=300, stateful_step_count=60, deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip
