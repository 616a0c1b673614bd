"""Rotators and issuers of other packages, found by their entry points as pip installs them."""

import pytest

from adyton import issuers, rotators
from adyton.dynamicvalues import Connection, DynamicRole
from adyton.errors import ConfigurationError, InvalidInput, LeaseError
from adyton.issuers.postgresql import PostgresqlIssuer
from adyton.plugins import Plugins
from adyton.rotationpolicy import RotationPolicy
from adyton.rotators.random import RandomRotator
from support import Place

MODULE = """
from adyton.rotating import Generated

done = []

class Rotator:
    def check(self, settings, *, admin):
        pass
    def create(self, turn, generate):
        return Generated(b"of the plug-in", "text/plain; charset=utf-8")
    def set(self, turn):
        done.append("set")
    def test(self, turn):
        done.append("test")
    def retire(self, turn):
        done.append("retire")
    def undo(self, turn):
        done.append("undo")

class Issuer:
    def check(self, settings, *, admin):
        pass
    def check_role(self, role):
        pass
    def place(self, settings):
        return "here"
    def username(self, role, ident):
        return f"{role}.{ident}"
    def test(self, grant):
        pass
    def create(self, grant, password):
        if grant.settings.get("fail"):
            raise ValueError(password)
        done.append(("create", grant.username, len(password)))
    def renew(self, grant):
        done.append(("renew", grant.username))
    def revoke(self, grant):
        done.append(("revoke", grant.username))
"""


def install(site, *, package="plug", module=MODULE, name="plug", rotator=":Rotator"):
    """Put a package into a directory, as pip would."""
    (site / f"{package}_module.py").write_text(module)
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[adyton.rotators]\n{name} = {package}_module{rotator}\n"
        f"[adyton.issuers]\n{name} = {package}_module:Issuer\n"
    )


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def store(tmp_path_factory):
    with Place(tmp_path_factory.mktemp("store")).open() as opened:
        yield opened


def test_a_plug_in_rotates_a_secret(site, store):
    """Its steps are called, and what it made is the value."""
    install(site, package="rotplug")
    assert "plug" in rotators.names()
    store.rotation.set_policy("u", "s", RotationPolicy(rotator="plug", grace=0))
    store.rotation.run("u", "s")
    store.rotation.run("u", "s")
    assert store.get_secret("u", "s").text() == "of the plug-in"
    import rotplug_module

    # Both values are the same: there is no former one to retire.
    assert rotplug_module.done == ["set", "test", "set", "test"]


def test_a_plug_in_issues_credentials(site, store):
    """Its steps are called; what it raises is told by its kind alone, and undone."""
    install(site, package="isplug")
    assert "plug" in issuers.names()
    store.dynamic.set_connection("u", "c", Connection(issuer="plug"), verify=True)
    store.dynamic.set_role("u", "r", DynamicRole(connection="c"))
    with store.dynamic.issue("u", "r") as made:
        assert made.username.startswith("r.")
    store.dynamic.renew("u", made.lease.id)
    store.dynamic.revoke("u", made.lease.id)
    import isplug_module

    assert isplug_module.done == [
        ("create", made.username, 32), ("renew", made.username), ("revoke", made.username),
    ]  # fmt: skip
    store.dynamic.set_connection("u", "c", Connection(issuer="plug", settings={"fail": "y"}))
    with pytest.raises(LeaseError, match=r"fails: ValueError$"):
        store.dynamic.issue("u", "r")
    assert isplug_module.done[-1][0] == "revoke"
    assert store.dynamic.leases("u") == []


def test_built_in_names_are_not_taken_over(site):
    """Whatever a package calls its own."""
    install(site, package="bad", name="random")
    install(site, package="worse", name="postgresql")
    assert isinstance(rotators.open_rotator("random"), RandomRotator)
    assert isinstance(issuers.open_issuer("postgresql"), PostgresqlIssuer)
    assert rotators.names().count("random") == 1


def test_what_can_not_be_opened_is_told(site, store):
    """Unknown, of two packages, broken, without its library."""
    for opened in (rotators.open_rotator, issuers.open_issuer):
        with pytest.raises(InvalidInput, match="no such") as caught:
            opened("plug")
        assert "postgresql" in caught.value.hint
    install(site, package="one")
    install(site, package="two")
    with pytest.raises(ConfigurationError, match="several packages"):
        rotators.open_rotator("plug")
    install(site, package="broken", name="broken", rotator=":Missing")
    with pytest.raises(ConfigurationError, match="AttributeError"):
        rotators.open_rotator("broken")
    with pytest.raises(InvalidInput, match="can't be loaded"):
        store.rotation.set_policy("u", "s", RotationPolicy(rotator="broken"))
    bare = Plugins("part", "adyton.none", "adyton", {"absent": "X"}, {"absent": "extra"})
    with pytest.raises(ConfigurationError, match="library") as caught:
        bare.open("absent")
    assert "adyton[extra]" in caught.value.hint
