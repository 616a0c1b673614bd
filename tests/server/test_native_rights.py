"""What policies must allow for each route of the native API, and that nothing less will do."""

import os

import pytest

from adyton.server.native.table import TABLE
from natives import b64, call, kind, put, text, user_with

EACH = ("create", "read", "update", "delete", "list", "patch")

# The path that a policy must name, what it must give there, and a request.
NEEDED = {
    "list_secrets": ("adyton/secrets/", "list", "users/me/secrets", None),
    "get_secret": ("adyton/secrets/r/x", "read", "users/me/secrets/r/x", None),
    "set_secret": ("adyton/secrets/r/x", "update", "users/me/secrets/r/x", {"value": text("x")}),
    "delete_secret": ("adyton/secrets/r/y", "delete", "users/me/secrets/r/y", None),
    "undelete_secret": ("adyton/undelete/r/y", "update", "users/me/undelete/r/y", {}),
    "destroy_secret": (
        "adyton/destroy/r/y", "update", "users/me/destroy/r/y", {"versions": None},
    ),
    "rollback_secret": ("adyton/rollback/r/x", "update", "users/me/rollback/r/x", {"version": 1}),
    "get_secret_metadata": ("adyton/metadata/r/x", "read", "users/me/metadata/r/x", None),
    "update_secret_metadata": ("adyton/metadata/r/x", "patch", "users/me/metadata/r/x", {}),
    "update_secret_tags": ("adyton/tags/r/x", "patch", "users/me/tags/r/x", {}),
    "get_secrets": ("adyton/secrets/r/x", "read", "users/me/batch/read", {"names": ["r/x"]}),
    "set_secrets": (
        "adyton/secrets/r/x", "update", "users/me/batch/write",
        {"items": [{"name": "r/x", "value": text("x")}]},
    ),
    "get_audit_log": ("adyton/audit", "read", "users/me/audit", None),
    "prove_record": ("adyton/audit/0/proof", "read", "users/me/audit/0/proof", None),
    "export_secrets": ("adyton/export", "update", "users/me/export", {"format": "json"}),
    "import_secrets": (
        "adyton/import", "update", "users/me/import",
        {"format": "json", "data": b64(b"{}"), "dry_run": True},
    ),
    "list_links": ("adyton/links", "list", "users/me/links", None),
    "create_link": (
        "adyton/links", "update", "users/me/links",
        {"id": b64(os.urandom(16)), "proof_hash": b64(bytes(32)), "box": b64(bytes(64))},
    ),
    "revoke_link": ("adyton/links/x", "delete", "users/me/links/x", None),
    "create_share": (
        "adyton/shares", "update", "users/me/shares", {"receiver": "r", "name": "r/absent"},
    ),
    "list_given_shares": ("adyton/shares/given", "list", "users/me/shares/given", None),
    "revoke_share": ("adyton/shares/given/x", "delete", "users/me/shares/given/x", None),
    "list_passed_shares": ("adyton/shares/passed", "list", "users/me/shares/passed", None),
    "pass_share_on": (
        "adyton/shares/received/x/shares", "update", "users/me/shares/received/x/shares",
        {"receiver": "r"},
    ),
    "set_shared_secret": (
        "adyton/shares/received/x/secret", "update", "users/me/shares/received/x/secret",
        {"value": text("x")},
    ),
    "set_secret_of_share": (
        "adyton/shares/received/x/secrets/n", "update", "users/me/shares/received/x/secrets/n",
        {"value": text("x")},
    ),
    "delete_shared_secret": (
        "adyton/shares/received/x/secret", "delete", "users/me/shares/received/x/secret", None,
    ),
    "delete_secret_of_share": (
        "adyton/shares/received/x/secrets/n", "delete", "users/me/shares/received/x/secrets/n",
        None,
    ),
    "list_received_shares": ("adyton/shares/received", "list", "users/me/shares/received", None),
    "refuse_share": ("adyton/shares/received/x", "delete", "users/me/shares/received/x", None),
    "accept_share": (
        "adyton/shares/received/x/accept", "update", "users/me/shares/received/x/accept", None,
    ),
    "get_shared_secret": (
        "adyton/shares/received/x/secret", "read", "users/me/shares/received/x/secret", None,
    ),
    "list_shared_secrets": (
        "adyton/shares/received/x/secrets", "list", "users/me/shares/received/x/secrets", None,
    ),
    "get_secret_of_share": (
        "adyton/shares/received/x/secrets/n", "read", "users/me/shares/received/x/secrets/n", None,
    ),
    "list_members": ("adyton/members", "list", "users/me/members", None),
    "get_member": ("adyton/members/x", "read", "users/me/members/x", None),
    "add_member": ("adyton/members/r-y", "update", "users/me/members/r-y", {}),
    "remove_member": ("adyton/members/x", "delete", "users/me/members/x", None),
    "create_member_token": (
        "adyton/members/x/token", "update", "users/me/members/x/token", {},
    ),
    "list_roles": ("adyton/roles", "list", "users/me/roles", None),
    "set_role": ("adyton/roles/r", "update", "users/me/roles/r", {"rights": ["list"]}),
    "remove_role": ("adyton/roles/x", "delete", "users/me/roles/x", None),
    "list_grants": ("adyton/grants", "list", "users/me/grants", None),
    "create_grant": (
        "adyton/grants", "update", "users/me/grants",
        {"member": "nobody", "path": "r/x", "role": "viewer"},
    ),
    "get_grant": ("adyton/grants/x", "read", "users/me/grants/x", None),
    "revoke_grant": ("adyton/grants/x", "delete", "users/me/grants/x", None),
    "list_reports": ("adyton/reports", "list", "reports", None),
    "make_report": ("adyton/reports/access", "read", "users/me/reports/access", None),
    "check_report_counts": ("adyton/reports-check", "read", "users/me/reports-check", None),
    "make_store_report": ("adyton/reports/usage", "read+sudo", "reports/usage", None),
    "who_can_read": (
        "adyton/access/who/r/x", "read", "users/me/access/who?path=r/x", None,
    ),
    "explain_access": (
        "adyton/access/explain/r/x", "read",
        "users/me/access/explain?actor=nobody&action=read&path=r/x", None,
    ),
    "list_access_requests": (
        "adyton/access/requests", "list", "users/me/access/requests", None,
    ),
    "request_access": (
        "adyton/access/requests", "update", "users/me/access/requests",
        {"right": "read", "path": "r/x"},
    ),
    "approve_access": (
        "adyton/access/requests/x/approve", "update", "users/me/access/requests/x/approve", {},
    ),
    "deny_access": (
        "adyton/access/requests/x/deny", "update", "users/me/access/requests/x/deny", None,
    ),
    "list_rotations": ("adyton/rotation", "list", "users/me/rotation", None),
    "get_rotation": ("adyton/rotation/r/x", "read", "users/me/rotation/r/x", None),
    "set_rotation": ("adyton/+/r/z", "update", "users/me/rotation/r/z", {}),
    "remove_rotation": ("adyton/rotation/r/x", "delete", "users/me/rotation/r/x", None),
    "get_rotation_history": (
        "adyton/rotation-history/r/x", "read", "users/me/rotation-history/r/x", None,
    ),
    "run_rotation": ("adyton/rotation-run/r/x", "update", "users/me/rotation-run/r/x", None),
    "cancel_rotation": (
        "adyton/rotation-cancel/r/x", "update", "users/me/rotation-cancel/r/x", None,
    ),
    "show_user_root": ("adyton/root", "read", "users/me/root", None),
    "set_user_root": (
        "adyton/root", "update", "users/me/root",
        {"root": b64(bytes(16)), "key": b64(bytes(32)), "roots": []},
    ),
    "give_user_root": (
        "adyton/root/give", "update", "users/me/root/give",
        {"root": b64(bytes(16)), "key": b64(bytes(32))},
    ),
    "take_user_root": ("adyton/root/take", "update", "users/me/root/take", None),
    "change_user_root": (
        "adyton/root/change", "update", "users/me/root/change",
        {
            "root": b64(bytes(16)), "key": b64(bytes(32)), "new_root": b64(bytes(16)),
            "new_key": b64(bytes(32)), "roots": [],
        },
    ),
    "wrap_user_root": (
        "adyton/root/roots", "update", "users/me/root/roots",
        {"root": b64(bytes(16)), "key": b64(bytes(32)), "roots": []},
    ),
    "remove_user_root": (
        "adyton/root/remove", "update", "users/me/root/remove",
        {"root": b64(bytes(16)), "key": b64(bytes(32))},
    ),
    "run_due_rotations": ("adyton/rotation/run-due", "update+sudo", "rotation/run-due", None),
    "get_alert_settings": ("adyton/alerts/settings", "read", "users/me/alerts/settings", None),
    "set_alert_sensitivity": (
        "adyton/alerts/sensitivity", "update", "users/me/alerts/sensitivity",
        {"sensitivity": "low"},
    ),
    "mute_alerts": (
        "adyton/alerts/mutes", "update", "users/me/alerts/mutes", {"rule": "burst"},
    ),
    "unmute_alerts": ("adyton/alerts/mutes/x", "delete", "users/me/alerts/mutes/x", None),
    "scan_for_alerts": ("adyton/alerts/scan", "update", "users/me/alerts/scan", None),
    "list_notices": ("adyton/notices", "list", "users/me/notices", None),
    "get_notice": ("adyton/notices/x", "read", "users/me/notices/x", None),
    "acknowledge_notices": (
        "adyton/notices-acknowledge", "update", "users/me/notices-acknowledge", {},
    ),
    "deliver_notices": ("adyton/notices/deliver", "update+sudo", "notices/deliver", None),
    "list_webhooks": ("adyton/webhooks", "list", "users/me/webhooks", None),
    "add_webhook": ("adyton/webhooks", "update", "users/me/webhooks", {"url": "https://x.test/"}),
    "get_webhook": ("adyton/webhooks/x", "read", "users/me/webhooks/x", None),
    "remove_webhook": ("adyton/webhooks/x", "delete", "users/me/webhooks/x", None),
    "rotate_webhook": (
        "adyton/webhooks/x/rotate", "update", "users/me/webhooks/x/rotate", {},
    ),
    "test_webhook": ("adyton/webhooks/x/test", "update", "users/me/webhooks/x/test", None),
    "list_dynamic_connections": (
        "adyton/dynamic-connections", "list", "users/me/dynamic-connections", None,
    ),
    "get_dynamic_connection": (
        "adyton/dynamic-connections/c", "read", "users/me/dynamic-connections/c", None,
    ),
    "set_dynamic_connection": (
        "adyton/+/c", "update+read", "users/me/dynamic-connections/c",
        {"settings": {"host": "h.invalid"}, "admin": "c"},
    ),
    "remove_dynamic_connection": (
        "adyton/dynamic-connections/x", "delete", "users/me/dynamic-connections/x", None,
    ),
    "list_dynamic_roles": ("adyton/dynamic-roles", "list", "users/me/dynamic-roles", None),
    "get_dynamic_role": ("adyton/dynamic-roles/x", "read", "users/me/dynamic-roles/x", None),
    "set_dynamic_role": (
        "adyton/dynamic-roles/x", "update", "users/me/dynamic-roles/x", {"connection": "c"},
    ),
    "remove_dynamic_role": ("adyton/dynamic-roles/y", "delete", "users/me/dynamic-roles/y", None),
    "issue_credentials": ("adyton/dynamic-issue/y", "update", "users/me/dynamic-issue/y", {}),
    "list_leases": ("adyton/leases", "list", "users/me/leases", None),
    "get_lease": ("adyton/leases/r/x", "read", "users/me/leases/r/x", None),
    "renew_lease": ("adyton/lease-renew/r/x", "update", "users/me/lease-renew/r/x", {}),
    "revoke_lease": ("adyton/lease-revoke/r/x", "update", "users/me/lease-revoke/r/x", {}),
    "revoke_leases": ("adyton/leases-revoke", "update", "users/me/leases-revoke", {}),
    "revoke_due_leases": ("adyton/leases/revoke-due", "update+sudo", "leases/revoke-due", None),
    "list_holds": ("adyton/holds", "list", "users/me/holds", None),
    "add_hold": (
        "adyton/holds", "update", "users/me/holds", {"reason": "r", "where": "r/held"},
    ),
    "release_hold": ("adyton/holds/x", "delete", "users/me/holds/x", None),
    "add_operator_hold": (
        "adyton/users/x/operator-holds", "update+sudo", "users/x/operator-holds", {"reason": "r"},
    ),
    "release_operator_hold": (
        "adyton/users/x/operator-holds/y", "delete+sudo", "users/x/operator-holds/y", None,
    ),
    "get_lifecycle": ("adyton/lifecycle", "read", "users/me/lifecycle", None),
    "set_notice": (
        "adyton/lifecycle/notice", "update", "users/me/lifecycle/notice", {"before": None},
    ),
    "set_retention": (
        "adyton/lifecycle/retention", "update", "users/me/lifecycle/retention", {"seconds": None},
    ),
    "list_expiring": ("adyton/expiring", "list", "users/me/expiring", None),
    "run_due_lifecycle": ("adyton/lifecycle/run-due", "update+sudo", "lifecycle/run-due", None),
    "get_vkey": ("adyton/audit/vkey", "read", "audit/vkey", None),
    "get_store_audit_log": ("adyton/audit", "read+sudo", "audit", None),
    "prove_store_record": ("adyton/audit/0/proof", "read+sudo", "audit/0/proof", None),
    "sign_checkpoint": ("adyton/audit/checkpoint", "update+sudo", "audit/checkpoint", None),
    "verify_log": ("adyton/audit/verify", "update+sudo", "audit/verify", {}),
    "list_users": ("adyton/users", "list+sudo", "users", None),
    "get_quota": ("adyton/quota", "read", "users/me/quota", None),
    "set_quota": ("adyton/users/x/quota", "update+sudo", "users/x/quota", {}),
    "clear_quota": ("adyton/users/x/quota", "delete+sudo", "users/x/quota", None),
    "purge_user": ("adyton/users/nobody", "delete+sudo", "users/nobody", None),
    "list_keys": ("adyton/keys", "read+sudo", "keys", None),
    "rotate_keys": ("adyton/keys/rotate", "update+sudo", "keys/rotate", {"user": "nobody"}),
    "rewrap_keys": ("adyton/keys/rewrap", "update+sudo", "keys/rewrap", {"user": "nobody"}),
    "list_roots": ("adyton/roots", "read+sudo", "roots", None),
    "add_root": ("adyton/roots", "update+sudo", "roots", {"uri": "keyfile:"}),
    "migrate_root": ("adyton/roots/migrate", "update+sudo", "roots/migrate", {"uri": "keyfile:"}),
    "test_roots": ("adyton/roots/test", "update+sudo", "roots/test", {"uri": "keyfile:"}),
    "remove_root": ("adyton/roots/0", "delete+sudo", "roots/0", None),
    "store_health": ("adyton/health/store", "read+sudo", "health/store", None),
}  # fmt: skip
ROUTES = {route.operation: route for route in TABLE.routes}
PUBLIC = {"openapi", "health", "open_link", "get_attestation", "ask_attestation"}


