"""Makes vectors/bundle/*.json from docs/spec/bundle.md alone: it imports nothing of the package.

Run as a program it writes the files; the tests check that it reproduces them.
"""

import base64
import copy
import hashlib
import json
import sys
from pathlib import Path

DIRECTORY = Path(__file__).parents[2] / "vectors" / "bundle"
T1 = "2026-01-31T23:59:59.000000Z"
T2 = "2026-02-01T00:00:00.000001Z"


def jcs(value):
    """RFC 8785 for what a bundle holds: no floats, ASCII keys."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def field(raw):
    return len(raw).to_bytes(4, "big") + raw


def version_digest(name, version):
    parts = [
        b"adyton.bundle.v1/version",
        name.encode(),
        version["version"].to_bytes(8, "big"),
        version["content_type"].encode(),
    ]
    if version["value"] is not None:
        parts.append(base64.b64decode(version["value"]))
    return hashlib.sha256(b"".join(map(field, parts))).hexdigest()


def whole_digest(document):
    rest = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(jcs(rest)).hexdigest()


def version(
    number, value, state="live", content_type="application/octet-stream", at=T1, by="cli:a"
):
    return {
        "version": number,
        "created_at": at,
        "created_by": by,
        "state": state,
        "content_type": content_type,
        "value": None if value is None else base64.b64encode(value).decode(),
        "sha256": "",
    }


def secret(name, *versions, **more):
    found = {
        "name": name,
        "tags": [],
        "attributes": [],
        "created_at": T1,
        "updated_at": T1,
        "expires_at": None,
        "max_versions": 0,
        "rotation": [],
        "versions": list(versions),
    }
    return found | more


def document(*secrets):
    return seal(
        {
            "format": "adyton.bundle.v1",
            "created_at": T2,
            "count": len(secrets),
            "secrets": list(secrets),
            "sha256": "",
        }
    )


def seal_versions(doc):
    for one in doc["secrets"]:
        for each in one["versions"]:
            each["sha256"] = version_digest(one["name"], each)
    return doc


def seal_whole(doc):
    doc["sha256"] = whole_digest(doc)
    return doc


def seal(doc):
    return seal_whole(seal_versions(doc))


def sample():
    """Two secrets that use every member."""
    return document(
        secret(
            "db/password",
            version(1, b"old", "deleted"),
            version(2, None, "destroyed", by=""),
            version(4, "p\u00e4ss\u2028\U0001f511".encode(), content_type="text/plain", at=T2),
            tags=["prod", "w\u00e9b"],
            attributes=[["note", 'quote " back \\ tab \t bell \u0007 del \u007f'], ["owner", ""]],
            expires_at="2030-01-01T00:00:00.000000Z",
            updated_at=T2,
            max_versions=10,
            rotation=[["every", "30d"]],
        ),
        secret("zero", version(1, b"")),
    )


def read_of(doc):
    return [
        {
            "name": one["name"],
            "versions": [
                [
                    v["version"],
                    None if v["value"] is None else base64.b64decode(v["value"]).hex(),
                ]
                for v in one["versions"]
            ],
        }
        for one in doc["secrets"]
    ]


def vectors():
    """File name to content, for every vector."""
    found = {}

    def add(name, expect, comment, text, read=None):
        if not isinstance(text, str):
            text = json.dumps(text, ensure_ascii=False)
        found[name] = {"comment": comment, "expect": expect, "document": text}
        if read is not None:
            found[name]["read"] = read

    def changed(name, expect, comment, change, reseal=seal):
        doc = sample()
        doc = change(doc) or doc
        add(name, expect, comment, reseal(doc) if reseal else doc)

    good = sample()
    add("ok-all-members", "ok", "Every member, history, a destroyed version.", good, read_of(good))
    add("ok-empty", "ok", "No secrets.", document(), [])
    add(
        "ok-layout",
        "ok",
        "Indented, members in another order, escaped letters: layout carries no meaning.",
        json.dumps(dict(reversed(good.items())), indent=2),
        read_of(good),
    )
    text = json.dumps(good, ensure_ascii=False)
    add("not-json-cut", "not json", "Half of a document.", text[: len(text) // 2])
    add("not-json-tail", "not json", "Something after it.", text + "x")
    add("not-json-bom", "not json", "A byte order mark.", "\ufeff" + text)
    add(
        "deep",
        "wrong shape",
        "A nesting bomb.",
        '{"format":"adyton.bundle.v1","secrets":' + "[" * 5000,
    )
    changed("format-v2", "unknown format", "", lambda d: d | {"format": "adyton.bundle.v2"})
    changed("unknown-member", "wrong shape", "In the document.", lambda d: d | {"x": 1})

    def edit(path, value):
        def change(doc):
            at = doc
            for step in path[:-1]:
                at = at[step]
            if value is ...:
                del at[path[-1]]
            else:
                at[path[-1]] = value

        return change

    v0, s0 = ("secrets", 0, "versions", 0), ("secrets", 0)
    for name, path, value in (
        ("unknown-member-secret", (*s0, "x"), 1),
        ("unknown-member-version", (*v0, "x"), 1),
        ("missing-member", (*s0, "tags"), ...),
        ("tags-not-array", (*s0, "tags"), "prod"),
        ("attributes-object", (*s0, "attributes"), {"a": "b"}),
        ("attribute-triple", (*s0, "attributes"), [["a", "b", "c"]]),
        ("version-text", (*v0, "version"), "1"),
        ("version-fraction", (*v0, "version"), 1.0),
        ("version-too-large", (*v0, "version"), 2**53),
        ("state-unknown", (*v0, "state"), "gone"),
        ("name-null", (*s0, "name"), None),
    ):
        changed(name, "wrong shape", "", edit(path, value), reseal=None)
    for name, value in (
        ("base64-cut", "b2x"),
        ("base64-url", "-_-_"),
        ("base64-space", "b2 xk"),
        ("base64-line", "b2xk\n"),
    ):
        changed(name, "wrong shape", "", edit((*v0, "value"), value), reseal=None)
    changed("count-high", "bad count", "", edit(("count",), 3))
    changed(
        "count-dropped",
        "bad count",
        "A secret was left out.",
        edit(("secrets", 1), ...),
        seal_whole,
    )
    changed(
        "name-twice",
        "duplicate name",
        "",
        lambda d: d["secrets"].append(copy.deepcopy(d["secrets"][0])) or d | {"count": 3},
    )
    for name, path, value in (
        ("name-empty", (*s0, "name"), ""),
        ("name-dots", (*s0, "name"), "a/../b"),
        ("name-slash", (*s0, "name"), "/a"),
        ("name-control", (*s0, "name"), "a\u0000b"),
        ("name-not-nfc", (*s0, "name"), "e\u0301"),
        ("name-long", (*s0, "name"), "x" * 513),
        ("tags-unsorted", (*s0, "tags"), ["b", "a"]),
        ("tags-twice", (*s0, "tags"), ["a", "a"]),
        ("tag-empty", (*s0, "tags"), [""]),
        ("tags-many", (*s0, "tags"), [f"{n:03}" for n in range(65)]),
        ("attributes-unsorted", (*s0, "attributes"), [["b", ""], ["a", ""]]),
        ("attributes-twice", (*s0, "attributes"), [["a", "1"], ["a", "2"]]),
        ("attribute-long", (*s0, "attributes"), [["a", "x" * 1025]]),
        ("rotation-twice", (*s0, "rotation"), [["a", "1"], ["a", "2"]]),
        ("max-versions", (*s0, "max_versions"), 1001),
        ("no-version", (*s0, "versions"), []),
        ("version-zero", (*v0, "version"), 0),
        ("versions-descending", (*v0, "version"), 5),
        ("versions-equal", (*v0, "version"), 2),
        ("content-type-empty", (*v0, "content_type"), ""),
        ("content-type-control", (*v0, "content_type"), "a\nb"),
        ("destroyed-value", (*v0, "state"), "destroyed"),
        ("live-null", ("secrets", 0, "versions", 1, "state"), "live"),
        ("actor-long", (*v0, "created_by"), "x" * 513),
        ("time-no-zone", (*s0, "created_at"), "2026-01-31T23:59:59.000000"),
        ("time-offset", (*s0, "created_at"), "2026-01-31T23:59:59.0000+00"),
        ("time-seconds", (*s0, "created_at"), "2026-01-31T23:59:59Z"),
        ("time-space", (*s0, "updated_at"), "2026-01-31 23:59:59.000000Z"),
        ("time-week", (*s0, "expires_at"), "2026-W01-1T23:59:59.000000Z"),
        ("time-day-32", (*v0, "created_at"), "2026-01-32T23:59:59.000000Z"),
        ("time-1969", (*v0, "created_at"), "1969-12-31T23:59:59.999999Z"),
        ("time-document", ("created_at",), "yesterday"),
    ):
        changed(name, "rule broken", "", edit(path, value))
    a = ("secrets", 0, "versions", 2)
    for name, path, value in (
        ("digest-wrong", (*v0, "sha256"), "0" * 64),
        ("digest-case", (*v0, "sha256"), good["secrets"][0]["versions"][0]["sha256"].upper()),
        ("value-changed", (*a, "value"), "AAAA"),
        ("type-changed", (*a, "content_type"), "application/json"),
        ("number-changed", (*a, "version"), 5),
        ("name-changed", (*s0, "name"), "db/passwore"),
    ):
        changed(name, "version digest", "", edit(path, value), seal_whole)

    def swap(doc):
        one, two = doc["secrets"][0]["versions"], doc["secrets"][1]["versions"]
        one[2]["value"], two[0]["value"] = two[0]["value"], one[2]["value"]
        one[2]["sha256"], two[0]["sha256"] = two[0]["sha256"], one[2]["sha256"]

    changed(
        "values-swapped", "version digest", "With their digests, between names.", swap, seal_whole
    )
    for name, path, value in (
        ("whole-wrong", ("sha256",), "0" * 64),
        ("whole-created", ("created_at",), T1),
        ("whole-tags", (*s0, "tags"), ["prod"]),
        ("whole-attribute", ("secrets", 0, "attributes", 1, 1), "bob"),
        ("whole-expiry", (*s0, "expires_at"), None),
        ("whole-max", (*s0, "max_versions"), 9),
        ("whole-rotation", (*s0, "rotation"), []),
        ("whole-updated", (*s0, "updated_at"), T1),
        ("whole-actor", (*v0, "created_by"), "cli:b"),
        ("whole-state", (*v0, "state"), "live"),
        ("whole-version-time", (*v0, "created_at"), T2),
        ("whole-version-left-out", v0, ...),
    ):
        changed(name, "whole digest", "", edit(path, value), None)

    def dropped(doc):
        del doc["secrets"][1]
        doc["count"] = 1

    changed("whole-dropped", "whole digest", "A secret left out, count mended.", dropped, None)
    changed("whole-reordered", "whole digest", "", lambda d: d["secrets"].reverse(), None)
    twice = text.replace('"max_versions": 10', '"max_versions": 10, "max_versions": 11')
    add("member-twice", "whole digest", "Valid by the first, not by the last.", twice)
    assert twice != text
    return found


def render(vector):
    return json.dumps(vector, indent=1, sort_keys=True) + "\n"


def main():
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for name, vector in vectors().items():
        (DIRECTORY / f"{name}.json").write_text(render(vector))
    sys.stdout.write(f"{len(vectors())} vectors\n")


if __name__ == "__main__":
    main()
