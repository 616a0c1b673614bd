"""Dynamic credentials by hvac and the real `bao`, as their users ask for them."""

import json
import time

import hvac
import pytest

import databases
from adyton import Client
from adyton.dynamicvalues import Connection, DynamicRole
from leasing import lets_in, roles_in, settings
from servers import TOKEN, Server

CREATE = (
    "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';"
    ' GRANT USAGE ON SCHEMA public TO "{{name}}";'
)


@pytest.fixture(scope="module")
def server(postgres):
    env = {"ADYTON_ROTATION_TARGETS": f"127.0.0.1:{postgres.port}"}
    found = Server("serve", "--dev", "--dev-root-token-id", TOKEN, env=env)
    yield found
    code, _, err = found.stop()
    assert code == 0, err


def url(postgres):
    place = f"127.0.0.1:{postgres.port}/postgres?sslmode=disable"
    return "postgresql://{{username}}:{{password}}@" + place


@pytest.fixture(scope="module")
def engine(server, postgres):
    """The engine, enabled and configured by hvac as in its documentation."""
    client = server.hvac()
    client.sys.enable_secrets_engine("database")
    client.secrets.database.configure(
        name="db", plugin_name="postgresql-database-plugin", allowed_roles="app",
        username=databases.ADMIN, password=databases.PASSWORD, connection_url=url(postgres),
    )  # fmt: skip
    client.secrets.database.create_role(
        name="app", db_name="db", creation_statements=[CREATE], default_ttl="1h", max_ttl="24h"
    )
    return client


def test_hvac(engine, postgres):
    """Reading configuration, making, looking up, renewing and revoking."""
    found = engine.secrets.database.read_connection("db")["data"]
    assert found["connection_details"] == {
        "connection_url": url(postgres), "username": databases.ADMIN,
    }  # fmt: skip
    assert databases.PASSWORD not in json.dumps(found)
    assert engine.secrets.database.list_connections()["data"]["keys"] == ["db"]
    role = engine.secrets.database.read_role("app")["data"]
    assert (role["creation_statements"], role["default_ttl"]) == ([CREATE], 3600)
    assert engine.secrets.database.list_roles()["data"]["keys"] == ["app"]
    made = engine.secrets.database.generate_credentials("app")
    assert made["renewable"] is True
    assert made["lease_duration"] == 3600
    lease, data = made["lease_id"], made["data"]
    assert lease.startswith("database/creds/app/")
    assert lets_in(postgres, data["username"], data["password"])
    assert engine.sys.read_lease(lease)["data"]["renewable"] is True
    renewed = engine.sys.renew_lease(lease, increment=7200)
    assert (renewed["lease_id"], renewed["lease_duration"]) == (lease, 7200)
    listed = engine.sys.list_leases("database/creds/app")["data"]["keys"]
    assert lease.rpartition("/")[2] in listed
    engine.sys.revoke_lease(lease)
    assert not lets_in(postgres, data["username"], data["password"])
    for call in (engine.sys.renew_lease, engine.sys.read_lease):
        with pytest.raises(hvac.exceptions.InvalidRequest):
            call(lease)
    with pytest.raises(hvac.exceptions.InvalidRequest, match="unknown role"):
        engine.secrets.database.generate_credentials("absent")
    for _ in range(3):
        engine.secrets.database.generate_credentials("app")
    engine.sys.revoke_prefix("database/creds/app")
    assert not roles_in(postgres)


def test_bao(server, engine, postgres):
    """`bao read database/creds/app`, `bao lease lookup`, `renew` and `revoke`."""
    made = json.loads(server.bao("read", "-format=json", "database/creds/app", out=True))
    lease, data = made["lease_id"], made["data"]
    assert lets_in(postgres, data["username"], data["password"])
    assert lease in server.bao("lease", "lookup", lease, out=True)
    assert "lease_duration" in server.bao("lease", "renew", "-increment=2h", lease, out=True)
    assert lease.rpartition("/")[2] in server.bao(
        "list", "sys/leases/lookup/database/creds/app", out=True
    )
    server.bao("lease", "revoke", "-sync", lease)
    assert not lets_in(postgres, data["username"], data["password"])
    for _ in range(2):
        server.bao("read", "database/creds/app")
    server.bao("lease", "revoke", "-prefix", "-sync", "database/creds")
    assert not roles_in(postgres)
    assert "postgresql-database-plugin" in server.bao("read", "database/config/db", out=True)
    assert "app" in server.bao("list", "database/roles", out=True)