def rule(path, *capabilities, more=""):
    named = ", ".join(f'"{capability}"' for capability in capabilities)
    return f'path "{path}" {{ capabilities = [{named}] {more} }}\n'


def test_each_route_is_in_the_table():
    """Those that anybody may use are known by name, and there are five."""
    assert set(NEEDED) | PUBLIC == set(ROUTES)
    assert {name for name, route in ROUTES.items() if route.place == "public"} == PUBLIC
    for name, (_, needed, *_) in NEEDED.items():
        assert ("sudo" in needed) == (ROUTES[name].place == "store"), name


@pytest.mark.parametrize("operation", NEEDED)
def test_the_least_right_is_enough_and_all_others_are_not(server, operation):
    """On exactly the path; also with every right on every other path."""
    path, needed, url, body = NEEDED[operation]
    rights = needed.split("+")
    put(server, "r/x", "x")
    put(server, "r/y", "x")
    method = ROUTES[operation].method
    others = [right for right in (*EACH, "sudo") if right not in rights]
    elsewhere = rule("*", *EACH, "sudo")
    refused = [elsewhere + rule(path, "deny"), elsewhere + rule(path, *others), rule("x", "read")]
    if "sudo" in rights:
        refused.append(elsewhere + rule(path, *EACH))
        refused.append(elsewhere + rule(path, "sudo"))
    for policy in refused:
        status, _, found = call(server, method, url, body, token=server.token_with(policy))
        assert (status, found["detail"]) == (403, "permission denied"), policy
    status, _, found = call(server, method, url, body, token=server.token_with(rule(path, *rights)))
    assert status != 403, found
    assert status in {200, 204} or (status, kind(found)) in {
        (404, "user-not-found"), (404, "secret-not-found"), (400, "invalid-input"),
    }  # fmt: skip
    # There is no record 0 of this user, no root of that name and but one; the owner needs no
    # approval.
    if status == 400:
        assert operation in {
            "prove_record",
            "set_dynamic_role",
            "request_access",
        } or operation.endswith(("_root", "_roots"))


