"""Commands on secrets: init, set, get, list, delete, undelete, destroy, rollback and the like."""

import base64
import datetime as dt
import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from adyton.cli.handing import SharesDir
from adyton.cli.state import (
    Name,
    OutFile,
    Versions,
    Yes,
    state,
    write_private,
)
from adyton.cli.ui import ago, moment
from adyton.cli.values import AsJson, Cas, ContentType, KeepNewline, ValueFile, given_value
from adyton.errors import InvalidInput
from adyton.model import SecretMetadata
from adyton.values import Secret

_SPAN: Final = re.compile(r"(\d+)([smhdw])", re.ASCII)
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

Tags = Annotated[list[str] | None, typer.Option("--tag", help="A tag; may be repeated.")]
Attributes = Annotated[
    list[str] | None, typer.Option("--attribute", help="KEY=TEXT; may be repeated.")
]
Expires = Annotated[
    str | None,
    typer.Option("--expires", help="A time (2027-01-31T12:00Z), a span (30d), or never."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (
        init, set_, get, list_, versions, metadata, tag, rollback, delete, undelete, destroy,
    ):  # fmt: skip
        app.command(name=command.__name__.rstrip("_"))(command)


def describe(found: SecretMetadata) -> dict[str, Any]:
    """Metadata as a JSON document."""
    return {
        "name": found.name,
        "version": found.version,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
        "accessed_at": found.accessed_at,
        "expires_at": found.expires_at,
        "max_versions": found.max_versions,
        "tags": found.tags,
        "attributes": found.attributes,
        "rotation": found.rotation,
        "versions": [
            {
                "version": version.version,
                "created_at": version.created_at,
                "created_by": version.created_by,
                "state": version.state.name.lower(),
                "size": version.size,
                "content_type": version.content_type,
            }
            for version in found.versions
        ],
    }


def parse_pairs(pairs: list[str] | None) -> dict[str, str] | None:
    """KEY=TEXT options as a mapping.

    Raises:
        InvalidInput: One has no equals sign.
    """
    if pairs is None:
        return None
    found = {}
    for position, pair in enumerate(pairs, 1):
        key, equals, value = pair.partition("=")
        if not equals:
            raise InvalidInput(f"attribute {position} is not of the form KEY=TEXT")
        found[key] = value
    return found


def parse_expiry(text: str | None) -> dt.datetime | None | msgspec.UnsetType:
    """A time, a span from now, or never; UNSET where nothing was said.

    Raises:
        InvalidInput: It is none of these.
    """
    if text is None:
        return msgspec.UNSET
    if text == "never":
        return None
    span = _SPAN.fullmatch(text)
    if span:
        return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=int(span[1]) * _UNITS[span[2]])
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            "the expiry is not a time, a span or 'never'", hint="Such as 2027-01-31T12:00Z or 30d."
        ) from None
    return time if time.tzinfo else time.astimezone()


def init(folder: SharesDir = None) -> None:
    """Make a store, and its root of trust if that is a new key file or shares."""
    at = state()
    root = at.root or f"keyfile:{at.store.removeprefix('sqlite:///')}.key"
    at.configure({"store.root": root})
    made_key = root.startswith("keyfile:") and not Path(root[8:]).exists()
    kind = root.partition(":")[0]
    made: dict[str, object] = {"store": at.store, "root": kind}
    if kind == "shamir":
        from adyton.cli.shares import init_shares  # noqa: PLC0415 - loaded on use

        vkey, made["shares"] = init_shares(at, root, folder)
    else:
        with at.local(create=True) as store:
            vkey = store.audit.vkey
    if at.ui.json:
        at.ui.document(made | {"vkey": vkey})
        return
    at.ui.done(f"made the store {at.store}")
    if made_key:
        at.ui.warn(
            f"the master key is wrapped by the file {root[8:]}: whoever has both files has "
            "every secret; move it to another place, and keep a copy"
        )
    at.ui.note("the audit log's verifier key; keep it outside the store:")
    at.ui.line(vkey)
    same = _same_store(at.flags)
    at.ui.note(
        f"next:\n  adyton{same} set db/password --user 42\n"
        f"  adyton{same} get db/password --user 42\n  adyton{same} audit verify"
    )