def test_wrapped_credentials_are_opened_once(server, engine, postgres):
    """The answer in a wrapping token, with its lease."""
    token = server.bao("read", "-wrap-ttl=60s", "-field=wrapping_token", "database/creds/app",
                       out=True).strip()  # fmt: skip
    data = json.loads(server.bao("unwrap", "-format=json", token, out=True))
    assert lets_in(postgres, data["data"]["username"], data["data"]["password"])
    assert data["lease_id"].startswith("database/creds/app/")
    engine.sys.revoke_prefix("database/creds/app")


def test_a_policy_on_creds_is_enough_to_have_some(server, engine, postgres):
    """And the default policy to renew; neither to see others', nor the configuration."""
    text = 'path "database/creds/app" { capabilities = ["read"] }'
    engine.sys.create_or_update_acl_policy("creds", text)
    token = engine.auth.token.create(policies=["creds"])["auth"]["client_token"]
    client = server.hvac(token)
    made = client.secrets.database.generate_credentials("app")
    assert client.sys.renew_lease(made["lease_id"])["lease_duration"] == 3600
    for call in (
        lambda: client.secrets.database.read_connection("db"),
        lambda: client.secrets.database.read_role("app"),
        lambda: client.sys.list_leases("database/creds/app"),
        lambda: client.sys.revoke_lease(made["lease_id"]),
    ):
        with pytest.raises(hvac.exceptions.Forbidden):
            call()
    client.auth.token.revoke_self()
    end = time.monotonic() + 40
    while roles_in(postgres):
        assert time.monotonic() < end
        time.sleep(0.1)


def test_credentials_end_with_a_batch_token_or_with_its_parent(server, engine, postgres):
    """Their time is no longer than the token's; an end of its parent is theirs."""
    engine.sys.create_or_update_acl_policy(
        "batches",
        'path "database/creds/app" { capabilities = ["read"] }\n'
        'path "auth/token/create" { capabilities = ["update", "sudo"] }',
    )
    parent = engine.auth.token.create(policies=["batches"])["auth"]["client_token"]
    make = server.hvac(parent).auth.token.create
    made = []
    for more in ({}, {"no_parent": True}):
        token = make(policies=["batches"], type="batch", ttl="15m", **more)["auth"]["client_token"]
        made.append(server.hvac(token).secrets.database.generate_credentials("app"))
        assert 800 < made[-1]["lease_duration"] <= 900
        lease = made[-1]["lease_id"]
        assert engine.sys.renew_lease(lease, increment=7200)["lease_duration"] <= 900
    engine.auth.token.revoke(parent)
    end = time.monotonic() + 40
    while made[0]["data"]["username"] in roles_in(postgres):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert lets_in(postgres, made[1]["data"]["username"], made[1]["data"]["password"])
    engine.sys.revoke_prefix("database/creds/app")


def test_the_mount_shows_what_the_native_api_has(server, engine, postgres):
    """At database/; mounts at other paths have their own."""
    with Client(server.addr, TOKEN) as client:
        assert set(client.dynamic.roles("root")) == {"app"}
        made = engine.secrets.database.generate_credentials("app")
        assert made["lease_id"] == f"database/creds/{client.dynamic.leases('root')[0].id}"
        client.set_secret(
            "root", "admin", {"username": databases.ADMIN, "password": databases.PASSWORD}
        )
        client.dynamic.set_connection(
            "root", "by-name", Connection(settings=settings(postgres), admin="admin")
        )
        client.dynamic.set_role("root", "native", DynamicRole(connection="by-name"))
        assert engine.secrets.database.generate_credentials("native")["lease_duration"] == 3600
        # Whoever may write the configuration alone does not learn the admin's secret by it.
        with pytest.raises(hvac.exceptions.InvalidRequest, match="needs a secret"):
            engine.secrets.database.configure(
                name="by-name", plugin_name="postgresql-database-plugin",
                connection_url=url(postgres).replace("127.0.0.1", "localhost"),
            )  # fmt: skip
        with pytest.raises(hvac.exceptions.InvalidRequest, match="login has to be given again"):
            engine.secrets.database.configure(
                name="db", plugin_name="postgresql-database-plugin", verify_connection=False,
                connection_url=url(postgres).replace("127.0.0.1", "localhost"),
            )  # fmt: skip
        engine.sys.enable_secrets_engine("database", path="other/db")
        mount = {"mount_point": "other/db"}
        with pytest.raises(hvac.exceptions.InvalidPath):
            engine.secrets.database.list_roles(**mount)
        engine.secrets.database.configure(
            name="db", plugin_name="postgresql-database-plugin", allowed_roles="*",
            username=databases.ADMIN, password=databases.PASSWORD, connection_url=url(postgres),
            **mount,
        )  # fmt: skip
        engine.secrets.database.create_role(
            name="app", db_name="db", creation_statements=[CREATE], **mount
        )
        data = engine.secrets.database.generate_credentials("app", **mount)
        assert data["lease_id"].startswith("other/db/creds/app/")
        assert engine.sys.renew_lease(data["lease_id"])["lease_duration"] > 3600
        assert len(client.dynamic.leases("root")) == 2
        engine.sys.disable_secrets_engine("other/db")
        assert data["data"]["username"] not in roles_in(postgres)
        assert set(client.dynamic.roles("root")) == {"app", "native"}
        engine.sys.revoke_prefix("database")
        assert not roles_in(postgres)