@pytest.mark.parametrize("operation", [n for n, r in ROUTES.items() if r.place == "store"])
def test_the_store_is_its_operators(server, operation):
    """No right in another namespace opens a route of the store."""
    _, token = shared_user(server)
    _, _, url, body = NEEDED[operation]
    status, _, found = call(server, ROUTES[operation].method, url, body, token=token)
    assert (status, found["detail"]) == (403, "permission denied")


_shared = {}


def shared_user(server):
    if server not in _shared:
        _shared[server] = user_with(server, rule("*", *EACH, "sudo"))
    return _shared[server]


def test_the_default_policy_gives_nothing_here(server):
    """A token with it alone is refused everywhere."""
    made = server.hvac().auth.token.create(policies=["default"])
    token = made["auth"]["client_token"]
    for name, (_, _, url, body) in NEEDED.items():
        assert call(server, ROUTES[name].method, url, body, token=token)[0] == 403, name


def test_create_and_update(server, name):
    """Are told apart by whether a secret is there, also in a batch."""
    url = f"users/me/secrets/{name}"
    path = f"adyton/secrets/{name}"
    create = server.token_with(rule(path, "create"))
    update = server.token_with(rule(path, "update"))
    batch = {"items": [{"name": name, "value": text("x")}]}
    assert put(server, name, "1", token=update)[0] == 403
    assert call(server, "POST", "users/me/batch/write", batch, token=update)[0] == 403
    assert put(server, name, "1", token=create)[0] == 200
    assert put(server, name, "2", token=create)[0] == 403
    assert call(server, "POST", "users/me/batch/write", batch, token=create)[0] == 403
    assert put(server, name, "2", token=update)[0] == 200
    assert call(server, "DELETE", url, token=update)[0] == 403
    assert put(server, name, "a//b", token=create)[0] == 403