def _same_store(flags: Mapping[str, object]) -> str:
    """The options by which the next command finds the store that the flags named."""
    named = {"--store": flags.get("store.url"), "--root": flags.get("store.root")}
    if str(named["--root"]).startswith("shamir:"):
        named["--root"] = "shamir:"
    return "".join(f" {name} {shlex.quote(str(value))}" for name, value in named.items() if value)


def set_(
    name: Name,
    file: ValueFile = None,
    as_json: AsJson = False,
    keep_newline: KeepNewline = False,
    tag: Tags = None,
    attribute: Attributes = None,
    expires: Expires = None,
    max_versions: Annotated[
        int | None, typer.Option("--max-versions", help="How many versions to keep.")
    ] = None,
    content_type: ContentType = None,
    cas: Cas = None,
) -> None:
    """Write a secret: the value comes from a prompt, standard input or a file, never from here."""
    at = state()
    user = at.who()
    with (
        given_value(file, content_type, as_json=as_json, keep_newline=keep_newline) as value,
        at.open() as store,
    ):
        found = store.set_secret(
            user,
            name,
            value,
            tags=tag,
            attributes=parse_pairs(attribute),
            expires_at=parse_expiry(expires),
            max_versions=max_versions,
            content_type=content_type,
            cas=cas,
        )
    if at.ui.json:
        at.ui.document(describe(found))
    else:
        at.ui.done(f"version {found.version}")


def get(
    name: Name,
    version: Annotated[
        int | None, typer.Option("--version", "-V", help="This version; else the current one.")
    ] = None,
    field: Annotated[
        str | None, typer.Option("--field", help="One field of a JSON object.")
    ] = None,
    out: OutFile = None,
) -> None:
    """Write a secret's value to standard output, exactly as it was stored."""
    at = state()
    with at.open() as store, store.get_secret(at.who(), name, version=version) as secret:
        if field is not None:
            data = json_field(_parsed(secret), field)
        elif at.ui.json:
            data = b""
        else:
            data = secret.reveal()
        if out is not None:
            write_private(out, data or secret.reveal())
            at.ui.done(f"written to {out}")
        elif at.ui.json:
            at.ui.document(
                {
                    "version": secret.version,
                    "content_type": secret.content_type,
                    "value_base64": base64.b64encode(data or secret.reveal()).decode(),
                    "metadata": describe(secret.metadata),
                }
            )
        else:
            at.ui.raw(data)


def _parsed(secret: Secret) -> Any:  # noqa: ANN401 - JSON is any value
    try:
        return secret.json()
    except ValueError:
        return None


def json_field(value: Any, field: str) -> bytes:  # noqa: ANN401 - JSON is any value
    """One field of a JSON object: text as it is, anything else as JSON.

    Raises:
        InvalidInput: There is no such field.
    """
    if not isinstance(value, dict) or field not in value:
        raise InvalidInput(
            "the secret is no JSON object with that field", hint="Read it without --field."
        )
    found = value[field]
    return found.encode() if isinstance(found, str) else json.dumps(found).encode()


def list_(
    prefix: Annotated[str, typer.Argument(help="Only names that begin so.")] = "",
    tag: Tags = None,
    limit: Annotated[int | None, typer.Option(help="How many at the most.")] = None,
    cursor: Annotated[str | None, typer.Option(help="Where the page begins.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Also deleted and expired secrets.")] = False,
) -> None:
    """List a user's secrets."""
    at = state()
    with at.open() as store:
        page = store.list_secrets(
            at.who(), prefix=prefix, tags=tag or (), limit=limit, cursor=cursor,
            include_deleted=all_,
        )  # fmt: skip
    if at.ui.json:
        at.ui.document({"secrets": [describe(found) for found in page], "cursor": page.cursor})
        return
    at.ui.table(
        ("NAME", "VERSION", "TAGS", "UPDATED", "READ", "EXPIRES"),
        [
            (
                found.name,
                str(found.version),
                ",".join(found.tags),
                ago(found.updated_at),
                ago(found.accessed_at),
                moment(found.expires_at),
            )
            for found in page
        ],
        "no secrets here; write one with 'adyton set NAME'",
    )
    if page.cursor:
        at.ui.note(f"more behind --cursor {page.cursor}")


