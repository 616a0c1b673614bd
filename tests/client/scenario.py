"""One scenario that a store and a client go through alike; what comes of it is written down."""

import datetime as dt
import json

from adyton import Secret, SecretMetadata
from adyton.errors import AdytonError, InvalidInput
from adyton.transfer.bundle import one_use_key
from adyton.values import ImportReport, SecretPage

SOON = dt.datetime(2099, 1, 2, 3, 4, 5, 678901, dt.timezone(dt.timedelta(hours=2)))
PAST = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
NAIVE = dt.datetime.fromisoformat("2030-01-01T00:00:00")
BINARY = bytes(range(256)) * 40
NAMES = ["a/b", "ä/ü é", "100%/x?y#z", "a b+c&d=e", "日本/語", "x;y,z", "dot.ted/..x", "%2F/%252e"]


def plain(found):
    """What was answered, without what differs from run to run."""
    if isinstance(found, Secret):
        with found:
            return (
                found.name,
                found.version,
                found.reveal(),
                found.content_type,
                plain(found.metadata)[1:5],
                found.info.size,
            )
    if isinstance(found, SecretMetadata):
        versions = [(v.version, v.state, v.size, v.content_type) for v in found.versions]
        return (found.name, found.version, found.tags, found.attributes, found.max_versions,
                found.rotation, found.expires_at, versions)  # fmt: skip
    if isinstance(found, SecretPage):
        return [plain(each) for each in found], found.cursor is not None
    if isinstance(found, ImportReport):
        return tuple(map(sorted, (found.created, found.replaced, found.new_versions,
                                  found.skipped))), found.dry_run  # fmt: skip
    if isinstance(found, dict):
        return {key: plain(value) for key, value in found.items()}
    if isinstance(found, list):
        return [plain(each) for each in found]
    return found