def test_what_lies_in_other_mounts_is_there_as_well(server, name):
    """Who may only create overwrites nothing of them."""
    server.root("POST", f"/v1/sys/mounts/{name}", {"type": "kv", "options": {"version": "2"}})
    server.root("POST", f"/v1/{name}/data/x", {"data": {"a": "1"}})
    accessor = server.root("GET", f"/v1/sys/mounts/{name}")[2]["data"]["accessor"]
    create = server.token_with(rule("adyton/secrets/*", "create"))
    for end, expected in (("x", 403), ("y", 200), ("y", 403)):
        url = f"users/me/secrets/.mounts/{accessor}/{end}"
        assert call(server, "PUT", url, {"value": text("v")}, token=create)[0] == expected
    assert server.root("GET", f"/v1/{name}/data/x")[2]["data"]["data"] == {"a": "1"}


def test_a_repeated_creation_needs_no_other_right(server, name):
    """What may create may ask again what it was told; a new request is judged anew."""
    token = server.token_with(rule(f"adyton/secrets/{name}", "create"))
    first = put(server, name, "1", token=token, Idempotency_Key=name)
    again = put(server, name, "1", token=token, Idempotency_Key=name)
    assert (first[0], again[0], first[2]) == (200, 200, again[2])
    assert put(server, name, "1", token=token, Idempotency_Key=name + "2")[0] == 403
    assert put(server, name, "2", token=token, Idempotency_Key=name)[0] == 403


