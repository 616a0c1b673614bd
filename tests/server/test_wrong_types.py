"""Every field of Vault's API with values of every wrong kind: refused or taken, and no failure."""

import json

import pytest

from adyton import SecretStore
from adyton.model import Caller
from adyton.server.build import build_handler
from adyton.server.http import Request

PLACES = {
    "auth/token/create": "id policies ttl explicit_max_ttl period display_name num_uses renewable"
    " no_parent no_default_policy meta type entity_alias lease",
    "auth/token/roles/r": "allowed_policies disallowed_policies allowed_policies_glob orphan"
    " disallowed_policies_glob renewable path_suffix allowed_entity_aliases token_bound_cidrs"
    " token_explicit_max_ttl token_period token_num_uses token_no_default_policy token_type"
    " bound_cidrs period explicit_max_ttl",
    "auth/token/create/r": "policies entity_alias type",
    "auth/token/lookup": "token",
    "auth/token/renew": "token increment",
    "auth/token/renew-self": "increment",
    "auth/token/revoke": "token",
    "auth/token/revoke-orphan": "token",
    "auth/token/lookup-accessor": "accessor",
    "auth/token/renew-accessor": "accessor increment",
    "auth/token/revoke-accessor": "accessor",
    "sys/policies/acl/p": "policy",
    "sys/policy/p": "policy",
    "sys/capabilities": "path paths token",
    "sys/capabilities-self": "path paths",
    "sys/capabilities-accessor": "path paths accessor",
    "sys/wrapping/unwrap": "token",
    "sys/wrapping/lookup": "token",
    "sys/wrapping/rewrap": "token",
    "sys/init": "secret_shares secret_threshold",
    "sys/unseal": "key reset",
    "sys/rekey/init": "secret_shares secret_threshold pgp_keys",
    "sys/rekey/update": "key nonce",
    "sys/mounts/m": "type description config options local seal_wrap",
    "sys/mounts/secret/tune": "default_lease_ttl max_lease_ttl description options"
    " listing_visibility",
    "sys/auth/a": "type description config local",
    "sys/auth/up/tune": "default_lease_ttl max_lease_ttl listing_visibility token_type",
    "sys/remount": "from to",
    "sys/audit-hash/x": "input",
    "sys/leases/lookup": "lease_id",
    "sys/leases/renew": "lease_id increment",
    "sys/leases/revoke": "lease_id",
    "sys/quotas/rate-limit/q": "rate interval path",
    "auth/ap/login": "role_id secret_id",
    "auth/ap/role/r": "role_id policies token_policies token_ttl token_max_ttl token_num_uses"
    " token_explicit_max_ttl token_period token_type token_bound_cidrs bind_secret_id"
    " token_no_default_policy secret_id_num_uses secret_id_ttl secret_id_bound_cidrs",
    "auth/ap/role/r/role-id": "role_id",
    "auth/ap/role/r/policies": "token_policies",
    "auth/ap/role/r/token-bound-cidrs": "token_bound_cidrs",
    "auth/ap/role/r/bind-secret-id": "bind_secret_id",
    "auth/ap/role/r/period": "token_period",
    "auth/ap/role/r/secret-id": "metadata cidr_list ttl num_uses",
    "auth/ap/role/r/custom-secret-id": "secret_id",
    "auth/ap/role/r/secret-id/lookup": "secret_id",
    "auth/ap/role/r/secret-id-accessor/lookup": "secret_id_accessor",
    "auth/up/users/u": "password policies token_policies token_ttl token_type token_num_uses",
    "auth/up/users/u/policies": "policies",
    "auth/up/users/u/password": "password",
    "auth/up/login/u": "password",
    "secret/data/a": "data options",
    "secret/delete/a": "versions",
    "secret/undelete/a": "versions",
    "secret/destroy/a": "versions",
    "secret/metadata/a": "max_versions cas_required delete_version_after custom_metadata",
    "secret/config": "max_versions cas_required delete_version_after",
    "old/a": "x",
    "identity/lookup/entity": "id name alias_name alias_mount_accessor",
    "database/roles/r": "db_name creation_statements default_ttl max_ttl",
    "database/config/c": "plugin_name connection_url allowed_roles username password",
}
VALUES = (
    [], [None], ["a", {}], {"a": {}}, {"cas": [], "version": {}, "max_lease_ttl": []}, True, 1.5,
    -1, 10**30, "\0", "9" * 400, "\u00b2",
)  # fmt: skip
APART = {"sys/unseal", "sys/init"}
BESIDE = {"sys/mounts/m": {"type": "kv"}, "sys/auth/a": {"type": "userpass"}}


@pytest.fixture
def ask():
    """Put a request to a server on a store in memory; the status."""
    with SecretStore.open("memory:", root="dev:", upkeep=False) as store:
        core = store._opened.core
        handle, services, _ = build_handler(core)
        run = core.commit.run_sync
        headers = {"x-vault-token": run(services.tokens.create_root(Caller("test"))).text}

        def asked(path, body):
            content = json.dumps(body).encode()
            return run(handle(Request("POST", f"v1/{path}", {}, headers, content, "", "r"))).status

        for path, body in (
            ("sys/auth/up", {"type": "userpass"}), ("sys/auth/ap", {"type": "approle"}),
            ("sys/mounts/old", {"type": "kv"}), ("sys/mounts/database", {"type": "database"}),
            ("auth/ap/role/r", {}), ("auth/up/users/u", {"password": "pw-123456"}),
            ("secret/data/a", {"data": {"a": 1}}),
        ):  # fmt: skip
            assert asked(path, body) in {200, 204}
        yield asked


def test_no_value_of_the_wrong_kind_is_a_failure_of_the_server(ask):
    for path, fields in PLACES.items():
        for field in fields.split():
            for value in VALUES:
                status = ask(path, BESIDE.get(path, {}) | {field: value})
                # Sealing and making a store are not this server's.
                assert status < 500 or (status == 503 and path in APART), (path, field, value)
