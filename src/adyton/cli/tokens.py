"""Commands on tokens: of a server, and the first one, which is made in its store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adyton.cli.state import (
    Namespace,
    OutFile,
    SecretFile,
    read_secret_line,
    state,
    write_secret_line,
)
from adyton.cli.ui import moment
from adyton.errors import InvalidInput

if TYPE_CHECKING:
    from adyton.client import Grant

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Accessor = Annotated[str | None, typer.Option("--accessor", help="Another token, by its accessor.")]


@app.command(name="root")
def root(out: OutFile = None) -> None:
    """Make a root token of the store's server; the store must not be open elsewhere."""
    from adyton.server.tokens import make_root_token  # noqa: PLC0415 - loaded on use

    at = state()
    with at.local() as store:
        text = make_root_token(store._opened)  # noqa: SLF001 - both are faces of it
    if at.ui.json and out is None:
        at.ui.document({"token": text})
    else:
        write_secret_line(text, out)


@app.command(name="create")
def create(
    policy: Annotated[
        list[str] | None, typer.Option("--policy", help="A policy; may be repeated.")
    ] = None,
    ttl: Annotated[str | None, typer.Option("--ttl", help="How long it lasts, as in 1h.")] = None,
    max_ttl: Annotated[
        str | None, typer.Option("--max-ttl", help="How long at the most, renewed or not.")
    ] = None,
    period: Annotated[
        str | None, typer.Option("--period", help="It lasts while it is renewed this often.")
    ] = None,
    uses: Annotated[int | None, typer.Option("--uses", help="How often it can be used.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What it is called in records.")
    ] = None,
    orphan: Annotated[
        bool, typer.Option("--orphan", help="It outlives the token that makes it.")
    ] = False,
    no_default_policy: Annotated[
        bool, typer.Option("--no-default-policy", help="Leave the policy 'default' out.")
    ] = False,
    batch: Annotated[
        bool,
        typer.Option("--batch", help="Store nothing of it; it can't be renewed or revoked alone."),
    ] = False,
    out: OutFile = None,
    namespace: Namespace = "",
) -> None:
    """Make a token from the one in use, and write it to standard output."""
    at = state()
    with at.client(namespace=namespace) as client:
        grant = client.tokens.create(
            policies=policy or (), ttl=ttl, max_ttl=max_ttl, period=period, uses=uses, name=name,
            orphan=orphan, default_policy=not no_default_policy, batch=batch,
        )  # fmt: skip
    if at.ui.json:
        at.ui.document(describe(grant) | ({"token": grant.token} if out is None else {}))
    elif out is None:
        write_secret_line(grant.token, None)
    if out is not None:
        write_secret_line(grant.token, out)
    at.ui.note(f"{f'accessor {grant.accessor}; ' if grant.accessor else ''}{lasting(grant.ttl)}")


@app.command(name="lookup")
def lookup(accessor: Accessor = None, file: SecretFile = None, namespace: Namespace = "") -> None:
    """Show what is known of the token in use, or of another."""
    at = state()
    with at.client(namespace=namespace) as client:
        found = client.tokens.lookup(_text(file), accessor=accessor)
    if at.ui.json:
        at.ui.document(found._asdict())
        return
    rows = [
        ("accessor", found.accessor or "-"),
        ("name", found.display_name or "-"),
        ("policies", ", ".join(found.policies)),
        ("made at", found.path),
        ("time", lasting(found.ttl)),
        ("ends (UTC)", moment(found.expires_at)),
        ("renewable", "yes" if found.renewable else "no"),
        ("uses left", str(found.uses) if found.uses else "any number"),
        ("orphan", "yes" if found.orphan else "no"),
        *((f"  {key}", value) for key, value in found.metadata.items()),
    ]
    at.ui.table(("FIELD", "VALUE"), rows, "")


@app.command(name="renew")
def renew(
    accessor: Accessor = None,
    file: SecretFile = None,
    increment: Annotated[
        str | None, typer.Option("--increment", help="How much longer, as in 1h.")
    ] = None,
    namespace: Namespace = "",
) -> None:
    """Make the token in use last longer, or another."""
    at = state()
    with at.client(namespace=namespace) as client:
        grant = client.tokens.renew(_text(file), accessor=accessor, increment=increment)
    if at.ui.json:
        at.ui.document(describe(grant))
    else:
        at.ui.done(f"renewed; {lasting(grant.ttl)}")


@app.command(name="revoke")
def revoke(
    accessor: Accessor = None,
    file: SecretFile = None,
    self: Annotated[bool, typer.Option("--self", help="The token in use.")] = False,
    namespace: Namespace = "",
) -> None:
    """End a token, and all that were made from it."""
    at = state()
    if sum((accessor is not None, file is not None, self)) != 1:
        raise InvalidInput(
            "one token is to be named", hint="Give --accessor, --file or --self, and only one."
        )
    with at.client(namespace=namespace) as client:
        if self:
            client.logout()
        else:
            client.tokens.revoke(_text(file), accessor=accessor)
    at.ui.done("revoked, and all that were made from it")


def _text(file: Path | None) -> str | None:
    return None if file is None else read_secret_line("token", file)


def describe(grant: "Grant") -> dict[str, object]:
    """What is told of a token beside its text, as a JSON document."""
    return {
        "accessor": grant.accessor,
        "policies": grant.policies,
        "ttl": grant.ttl,
        "renewable": grant.renewable,
    }


def lasting(seconds: int) -> str:
    """How long a token lasts, for people."""
    if not seconds:
        return "it does not end by itself"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"it ends in {seconds // size} {unit}"
    return f"it ends in {seconds} s"