def steps(at, user, other):
    """Calls, in order; each is made, whatever came of those before."""
    own = at.user(user)
    for name in NAMES:
        yield lambda n=name: at.set_secret(user, n, f"value of {n}")
        yield lambda n=name: at.get_secret(user, n)
    yield lambda: at.set_secret(user, "bin", BINARY, tags=["t", "s"], attributes={"k": "v"})
    yield lambda: at.get_secret(user, "bin")
    yield lambda: at.set_secret(user, "bin", bytearray(b""), content_type="image/png")
    yield lambda: at.get_secret(user, "bin")
    yield lambda: at.get_secret(user, "bin", version=1)
    yield lambda: at.get_secret(user, "bin", version=9)
    yield lambda: at.set_secret(user, "text", "z\u0000\U0001f512", content_type="text/x-odd")
    yield lambda: at.get_secret(user, "text")
    for value in ({"b": [1, 2.5, None, True], "a": {"ü": "x"}}, {}, {"n": 2**70}, {"x": "\n"}):
        yield lambda v=value: at.set_secret(user, "json", v)
        yield lambda: at.get_secret(user, "json")
    yield lambda: at.set_secret(user, "json", {"x": float("nan")})
    yield lambda: at.set_secret(user, "json", {1: 2})
    yield lambda: at.set_secret(user, "json", 7)
    yield lambda: at.set_secret(user, "lone", "\ud800")
    yield lambda: at.set_secret(user, "big", b"x" * (1024 * 1024))
    yield lambda: at.set_secret(user, "big", b"x" * (1024 * 1024 + 1))
    # check-and-set
    yield lambda: at.set_secret(user, "cas", "1", cas=0)
    yield lambda: at.set_secret(user, "cas", "2", cas=0)
    yield lambda: at.set_secret(user, "cas", "2", cas=1)
    yield lambda: at.set_secret(user, "cas", "3", cas=1)
    yield lambda: at.set_secret(user, "cas", "3", cas=-1)
    yield lambda: at.get_secret(user, "cas")
    # names and users that are none
    for bad in ("", "/", "a//b", "a/", "../a", "a/./b", "a\nb", "e\u0301", "x" * 513):
        yield lambda b=bad: at.get_secret(user, b)
        yield lambda b=bad: at.set_secret(user, b, "x")
    for bad in ("", "..", "a/b", "x" * 129, True):
        yield lambda b=bad: at.get_secret(b, "a")
    # metadata, tags, expiry
    yield lambda: at.update_secret_tags(user, "cas", ["b", "a", "b"])
    yield lambda: at.update_secret_tags(user, "cas", add=["c"], remove=["a"])
    yield lambda: at.update_secret_tags(user, "cas", [], add=["d", "e"], remove=["e"])
    yield lambda: at.update_secret_tags(user, "cas", "text")
    yield lambda: at.update_secret_tags(user, "none", ["x"])
    yield lambda: at.update_secret_metadata(user, "cas", attributes={"z": "1", "a": "2"})
    yield lambda: at.update_secret_metadata(user, "cas", expires_at=SOON, max_versions=3)
    yield lambda: at.update_secret_metadata(user, "cas", rotation={"every": "30d"})
    yield lambda: at.update_secret_metadata(user, "cas", max_versions=0)
    yield lambda: at.update_secret_metadata(user, "cas", expires_at=NAIVE)
    yield lambda: at.set_secret(user, "cas", "4", max_versions=2, expires_at=None)
    yield lambda: at.get_secret_metadata(user, "cas")
    yield lambda: at.set_secret(user, "past", "x", expires_at=PAST)
    yield lambda: at.get_secret(user, "past")
    yield lambda: at.get_secret_metadata(user, "none")
    # versions
    for value in ("one", "two", "three"):
        yield lambda v=value: at.set_secret(user, "v", v)
    yield lambda: at.delete_secret(user, "v", versions=[1, 2])
    yield lambda: at.get_secret(user, "v", version=1)
    yield lambda: at.undelete_secret(user, "v", versions=[1])
    yield lambda: at.rollback_secret(user, "v", 1)
    yield lambda: at.rollback_secret(user, "v", 2)
    for cas in (3, 0, 4, True):
        yield lambda c=cas: at.rollback_secret(user, "v", 1, cas=c)
        yield lambda c=cas: at.update_secret_tags(user, "v", add=["c"], cas=c)
        yield lambda c=cas: at.update_secret_metadata(user, "v", attributes={"c": "1"}, cas=c)
        yield lambda c=cas: at.delete_secret(user, "v", versions=[1], cas=c)
        yield lambda: at.get_secret_metadata(user, "v")
    yield lambda: at.undelete_secret(user, "v", versions=[1])
    yield lambda: at.delete_secret(user, "none", cas=1)
    yield lambda: at.destroy_secret(user, "v", versions=[2])
    yield lambda: at.undelete_secret(user, "v", versions=[2])
    yield lambda: at.delete_secret(user, "v")
    yield lambda: at.get_secret(user, "v")
    yield lambda: at.undelete_secret(user, "v")
    yield lambda: at.delete_secret(user, "v", versions=[])
    yield lambda: at.delete_secret(user, "v", versions=[0])
    yield lambda: at.delete_secret(user, "v", versions=[77])
    yield lambda: at.delete_secret(user, "none")
    yield lambda: at.get_secret_metadata(user, "v")
    yield lambda: at.destroy_secret(user, "bin")
    yield lambda: at.destroy_secret(user, "bin")
    # many at once, and the view of one user
    yield lambda: own.set_secrets({"m/1": "x", "m/2": b"y", "m/3": {"z": 1}}, tags=["many"])
    yield lambda: own.set_secrets({"m/4": "x", "bad//name": b"y"})
    yield lambda: own.get_secrets(["m/1", "m/2", "m/3", "m/4"])
    yield lambda: own.get_secrets([])
    yield lambda: own.get_secret("m/3")
    yield own.list_secrets
    yield lambda: own.list_secrets(prefix="m/", tags=["many"])
    yield lambda: own.list_secrets(prefix="v", include_deleted=True)
    yield lambda: own.list_secrets(limit=4)
    yield lambda: own.list_secrets(limit=0)
    yield lambda: _refused(own)
    yield lambda: _pages(own)
    yield lambda: at.list_secrets(other)
    yield lambda: at.get_secret(other, "cas")
    # documents
    yield lambda: sorted(json.loads(own.export_secrets(format="json", prefix="m/")))
    yield lambda: own.export_secrets(names=["cas", "none"], format="json")
    yield own.export_secrets
    yield lambda: own.export_secrets(recipients=["age1x"])
    yield lambda: own.export_secrets(format="json", passphrase="x")
    identity, recipient = one_use_key()
    key = {"identities": [identity]}
    bundle = own.export_secrets(recipients=[recipient], all_versions=True, prefix="v")
    yield lambda: at.import_secrets(other, bundle, identities=[one_use_key()[0]])
    yield lambda: at.import_secrets(other, bundle)
    yield lambda: at.import_secrets(other, bundle[:-1], **key)
    yield lambda: at.import_secrets(other, bundle, **key, dry_run=True)
    yield lambda: at.import_secrets(other, bundle, **key, prefix="in/")
    yield lambda: at.import_secrets(other, bundle, **key, prefix="in/")
    yield lambda: at.import_secrets(
        other, b"A=1\nB=2\n", format="dotenv", on_conflict="skip", prefix="env/"
    )
    yield lambda: at.import_secrets(
        other, b'{"d": {"A": "1"}}', format="json", flatten=True, on_conflict="new-version"
    )
    yield lambda: at.import_secrets(other, b"[", format="json")
    yield lambda: at.import_secrets(other, b"a: 1", format="xml")
    yield lambda: at.get_secret(other, "in/v")
    yield lambda: at.list_secrets(other)
    # records, keys, the end
    yield lambda: _records(at.get_audit_log(user, limit=20, success=True))
    yield lambda: _records(at.get_audit_log(user, limit=3, action="secret.set", success=True))
    yield lambda: _records(at.get_audit_log(user, name="v", success=True))
    yield lambda: _paged(at, user)
    yield lambda: at.get_audit_log(user, limit=0)
    yield lambda: at.keys.rotate(user)
    yield lambda: at.keys.rewrap(user).users
    yield lambda: at.keys.rotate("nobody here")
    yield lambda: {(key.version, key.current) for key in at.keys.list() if key.user == user}
    yield lambda: [each.secrets for each in at.users() if each.user == other]
    yield lambda: at.audit.verify(checkpoints=[at.audit.checkpoint()]).archived
    yield lambda: at.audit.verify(checkpoints=["nonsense"])
    yield lambda: at.audit.prove(2**40, user=user)
    yield lambda: at.health().problems
    yield lambda: at.purge_user(other)
    yield lambda: at.list_secrets(other)
    yield lambda: at.purge_user(other)


def _refused(own):
    """A cursor that is none: the text alone differs, as those of a server are bound to queries."""
    try:
        own.list_secrets(cursor="nonsense")
    except InvalidInput:
        return "refused"


def _pages(own):
    found, cursor = [], None
    while True:
        page = own.list_secrets(limit=3, cursor=cursor)
        found += [each.name for each in page]
        cursor = page.cursor
        if cursor is None:
            return found


def _records(entries):
    return [(e.action, e.secret_name, e.version, e.success) for e in entries]


def _paged(at, user):
    first = at.get_audit_log(user, limit=5, success=True)
    behind = at.get_audit_log(user, limit=5, success=True, below=first[-1].index)
    return _records(behind)


def run(at, user, other):
    """What comes of each step: a plain value, or the class and text of an error."""
    found = []
    for step in steps(at, user, other):
        try:
            found.append(plain(step()))
        except AdytonError as error:
            found.append((type(error).__name__, error.message))
    return found
