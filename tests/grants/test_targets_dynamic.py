"""What a grant can give of folders' policies and of dynamic credentials."""

import pytest

from adyton.grantvalues import EVERYTHING
from adyton.service.access.policy import Capability
from adyton.service.grants.targets import target_of


def target(path, operation):
    return target_of(f"adyton/{path}", operation, None, lambda _: None, lambda _: None)


@pytest.mark.parametrize(
    ("path", "operation", "rights", "name"),
    [
        ("rotation/db/", Capability.UPDATE, ("write",), "db/"),
        ("secrets/db/", Capability.UPDATE, ("write",), "db/"),
        ("rotation/db/a", Capability.UPDATE, ("write",), "db/a"),
        ("dynamic-connections/c", Capability.UPDATE, ("admin",), EVERYTHING),
        ("dynamic-roles", Capability.LIST, ("admin",), EVERYTHING),
        ("dynamic-issue/r", Capability.UPDATE, ("admin",), EVERYTHING),
        ("leases", Capability.LIST, ("admin",), EVERYTHING),
        ("leases-revoke", Capability.UPDATE, ("admin",), EVERYTHING),
        ("lease-renew/r/x", Capability.UPDATE, ("admin",), EVERYTHING),
    ],
)
def test_what_is_needed(path, operation, rights, name):
    """The right, and on what."""
    found = target(path, operation)
    assert (found.rights, found.name) == (rights, name)


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("metadata/db/", Capability.READ), ("rotation-run/db/", Capability.UPDATE),
        ("dynamic-issue/r", Capability.READ), ("rotation/run-due/", Capability.SUDO),
    ],
)  # fmt: skip
def test_what_no_grant_gives(path, operation):
    """Folders elsewhere, and other operations."""
    assert target(path, operation) is None