def test_an_answer_is_not_repeated_to_who_may_not_ask(server, name):
    """A key that another token of the namespace used gives nothing away."""
    narrow = server.token_with(rule(f"adyton/secrets/{name}/other", "update", "create"))
    assert put(server, name, "1", Idempotency_Key=name)[0] == 200
    assert put(server, name, "1", token=narrow, Idempotency_Key=name)[0] == 403


def test_values_and_metadata_are_two_rooms(server, name):
    """Who may read one may not read the other."""
    put(server, name, "x")
    for room, other in (("secrets", "metadata"), ("metadata", "secrets")):
        token = server.token_with(rule(f"adyton/{room}/*", *EACH))
        assert call(server, "GET", f"users/me/{room}/{name}", token=token)[0] == 200
        assert call(server, "GET", f"users/me/{other}/{name}", token=token)[0] == 403


def test_lists_show_what_may_be_listed(server, name):
    """A denied folder is left out, cursors included; its own list is refused."""
    for path in ("a", "open/b", "shut/c", "shut/open/d", "z"):
        put(server, f"{name}/{path}", "x")
    token = server.token_with(
        rule(f"adyton/secrets/{name}/*", "list")
        + rule(f"adyton/secrets/{name}/shut/*", "deny")
        + rule(f"adyton/secrets/{name}/shut/open/*", "list")
    )

    def listed(prefix, limit=100):
        names, cursor = [], ""
        while cursor is not None:
            url = f"users/me/secrets?prefix={name}/{prefix}&limit={limit}&cursor={cursor}"
            status, _, found = call(server, "GET", url, token=token)
            if status != 200:
                return status
            names += [meta["name"].removeprefix(name + "/") for meta in found["items"]]
            cursor = found["next_cursor"]
        return names

    assert listed("") == listed("", 1) == ["a", "open/b", "shut/open/d", "z"]
    assert listed("shut") == ["shut/open/d"]
    assert listed("shut/") == listed("shut/c") == 403
    assert listed("shut/open/") == ["shut/open/d"]
    assert call(server, "GET", "users/me/secrets", token=token)[0] == 403
    assert call(server, "GET", f"users/me/secrets?prefix={name}", token=token)[0] == 403


