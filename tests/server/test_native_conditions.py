"""Check-and-set of the native API: conditions by ETag, over a real socket."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from natives import call, kind, put


def test_conditions(server, name):
    """If-Match and If-None-Match; those that can't be checked are refused, not ignored."""
    assert put(server, name, "a", If_Match='"1"')[0] == 412
    assert put(server, name, "a", If_None_Match="*")[0] == 200
    assert put(server, name, "b", If_None_Match="*")[0] == 412
    assert put(server, name, "b", If_Match='"0"')[0] == 412
    assert put(server, name, "b", If_Match='"1"')[1]["etag"] == '"2"'
    status, _, found = put(server, name, "c", If_Match='"1"')
    assert (status, kind(found)) == (412, "version-conflict")
    assert put(server, name, "c", If_Match='"2"', If_None_Match="*")[0] == 412
    for wrong in ("*", '"2", "3"', 'W/"2"', "2", '"02"', '"x"', '""', "", '"\xe9"'):
        assert put(server, name, "c", If_Match=wrong)[0] == 400, wrong
    assert put(server, name, "c", If_None_Match='"2"')[0] == 400
    for method, path, body in (
        ("POST", f"users/me/undelete/{name}", {}),
        ("POST", f"users/me/destroy/{name}", {"versions": [1]}),
    ):
        assert call(server, method, path, body, headers={"If-Match": '"2"'})[0] == 400
    assert call(server, "GET", f"users/me/secrets/{name}")[2]["value"]["data"] == "b"


@pytest.mark.parametrize(
    ("method", "kind_of", "body"),
    [
        ("DELETE", "secrets", None),
        ("PATCH", "tags", {"add": ["x"]}),
        ("PATCH", "metadata", {"attributes": {"a": "b"}}),
        ("POST", "rollback", {"version": 1}),
    ],
)
def test_conditions_of_changes(server, name, method, kind_of, body):
    """A change that follows another version than is there does nothing; of many only one does."""
    put(server, name, "a")
    put(server, name, "b")
    path = f"users/me/{kind_of}/{name}"
    before = call(server, "GET", f"users/me/metadata/{name}")[2]
    for headers in ({"If-Match": '"1"'}, {"If-Match": '"3"'}, {"If-None-Match": "*"}):
        status, _, found = call(server, method, path, body, headers=headers)
        assert (status, kind(found)) == (412, "version-conflict")
    for wrong in ("*", 'W/"2"', "2", ""):
        assert call(server, method, path, body, headers={"If-Match": wrong})[0] == 400
    assert call(server, "GET", f"users/me/metadata/{name}")[2] == before
    status, _, found = call(server, method, path, body, headers={"If-Match": '"2"'})
    assert status == 200
    assert found != before
    absent = f"users/me/{kind_of}/{name}-none"
    assert call(server, method, absent, body, headers={"If-Match": '"1"'})[0] == 404


def test_of_many_changes_that_follow_one_version_one_is_done(server, name):
    """The check and the change are one step."""
    put(server, name, "a")

    def roll(_):
        headers = {"If-Match": '"1"'}
        path = f"users/me/rollback/{name}"
        return call(server, "POST", path, {"version": 1}, headers=headers)[0]

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(roll, range(16))) == [200] + [412] * 15
    assert call(server, "GET", f"users/me/metadata/{name}")[2]["version"] == 2
