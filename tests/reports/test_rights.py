"""Who is let have reports, by policies and by the right `audit`; users whose root is away."""

import secrets

import pytest

from adyton.errors import UserRootAway
from adyton.service.following.follower import Following
from adyton.service.reports.folding import Folding
from natives import call, put, token_of
from ownroots import own
from servers import TOKEN, Server
from support import Place

ALL = 'path "*" { capabilities = ["create","read","update","delete","list","patch","sudo"] }'


@pytest.fixture(scope="module")
def server():
    made = Server("serve", "--dev", "--dev-root-token-id", TOKEN)
    yield made
    code, _, err = made.stop()
    assert code == 0, err


def test_members_need_audit_on_everything(server):
    """An auditor of the whole namespace gets reports; one of a folder, or a viewer, nothing."""
    user = "o" + secrets.token_hex(4)
    owner = token_of(server, user, ALL)
    for name in ("app/db", "top"):
        put(server, name, "x", token=owner)

    def asked(token, path="reports/access"):
        return call(server, "GET", f"users/{user}/{path}", token=token)

    assert asked(owner)[0] == 200
    for name, path, role in (
        ("whole", "/", "auditor"), ("part", "app/", "auditor"), ("viewer", "/", "viewer"),
        ("editor", "/", "editor"), ("nothing", "", ""),
    ):  # fmt: skip
        made = call(server, "PUT", f"users/{user}/members/{name}", {}, token=owner)
        assert made[0] == 200, made
        if role:
            body = {"member": name, "path": path, "role": role}
            assert call(server, "POST", f"users/{user}/grants", body, token=owner)[0] == 200
        token = call(server, "POST", f"users/{user}/members/{name}/token", {}, token=owner)[2][
            "token"
        ]
        for where in ("reports/access", "reports/review", "reports-check"):
            status, _, found = asked(token, where)
            assert status == (200 if name == "whole" else found["status"]), (name, found)
            if name != "whole":
                assert status in {403, 404}, name
                assert "app/db" not in str(found)
        assert call(server, "GET", "reports/usage", token=token)[0] == 403
    records = call(server, "GET", f"users/{user}/audit?action=report.read", token=owner)[2]["items"]
    assert {record["reason"] for record in records if record["success"]} == {
        "access", "review", "check",
    }  # fmt: skip


def test_requests_are_bounded_and_paged(server, monkeypatch):
    """What is out of range is refused with what is in it; pages go on where the last one ended."""
    user = "o" + secrets.token_hex(4)
    owner = token_of(server, user, ALL)
    for number in range(5):
        put(server, f"s{number}", "x", token=owner)
    for query in ("limit=0", "limit=10001", "offset=-1", "days=-1", "since=yesterday",
                  "since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z"):  # fmt: skip
        status, _, found = call(server, "GET", f"users/{user}/reports/access?{query}", token=owner)
        assert status == 400, (query, found)
    names = []
    for offset in (0, 2, 4):
        found = call(
            server, "GET", f"users/{user}/reports/access?limit=2&offset={offset}", token=owner
        )[2]
        (table,) = [each for each in found["tables"] if each["key"] == "secrets"]
        assert table["total"] == 5
        names += [row[0] for row in table["rows"]]
    assert sorted(names) == [f"s{number}" for number in range(5)]


def test_a_root_that_is_away_is_skipped(tmp_path):
    """Nobody has a report of such a user; all others are counted; later the user is, too."""
    with Place(tmp_path).open() as store:
        core = store._opened.core
        for user in ("alice", "bob"):
            store.set_secret(user, "s", b"x")
        store.user_roots.set("alice", own(), seconds=60)
        store.set_secret("alice", "t", b"x")
        store.user_roots.take("alice")
        following = Following(core, [Folding(core)], patience=0)
        core.commit.run_sync(following.run(lambda: False))
        assert [entry.user for entry in store.get_audit_log(None, limit=50, action="report.count")
                ] == ["bob"]  # fmt: skip
        with pytest.raises(UserRootAway):
            store.reports.make("alice", "access")
        for name in ("usage", "keys"):
            report = store.reports.make(None, name)
            assert any("which is away: 1" in note for note in report.notes), report.notes
            cells = [cell for table in report.tables for row in table.rows for cell in row]
            assert "bob" in cells
            assert "alice" not in cells
        store.user_roots.give("alice", own(), seconds=60)
        report = store.reports.make("alice", "access")
        (table,) = [each for each in report.tables if each.key == "secrets"]
        assert [row[0] for row in table.rows] == ["s", "t"]
        store.audit.verify()
