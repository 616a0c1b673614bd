"""What the audit log holds of requests: who, how let in, what decided, and which answer."""

import json
import os
import subprocess

import pytest

from natives import call, user_with
from servers import BIN, Server


class Recorded:
    """A server whose log is read, and verified, after it has ended."""

    def __init__(self, folder, *options):
        self.store = str(folder / "store.db")
        self.env = {"ADYTON_ROOT": f"keyfile:{self.store}.key"}
        self.adyton("init")
        self.root = json.loads(self.adyton("token", "root"))["token"]
        self.server = Server(*options, "serve", "--store", self.store, env=self.env)

    def adyton(self, *args):
        done = subprocess.run(
            [BIN / "adyton", *args, "--store", self.store, "--output", "json"],
            capture_output=True, text=True, check=False, env={**os.environ, **self.env},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ask(self, method, path, body=None, *, token=None, **more):
        """Status, body, and the id by which the answer names its records."""
        token = self.root if token is None else token
        status, headers, answer = self.server.raw(method, "/v1/" + path, body, token=token, **more)
        in_body = (answer or {}).get("request_id") if isinstance(answer, dict) else None
        return status, answer, in_body or headers.get("x-request-id")

    def end(self):
        """Records by request id."""
        code, _, err = self.server.stop()
        assert code == 0, err
        self.adyton("audit", "verify")
        found = {}
        for entry in json.loads(self.adyton("audit", "log", "--limit", "100000")):
            found.setdefault(entry["request_id"], []).append(entry)
        return found


@pytest.fixture
def recorded(tmp_path):
    made = Recorded(tmp_path)
    yield made
    if made.server.process.poll() is None:
        made.server.process.kill()
        made.server.process.communicate()


def test_each_answer_names_a_record_that_says_who_and_why(recorded):
    """Login method, accessor, address, deciding policies and class of the answer."""
    ask = recorded.ask
    ask("PUT", "sys/policies/acl/app", {
        "policy": 'path "secret/data/app/*" { capabilities = ["read", "create"] }'
        ' path "secret/data/app/closed" { capabilities = ["deny"] }'
    })  # fmt: skip
    ask("PUT", "sys/policies/acl/more", {
        "policy": 'path "secret/data/app/*" { capabilities = ["update"] }'
    })  # fmt: skip
    ask("POST", "sys/auth/people", {"type": "userpass"})
    ask("POST", "auth/people/users/ann", {"password": "pw", "token_policies": "app,more"})
    wrong = ask("POST", "auth/people/login/ann", {"password": "no"}, token="")
    login = ask("POST", "auth/people/login/ann", {"password": "pw"}, token="")
    auth = login[1]["auth"]
    person = auth["client_token"]
    child = ask("POST", "auth/token/create", {"policies": ["app"]})[1]["auth"]
    by_root = ask("POST", "secret/data/app/a", {"data": {"k": 1}})
    seen = {
        "read": ask("GET", "secret/data/app/a", token=person),
        "child": ask("GET", "secret/data/app/a", token=child["client_token"]),
        "absent": ask("GET", "secret/data/app/none", token=person),
        "closed": ask("GET", "secret/data/app/closed", token=person),
        "elsewhere": ask("GET", "secret/data/else", token=person),
        "own": ask("GET", "auth/token/lookup-self", token=person),
        "conflict": ask(
            "POST", "secret/data/app/a", {"data": {}, "options": {"cas": 9}}, token=person
        ),
        "unknown": ask("GET", "secret/data/app/a", token="adt_unknown"),
    }
    statuses = [answer[0] for answer in seen.values()]
    assert statuses == [200, 200, 404, 403, 403, 200, 400, 403]
    log = recorded.end()

    def of(answer):
        assert answer[2], answer
        (entry,) = log[answer[2]]
        assert entry["address"] == "127.0.0.1"
        return {key: entry[key] for key in ("method", "accessor", "decision", "outcome")}

    mine = {"method": "userpass auth/people/", "accessor": auth["accessor"]}
    token = {"method": "token auth/token/", "accessor": child["accessor"]}
    assert of(wrong) == {
        "method": "userpass auth/people/",
        "accessor": "",
        "decision": "public",
        "outcome": "invalid",
    }
    assert of(login) == mine | {"decision": "public", "outcome": "ok"}
    assert of(by_root)["decision"] == "root"
    both = "allow:app,more"
    assert of(seen["read"]) == mine | {"decision": both, "outcome": "ok"}
    assert of(seen["child"]) == token | {"decision": "allow:app", "outcome": "ok"}
    assert of(seen["closed"]) == mine | {"decision": "deny:app", "outcome": "denied"}
    assert of(seen["elsewhere"]) == mine | {"decision": "deny", "outcome": "denied"}
    assert of(seen["own"]) == mine | {"decision": "allow:default", "outcome": "ok"}
    assert of(seen["conflict"]) == mine | {"decision": both, "outcome": "conflict"}
    assert of(seen["unknown"]) == {
        "method": "",
        "accessor": "",
        "decision": "deny",
        "outcome": "denied",
    }
    for entry in log[seen["absent"][2]]:
        assert (entry["decision"], entry["outcome"]) == (both, "absent")


def test_each_read_of_a_path_has_a_record_of_its_own(recorded):
    """The first goes the whole way, later ones a short one; their records are alike."""
    ask = recorded.ask
    ask(
        "PUT",
        "sys/policies/acl/app",
        {"policy": 'path "secret/data/app/*" { capabilities = ["read"] }'},
    )
    ask("POST", "secret/data/app/a", {"data": {"k": 1}})
    auth = ask("POST", "auth/token/create", {"policies": ["app"]})[1]["auth"]
    answers = [ask("GET", "secret/data/app/a", token=auth["client_token"]) for _ in range(5)]
    ids = [answer[2] for answer in answers]
    assert len(set(ids)) == 5
    log = recorded.end()
    records = [log[found] for found in ids]
    assert [len(found) for found in records] == [1] * 5
    alike = [
        {
            key: value
            for key, value in found[0].items()
            if key not in {"index", "timestamp", "request_id"}
        }
        for found in records
    ]
    assert alike == [alike[0]] * 5
    assert alike[0]["action"] == "secret.get"
    assert alike[0]["decision"] == "allow:app"
    assert alike[0]["accessor"] == auth["accessor"]


def test_sinks_are_listed_and_their_hashes_told(tmp_path):
    """A name's hash is the one in the sink's lines; the answer's request id is there, too."""
    sink = tmp_path / "audit.jsonl"
    recorded = Recorded(tmp_path, "--audit-sink", f"file:{sink}")
    try:
        ask = recorded.ask
        listed = ask("GET", "sys/audit")[1]["data"]
        assert {name: found["options"] for name, found in listed.items()} == {
            "file/": {"file_path": str(sink)}
        }
        alice = {"X-Vault-Namespace": "alice"}
        reads = []
        for headers in ({}, alice):
            ask("POST", "secret/data/db/password", {"data": {"k": "v"}}, headers=headers)
            reads.append(ask("GET", "secret/data/db/password", headers=headers)[2])
        hashes = [
            ask("POST", "sys/audit-hash/file", {"input": "db/password"}, headers=headers)[1]["data"]
            for headers in ({}, alice)
        ]
        assert ask("DELETE", "sys/audit/file")[0] == 400
        assert ask("DELETE", "sys/audit/other")[0] == 204
        assert ask("PUT", "sys/audit/other", {"type": "file"})[0] == 400
    finally:
        recorded.end()
    lines = {line["request_id"]: line for line in map(json.loads, sink.read_text().splitlines())}
    for request_id, told in zip(reads, hashes, strict=True):
        line = lines[request_id]
        assert line["secret"].replace("hmac:", "hmac-sha256:") == told["hash"]
        assert (line["decision"], line["outcome"]) == ("root", "ok")
        assert line["method"] == "token auth/token/"
    assert hashes[0] != hashes[1]  # each namespace has a key of its own


def test_users_see_what_failed_in_their_own_log(server, name):
    """By either API, and by whomever it was tried."""
    user, token = user_with(server, 'path "*" { capabilities = ["create", "read", "list"] }')
    space = {"X-Vault-Namespace": user}
    asked = [
        call(server, "GET", f"users/me/secrets/{name}-1", token=token),
        call(server, "GET", f"users/{user}/secrets/{name}-2"),
        call(server, "POST", "users/me/batch/read", {"names": [f"{name}-3"]}, token=token),
        server.raw("GET", f"/v1/secret/data/{name}-4", token=token, headers=space),
        server.root("GET", f"/v1/secret/data/{name}-5", headers=space),
        call(server, "GET", f"users/me/metadata/{name}-6", token=token),
    ]
    assert [status for status, *_ in asked] == [404, 404, 200, 404, 404, 404]
    found = call(server, "GET", "users/me/audit?limit=50&success=false", token=token)[2]["items"]
    told = {record["secret_name"] for record in found}
    assert {f"{name}-{n}" for n in range(1, 7)} <= told
    assert {record["outcome"] for record in found if record["secret_name"] in told} == {"absent"}