def versions(name: Name) -> None:
    """Show the versions of a secret."""
    at = state()
    with at.open() as store:
        found = store.get_secret_metadata(at.who(), name)
    if at.ui.json:
        at.ui.document(describe(found)["versions"])
        return
    at.ui.table(
        ("VERSION", "STATE", "SIZE", "WRITTEN", "BY", "TYPE"),
        [
            (
                f"{info.version}{' *' if info.version == found.version else ''}",
                info.state.name.lower(),
                str(info.size),
                moment(info.created_at),
                info.created_by,
                info.content_type,
            )
            for info in reversed(found.versions)
        ],
        "no versions",
    )


def metadata(
    name: Name,
    attribute: Attributes = None,
    expires: Expires = None,
    max_versions: Annotated[
        int | None, typer.Option("--max-versions", help="How many versions to keep.")
    ] = None,
) -> None:
    """Show a secret's metadata; with options, change it first."""
    at = state()
    expiry = parse_expiry(expires)
    pairs = parse_pairs(attribute)
    with at.open() as store:
        if pairs is None and expiry is msgspec.UNSET and max_versions is None:
            found = store.get_secret_metadata(at.who(), name)
        else:
            found = store.update_secret_metadata(
                at.who(),
                name,
                attributes=msgspec.UNSET if pairs is None else pairs,
                expires_at=expiry,
                max_versions=msgspec.UNSET if max_versions is None else max_versions,
            )
    _show(found)


def _show(found: SecretMetadata) -> None:
    at = state()
    if at.ui.json:
        at.ui.document(describe(found))
        return
    rows = [
        ("name", found.name),
        ("version", str(found.version)),
        ("created", moment(found.created_at)),
        ("updated", moment(found.updated_at)),
        ("last read", moment(found.accessed_at)),
        ("expires", moment(found.expires_at)),
        ("keeps", f"{found.max_versions} versions"),
        ("tags", ", ".join(found.tags) or "-"),
        *((f"  {key}", value) for key, value in found.attributes.items()),
    ]
    at.ui.table(("FIELD", "VALUE"), rows, "")


def tag(
    name: Name,
    add: Annotated[list[str] | None, typer.Option("--add", help="Add this tag.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="Remove this tag.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove all tags first.")] = False,
) -> None:
    """Change a secret's tags, and show them."""
    at = state()
    with at.open() as store:
        found = store.update_secret_tags(
            at.who(), name, [] if clear else None, add=add or (), remove=remove or ()
        )
    if at.ui.json:
        at.ui.document(describe(found))
    else:
        at.ui.line(" ".join(found.tags) or "(no tags)")


def rollback(
    name: Name, version: Annotated[int, typer.Argument(help="The version to go back to.")]
) -> None:
    """Write an older version's value as a new version."""
    at = state()
    with at.open() as store:
        found = store.rollback_secret(at.who(), name, version)
    if at.ui.json:
        at.ui.document(describe(found))
    else:
        at.ui.done(f"version {found.version} has the value of version {version}")


def delete(name: Name, version: Versions = None) -> None:
    """Mark a secret, or versions of it, deleted; 'undelete' undoes it."""
    at = state()
    with at.open() as store:
        store.delete_secret(at.who(), name, versions=version)
    at.ui.done("deleted; 'adyton undelete' undoes it, 'adyton destroy' makes it final")


def undelete(name: Name, version: Versions = None) -> None:
    """Make a deleted secret, or versions of it, live again."""
    at = state()
    with at.open() as store:
        store.undelete_secret(at.who(), name, versions=version)
    at.ui.done("live again")


def destroy(name: Name, version: Versions = None, yes: Yes = False) -> None:
    """Erase a secret with its name and history, or only versions of it, for good."""
    at = state()
    user = at.who()
    what = "these versions" if version else "this secret with all its versions"
    at.ui.confirm(f"{what} will be erased for good;", yes=yes)
    with at.open() as store:
        store.destroy_secret(user, name, versions=version)
    at.ui.done("erased")