@pytest.mark.parametrize(
    "text",
    ["", "host=localhost", "mysql://{{username}}:{{password}}@h/d", "postgresql://u:p@h/d",
     "postgresql://{{username}}:{{password}}@/d", "postgresql://h:x/d",
     "postgresql://{{username}}:{{password}}@h/d?options=x"],
)  # fmt: skip
def test_connection_urls_of_other_forms_are_refused(engine, text):
    """With what is expected instead, and without what was given."""
    with pytest.raises(hvac.exceptions.InvalidRequest) as caught:
        engine.secrets.database.configure(
            name="x", plugin_name="postgresql-database-plugin", connection_url=text,
            username="u", password="a password", verify_connection=False,
        )  # fmt: skip
    assert "a password" not in str(caught.value)
    assert "u:p" not in str(caught.value)


def test_bao_enables_and_configures(server, postgres, tmp_path):
    """As people type it: texts for lists and times, a statement from a file."""
    (tmp_path / "create.sql").write_text(CREATE)
    server.bao("secrets", "enable", "-path=typed", "database")
    server.bao(
        "write", "typed/config/db", "plugin_name=postgresql-database-plugin",
        "allowed_roles=reader,writer", f"connection_url={url(postgres)}",
        f"username={databases.ADMIN}", f"password={databases.PASSWORD}",
    )  # fmt: skip
    server.bao("write", "typed/roles/reader", "db_name=db", "default_ttl=15m", "max_ttl=1h",
               f"creation_statements=@{tmp_path / 'create.sql'}")  # fmt: skip
    told = json.loads(server.bao("read", "-format=json", "typed/creds/reader", out=True))
    assert told["lease_duration"] == 900
    assert lets_in(postgres, told["data"]["username"], told["data"]["password"])
    server.bao("write", "typed/roles/other", "db_name=db", f"creation_statements={CREATE}")
    assert "allows" in server.bao("read", "typed/creds/other", fails=True)
    wrong = server.bao(
        "write", "typed/config/db", f"connection_url={url(postgres)}", "username=nobody",
        "password=wrong", fails=True,
    )  # fmt: skip
    assert "refuses the login" in wrong
    server.bao("lease", "revoke", "-force", "-prefix", "typed/creds/reader")
    server.bao("secrets", "disable", "typed")
    with postgres.connect() as database:  # by force: its lease was forgotten, the role was not
        name = told["data"]["username"]
        assert name in roles_in(postgres)
        database.execute(f'REVOKE ALL ON SCHEMA public FROM "{name}"')
        database.execute(f'DROP ROLE "{name}"')


def test_create_and_update_are_told_apart(server, engine, postgres):
    """By whether the role is there, as Vault's policies mean it."""
    token = server.token_with('path "database/roles/*" { capabilities = ["create"] }')
    client = server.hvac(token)
    role = {"name": "fresh", "db_name": "db", "creation_statements": [CREATE]}
    client.secrets.database.create_role(**role)
    with pytest.raises(hvac.exceptions.Forbidden):
        client.secrets.database.create_role(**role)
    engine.secrets.database.delete_role("fresh")
