"""The example for External Secrets Operator: exactly the calls that its provider makes.

The operator is a program of Kubernetes and can't run here. Its provider for Vault uses Go's client
library of Vault; the calls, their order, methods and headers below are those of its source
(providers/v1/vault), with everything that varies taken out of the example's files.
"""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

FOLDER = Path(__file__).parents[2] / "deploy" / "external-secrets"


def example(name):
    return YAML(typ="safe").load(FOLDER / name)


class Operator:
    """The provider's client, configured by a SecretStore."""

    def __init__(self, server, store, secret_id):
        self.server = server
        self.vault = store["spec"]["provider"]["vault"]
        self.secret_id = secret_id
        self.token = ""

    def call(self, method, path, body=None):
        headers = {"X-Vault-Request": "true"}
        if "namespace" in self.vault:
            headers["X-Vault-Namespace"] = self.vault["namespace"]
        return self.server.raw(method, f"/v1/{path}", body, token=self.token, headers=headers)

    def login(self):
        role = self.vault["auth"]["appRole"]
        status, _, answer = self.call(
            "PUT", f"auth/{role['path']}/login",
            {"role_id": role["roleId"], "secret_id": self.secret_id},
        )  # fmt: skip
        assert status == 200, answer
        self.token = answer["auth"]["client_token"]

    def is_valid(self):
        """As the provider checks a token before it uses it again."""
        status, _, answer = self.call("GET", "auth/token/lookup-self")
        if status != 200:
            return False
        data = answer["data"]
        assert isinstance(data["type"], str)
        assert isinstance(data["expire_time"], str | None)
        return data["type"] == "batch" or data["ttl"] > 0

    def path(self, kind, key):
        assert self.vault["version"] == "v2"
        return f"{self.vault['path']}/{kind}/{key}"

    def get(self, ref):
        """GetSecret: the whole secret, or one property of it."""
        status, _, answer = self.call("GET", self.path("data", ref["key"]))
        if status == 404:
            return None
        assert status == 200, answer
        data = answer["data"]["data"]
        return data[ref["property"]] if "property" in ref else data

    def metadata(self, key):
        status, _, answer = self.call("GET", self.path("metadata", key))
        assert status in {200, 404}
        return answer["data"] if status == 200 else None

    def push(self, ref, value, *, cas=False):
        """PushSecret: reads, writes the metadata that marks it as its own, then the data."""
        key = ref["remoteKey"]
        status, _, answer = self.call("GET", self.path("data", key))
        there = answer["data"]["data"] if status == 200 else None
        known = self.metadata(key)
        if there is not None:
            assert (known["custom_metadata"] or {}).get("managed-by") == "external-secrets"
        body = {"data": (there or {}) | {ref["property"]: value}}
        if cas:
            body["options"] = {"cas": known["current_version"] if known else 0}
        marked = {"custom_metadata": {"managed-by": "external-secrets"}}
        assert self.call("PUT", self.path("metadata", key), marked)[0] == 204
        status, _, answer = self.call("PUT", self.path("data", key), body)
        assert status == 200, answer

    def delete(self, ref):
        key = ref["remoteKey"]
        assert self.metadata(key)["custom_metadata"]["managed-by"] == "external-secrets"
        assert self.call("DELETE", self.path("data", key))[0] == 204
        assert self.call("DELETE", self.path("metadata", key))[0] == 204

    def list(self, folder):
        status, _, answer = self.call("GET", self.path("metadata", folder) + "?list=true")
        return answer["data"]["keys"] if status == 200 else []

    def close(self):
        assert self.call("PUT", "auth/token/revoke-self", {})[0] == 204


@pytest.fixture
def operator(server, name):
    """The operator, after what the example's comment tells to do, under a mount of its own."""
    client = server.hvac()
    store = example("secretstore.yaml")
    role = store["spec"]["provider"]["vault"]["auth"]["appRole"]
    role["path"] = f"{role['path']}-{name}"
    client.sys.enable_auth_method("approle", path=role["path"])
    client.sys.create_or_update_acl_policy("external-secrets", (FOLDER / "policy.hcl").read_text())
    client.auth.approle.create_or_update_approle(
        "external-secrets", token_policies=["external-secrets"], token_ttl="10m",
        mount_point=role["path"],
    )  # fmt: skip
    read = client.auth.approle.read_role_id("external-secrets", mount_point=role["path"])
    role["roleId"] = read["data"]["role_id"]
    made = client.auth.approle.generate_secret_id("external-secrets", mount_point=role["path"])
    yield Operator(server, store, made["data"]["secret_id"])
    client.sys.disable_auth_method(role["path"])


def test_an_external_secret_is_kept_up_to_date(server, operator):
    """Log in, check the token, read both properties, see a change, give the token back."""
    client = server.hvac()
    wanted = example("externalsecret.yaml")["spec"]
    assert wanted["secretStoreRef"]["name"] == example("secretstore.yaml")["metadata"]["name"]
    key = wanted["data"][0]["remoteRef"]["key"]
    client.secrets.kv.v2.create_or_update_secret(key, {"username": "shop", "password": "one"})
    operator.login()
    assert operator.is_valid()

    def synchronise():
        return {each["secretKey"]: operator.get(each["remoteRef"]) for each in wanted["data"]}

    assert synchronise() == {"username": "shop", "password": "one"}
    client.secrets.kv.v2.create_or_update_secret(key, {"username": "shop", "password": "two"})
    assert synchronise()["password"] == "two"
    client.secrets.kv.v2.delete_latest_version_of_secret(key)
    assert operator.get(wanted["data"][0]["remoteRef"]) is None
    assert operator.get({"key": "shop/none"}) is None
    assert operator.list("shop") == ["database"]
    assert operator.list("shop/none") == []
    operator.close()
    assert not operator.is_valid()


def test_a_secret_is_pushed_and_deleted(server, operator):
    """First write, change by check-and-set, mark in the metadata, and deletion of both."""
    pushed = example("pushsecret.yaml")["spec"]
    assert pushed["deletionPolicy"] == "Delete"
    ref = pushed["data"][0]["match"]["remoteRef"]
    operator.login()
    operator.push(ref, "first")
    operator.push(ref, "second", cas=True)
    read = server.hvac().secrets.kv.v2.read_secret_version(
        ref["remoteKey"], raise_on_deleted_version=True
    )
    assert read["data"]["data"] == {ref["property"]: "second"}
    operator.delete(ref)
    assert operator.metadata(ref["remoteKey"]) is None
    operator.close()


def test_the_policy_lets_it_do_no_more(operator):
    """Other folders and the system stay closed."""
    operator.login()
    for path in ("secret/data/other/x", "secret/metadata/?list=true", "sys/mounts", "sys/policy"):
        assert operator.call("GET", path)[0] == 403, path
    assert operator.call("PUT", "secret/data/other/x", {"data": {}})[0] == 403
    assert operator.call("PUT", "secret/destroy/shop/database", {"versions": [1]})[0] == 403
