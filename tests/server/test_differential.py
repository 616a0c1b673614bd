"""The same requests put to this server and to a real OpenBao: status, shape and words agree.

What differs on purpose is listed here, and must differ.
"""

import json
import re

import pytest

from server.openbao import OpenBao
from server.steps import AREAS
from servers import TOKEN, Server

_LISTED = re.compile(r"^1 error occurred:\n\t\* (.*)\n\n$", re.DOTALL)

ONLY_OPENBAOS = {
    "allow_slashes_in_identity_templates", "allow_wildcards_in_identity_templates",
    "cas_required of policies", "modified", "version of policies",  # hvac compares the rest whole
    "current_metadata_version", "metadata_cas_required",  # a check-and-set of metadata
    "passthrough_request_headers", "token_strictly_bind_ip", "issue_time", "renewable",
}  # fmt: skip
ONLY_OURS = {
    "deprecation_status", "performance_standby",  # as Vault
    "active_time", "is_self", "leader_address", "leader_cluster_address",
    "performance_standby_last_remote_wal",
    "token_bound_cidrs", "token_num_uses",  # also where they are empty
}  # fmt: skip
VALUES = {"local", "seal_wrap", "options", "warnings", "allowed_entity_aliases"}
"""Members whose values differ: what is built in, is not moved in the background, is empty."""


def at(step):
    """How the lists below name a step."""
    text = "" if step.body is None else json.dumps(step.body)
    headers = "; ".join(f"{name}: {value}" for name, value in step.headers if value == "x")
    return f"{step.method} {step.path} {text[:60]}{headers}".strip()


BAD_INPUT = "bad input is 400, and what is absent 404; there 500"
ABSENT = "not offered"
UNKEPT = "no bound is taken that a batch token would not keep; there it is, and is not kept"
SEAL = "the state of another kind of seal, with the same status"
WHOLE = "name and text only: hvac compares them whole"
DIFFERENT = {
    'POST secret/data/n {"data": null}': "a null is no data",
    'PATCH secret/data/a {"data": {"untyped": 1}}': "415, as Vault answers",
    "GET secret/detailed-metadata/?list=true": ABSENT,
    'POST auth/token/lookup {"token": "{b}x"}': "a token that does not parse is an unknown one",
    'POST auth/token/roles/q {"token_type": "batch", "token_num_uses": 2, "orphan": true,': UNKEPT,
    'POST auth/ab/role/r/token-num-uses {"token_num_uses": 2}': UNKEPT,
    'POST auth/ab/role/r/period {"token_period": "1h"}': UNKEPT,
    'POST auth/ab/login {"role_id": "{rid}", "secret_id": "{sid}"}': UNKEPT,
    "GET auth/token/lookup-self?method=gone": "a batch token ends with its login method",
    'PUT sys/unseal {"key": "abcd"}': SEAL,
    'PUT sys/unseal {"key": "QUJD+/8="}': SEAL,
    "GET sys/internal/ui/mounts?by=nobody": "not shown without a token",
    "GET sys/internal/counters/tokens": ABSENT,
    "GET sys/host-info": ABSENT,
    "GET sys/version-history?list=true": ABSENT,
    "GET sys/config/cors": ABSENT,
    "GET sys/plugins/catalog": ABSENT,
    "GET auth/approle/role/r/local-secret-ids": ABSENT,
    "GET sys/policies/acl/p": WHOLE,
    "GET sys/policies/acl/root": WHOLE,
    "GET sys/policies/acl/default": WHOLE,
    "GET sys/policy/q": WHOLE,
    "GET sys/policy/o": WHOLE,
    'POST sys/capabilities {"path": "secret/a"}': BAD_INPUT,
    "POST cubbyhole/a {}": BAD_INPUT,
    "POST cubbyhole/a": BAD_INPUT,
    "POST auth/userpass/login/ann {}": BAD_INPUT,
    'POST auth/userpass/users/none/password {"password": "pw-2234567890"}': BAD_INPUT,
    'POST auth/userpass/users/none/policies {"policies": ["default", "p"]}': BAD_INPUT,
    'POST auth/approle/role/r/secret-id {"cidr_list": "x"}': BAD_INPUT,
    'POST auth/approle/role/none/secret-id/lookup {"secret_id": "none"}': BAD_INPUT,
    'POST auth/approle/login {"secret_id": "x"}': BAD_INPUT,
    "POST auth/approle/login {}": BAD_INPUT,
    'POST auth/approle/role/r/custom-secret-id {"secret_id": "mine-1234", "ttl": 9}': BAD_INPUT,
    'POST auth/approle/role/r/secret-id-accessor/destroy {"secret_id_accessor": "x"}': BAD_INPUT,
    'POST auth/approle/role/s {"bind_secret_id": false}': BAD_INPUT,
    "POST sys/wrapping/lookup {}": "bad input is 400; there 403",
    "LIST sys/leases/lookup/secret/": "nothing but tokens has leases",
    "LIST auth/approle/role/none/secret-id": "an absent role is 404; there 400",
}
WORDS = {  # our own explanation of bad input, or fewer words on what is absent
    "GET secret/data/a?version=x",
    'POST secret/data/a {"data": "text"}',
    'PATCH secret/data/absent {"data": {"n": 1}}',
    'POST secret/metadata/a {"custom_metadata": "x"}',
    'POST secret/metadata/a {"delete_version_after": "x"}',
    'POST secret/metadata/a {"max_versions": "x"}',
    'POST secret/metadata/a {"cas_required": "x"}',
    'POST secret/metadata/a {"custom_metadata": {"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk',
    'POST secret/metadata/a {"custom_metadata": {"k": "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv',
    'PATCH secret/metadata/absent {"max_versions": 1}',
    'POST secret/delete/a {"versions": ["x"]}',
    'POST auth/token/lookup {"token": "nope"}',
    'POST auth/token/lookup {"token": "{of_parent}"}',
    'POST auth/token/renew-self {"increment": "x"}',
    'POST auth/token/create {"ttl": "x"}',
    'POST auth/token/create {"meta": "x"}',
    'POST auth/token/create/r {"policies": ["y"]}',
    'PUT sys/policies/acl/bad {"policy": "path {"}',
    "GET auth/token/lookup-self X-Vault-Wrap-TTL: x",
    'POST sys/mounts/m/tune {"default_lease_ttl": "x"}',
    "POST auth/userpass/users/ann {}",
    "POST auth/userpass/users/ann/password {}",
    'POST auth/approle/role/none/role-id {"role_id": "x"}',
    'POST auth/approle/role/r/secret-id {"metadata": "x"}',
    "POST auth/approle/role/none/secret-id {}",
    'POST auth/approle/role/r/secret-id-accessor/lookup {"secret_id_accessor": "x"}',
    'POST auth/approle/login {"role_id": "{role_id}"}',
    'POST auth/approle/role/none/policies {"token_policies": "a,b"}',
    'POST auth/approle/role/none/secret-id-num-uses {"secret_id_num_uses": 3}',
    'POST auth/approle/role/none/secret-id-ttl {"secret_id_ttl": "1h"}',
    'POST auth/approle/role/none/secret-id-bound-cidrs {"secret_id_bound_cidrs": "127.0.0.0/8"}',
    'POST auth/approle/role/none/token-bound-cidrs {"token_bound_cidrs": "127.0.0.0/8"}',
    'POST auth/approle/role/none/token-ttl {"token_ttl": "1h"}',
    'POST auth/approle/role/none/token-max-ttl {"token_max_ttl": "2h"}',
    'POST auth/approle/role/none/token-num-uses {"token_num_uses": 4}',
    'POST auth/approle/role/none/period {"token_period": "1h"}',
}