def test_one_refusal_refuses_a_batch(server, name):
    """Nothing of it is read or written."""
    put(server, f"{name}/a", "x")
    put(server, f"{name}/b", "x")
    token = server.token_with(rule(f"adyton/secrets/{name}/a", *EACH))
    read = {"names": [f"{name}/a", f"{name}/b"]}
    assert call(server, "POST", "users/me/batch/read", read, token=token)[0] == 403
    items = [{"name": f"{name}/{at}", "value": text("new")} for at in "ab"]
    assert call(server, "POST", "users/me/batch/write", {"items": items}, token=token)[0] == 403
    assert call(server, "GET", f"users/me/secrets/{name}/a")[2]["version"] == 1


def test_exports_hold_what_may_be_read(server, name):
    """What may not is left out, or refused where it is asked for."""
    put(server, f"{name}/a", "1")
    put(server, f"{name}/b", "2")
    token = server.token_with(
        rule("adyton/export", "update")
        + rule(f"adyton/secrets/{name}/*", "read")
        + rule(f"adyton/secrets/{name}/b", "deny")
    )
    asked = {"format": "json", "prefix": name + "/"}
    found = call(server, "POST", "users/me/export", asked, token=token)[2]
    assert found["data"] == b64(b'{"%s/a":"1"}\n' % name.encode())
    asked["names"] = [f"{name}/a", f"{name}/b"]
    assert call(server, "POST", "users/me/export", asked, token=token)[0] == 403


def test_imports_write_what_may_be_written(server, name):
    """Each name is judged, before anything is written."""
    create = server.token_with(
        rule("adyton/import", "update") + rule(f"adyton/secrets/{name}/*", "create")
    )
    document = {"format": "json", "prefix": name + "/"}

    def imported(token, text, conflict="fail"):
        body = document | {"data": b64(text), "on_conflict": conflict}
        return call(server, "POST", "users/me/import", body, token=token)[0]

    assert imported(create, b'{"a":"1"}') == 200
    assert imported(create, b'{"a":"2"}', "skip") == 200
    assert imported(create, b'{"a":"2"}', "replace") == 403
    assert imported(create, b'{"c":"2"}', "new-version") == 403
    both = server.token_with(
        rule("adyton/import", "update") + rule(f"adyton/secrets/{name}/a", "create", "update")
    )
    assert imported(both, b'{"a":"2","c":"3"}', "replace") == 403
    assert imported(both, b'{"a":"2"}', "new-version") == 200
    assert call(server, "GET", f"users/me/secrets/{name}/a")[2]["version"] == 2
    assert call(server, "GET", f"users/me/secrets/{name}/c")[0] == 404


def test_parameters_that_policies_name(server, name):
    """The body's top members, and an item's in a batch."""
    token = server.token_with(
        rule(f"adyton/secrets/{name}", *EACH, more='denied_parameters = { "max_versions" = [] }')
        + rule(f"adyton/tags/{name}", "patch", more='required_parameters = ["add"]')
    )
    put(server, name, "x")
    plain = {"value": text("x")}
    bound = plain | {"max_versions": 3}
    url = f"users/me/secrets/{name}"
    assert call(server, "PUT", url, plain, token=token)[0] == 200
    assert call(server, "PUT", url, bound, token=token)[0] == 403
    batch = "users/me/batch/write"
    assert call(server, "POST", batch, {"items": [plain | {"name": name}]}, token=token)[0] == 200
    assert call(server, "POST", batch, {"items": [bound | {"name": name}]}, token=token)[0] == 403
    tags = f"users/me/tags/{name}"
    assert call(server, "PATCH", tags, {"add": ["a"]}, token=token)[0] == 200
    assert call(server, "PATCH", tags, {"set": ["a"]}, token=token)[0] == 403


def test_a_rule_that_wants_wrapping_allows_nothing_here(server, name):
    """Answers of this API are never wrapped."""
    put(server, name, "x")
    token = server.token_with(
        rule(f"adyton/secrets/{name}", "read", more='min_wrapping_ttl = "1m"')
    )
    assert call(server, "GET", f"users/me/secrets/{name}", token=token)[0] == 403


def test_the_operator_reaches_others_by_name(server, name):
    """A policy of the operator's names the user; `me` is the operator's own namespace."""
    user, _ = shared_user(server)
    put(server, name, "theirs", user=user)
    put(server, name, "own")
    token = server.token_with(rule(f"{user}/adyton/secrets/*", "read"))
    url = f"users/{user}/secrets/{name}"
    assert call(server, "GET", url, token=token)[2]["value"]["data"] == "theirs"
    assert call(server, "GET", f"users/me/secrets/{name}", token=token)[0] == 403
    assert call(server, "GET", f"users/{user}x/secrets/{name}", token=token)[0] == 403
    assert call(server, "PUT", url, {"value": text("x")}, token=token)[0] == 403


def test_vaults_paths_and_these_are_two_doors(server, name):
    """A rule for one says nothing of the other; both lead to the same secret."""
    put(server, name, "x")
    vault = server.token_with(rule("secret/*", *EACH))
    native = server.token_with(rule("adyton/secrets/*", *EACH))
    assert server.raw("GET", f"/v1/secret/data/{name}", token=vault)[0] == 200
    assert server.raw("GET", f"/v1/secret/data/{name}", token=native)[0] == 403
    assert call(server, "GET", f"users/me/secrets/{name}", token=native)[0] == 200
    assert call(server, "GET", f"users/me/secrets/{name}", token=vault)[0] == 403


def test_counted_and_ended_tokens(server, name):
    """A use is taken before anything is done; one that is over is none."""
    put(server, name, "x")
    token = server.token_with(rule("adyton/secrets/*", "read"), num_uses=2)
    statuses = [call(server, "GET", f"users/me/secrets/{name}", token=token)[0] for _ in "123"]
    assert statuses == [200, 200, 403]
    wrapping = server.root(
        "POST", "/v1/sys/wrapping/wrap", {"a": "b"}, headers={"X-Vault-Wrap-TTL": "60"}
    )[2]["wrap_info"]["token"]
    assert call(server, "GET", f"users/me/secrets/{name}", token=wrapping)[0] == 403