@pytest.fixture(scope="module")
def ours():
    made = Server("serve", "--dev", "--dev-root-token-id", TOKEN)
    yield made
    assert made.stop()[0] == 0


@pytest.fixture(scope="module")
def openbao(tmp_path_factory):
    made = OpenBao(tmp_path_factory.mktemp("bao"))
    yield made
    made.close()


def unlisted(body):
    """An error that OpenBao puts into a list, by itself."""
    if isinstance(body, dict) and "errors" in body:
        return [(_LISTED.match(text) or [None, text])[1] for text in body["errors"]]
    return None


def unlike(ours, theirs, place=""):
    """Places where two answers are not of one shape; in lists, of the first member."""
    if place.endswith(".key_info"):  # by random ids
        ours, theirs = list(ours.values()), list(theirs.values())
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            if key not in ours and key not in ONLY_OPENBAOS:
                yield f"{place}.{key} is missing"
            elif key not in theirs and key not in ONLY_OURS:
                yield f"{place}.{key} is too much"
            elif key in ours and key in theirs and key not in VALUES:
                yield from unlike(ours[key], theirs[key], f"{place}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list):
        if ours and theirs:
            yield from unlike(ours[0], theirs[0], f"{place}[]")
    elif type(ours) is not type(theirs):
        yield f"{place} is {type(ours).__name__}, not {type(theirs).__name__}"
    elif isinstance(ours, int) and ours != theirs and not re.search("time|ttl|duration", place):
        yield f"{place} is {ours}, not {theirs}"


class Side:
    """One of the two servers, with what was taken from its answers."""

    def __init__(self, server):
        self.server = server
        self.taken = {"root": server.token}

    def filled(self, value):
        if isinstance(value, str):
            return re.sub(r"\{(\w+)\}", lambda m: self.taken.get(m[1], m[0]), value)
        if isinstance(value, dict):
            return {key: self.filled(inner) for key, inner in value.items()}
        return value

    def ask(self, step):
        token = self.taken.get(step.token, step.token)
        body = None if step.body is None else self.filled(step.body)
        status, _, answer = self.server.raw(
            step.method,
            "/v1/" + self.filled(step.path),
            body,
            token=token,
            headers=dict(step.headers),
        )
        for name, place in step.take:
            found = answer
            for part in place.split("."):
                found = found[part]
            self.taken[name] = found
        return status, answer


def compared(step, ours, theirs):
    """What is unlike: of the status and the shape, and of the words."""
    (status, body), (other_status, other_body) = ours, theirs
    words, other_words = unlisted(body), unlisted(other_body)
    if status != other_status:
        return [f"status {status}, not {other_status}"], []
    if words is None and other_words is None:
        return list(unlike(body, other_body)), []
    return [], [] if words == other_words else [f"{words}, not {other_words}"]


@pytest.mark.parametrize("area", AREAS)
def test_answers_are_openbaos(ours, openbao, area):
    """Step by step; and what is said to differ does differ."""
    here, there = Side(ours), Side(openbao)
    wrong = []
    for step in AREAS[area]:
        key = at(step)
        unlike_, words = compared(step, here.ask(step), there.ask(step))
        if bool(unlike_) != (key in DIFFERENT):
            wrong.append((key, unlike_ or "does not differ any more"))
        if bool(words) != (key in WORDS):
            wrong.append((key, words or "the words do not differ any more"))
    assert not wrong
    for side in (here, there) if area == "identity" else ():
        taken = side.taken
        assert taken["entity"] == taken["same"] == taken["child"] != taken["orphan"] == ""
