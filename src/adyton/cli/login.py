"""Commands that log in to a server and out, and show its state."""

from pathlib import Path
from typing import Annotated

import typer

from adyton.cli.state import Namespace, SecretFile, State, read_secret_line, state
from adyton.cli.tokens import describe, lasting
from adyton.errors import AccessDenied, InvalidInput

_SEALED = 8


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(name="login")(login)
    app.command(name="logout")(logout)
    app.command(name="status")(status)


def login(
    method: Annotated[str, typer.Option("--method", help="token, userpass or approle.")] = "token",
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the user, for userpass.")
    ] = None,
    role_id: Annotated[
        str | None, typer.Option("--role-id", help="RoleID of the machine, for approle.")
    ] = None,
    mount: Annotated[
        str | None, typer.Option("--mount", help="Where the method is enabled, if elsewhere.")
    ] = None,
    file: SecretFile = None,
    namespace: Namespace = "",
) -> None:
    """Log in to a server, and keep the token in ~/.adyton-token.

    The token, password or SecretID is asked for, or comes from standard input or --file.
    """
    try:
        _login(state(), method, name, role_id, mount, file, namespace)
    except AccessDenied as error:
        error.hint = (
            error.hint or "--namespace says whose it is, --mount where a method is enabled."
        )
        raise


def _login(
    at: State,
    method: str,
    name: str | None,
    role_id: str | None,
    mount: str | None,
    file: Path | None,
    namespace: str,
) -> None:
    from adyton.client.settings import write_token_file  # noqa: PLC0415 - loaded on use

    if method == "token":
        token = read_secret_line("token", file)
        with at.client(token=token, namespace=namespace) as client:
            ttl = client.tokens.lookup().ttl
            base = client.address
        told: dict[str, object] = {"ttl": ttl}
    else:
        with at.client(token="", namespace=namespace) as client:
            base = client.address
            if method == "userpass":
                if not name:
                    raise InvalidInput("no user is named", hint="Give --name NAME.")
                password = read_secret_line("password", file)
                grant = client.login_userpass(name, password, mount=mount or method)
            elif method == "approle":
                if not role_id:
                    raise InvalidInput("no role is named", hint="Give --role-id ID.")
                secret_id = read_secret_line("SecretID", file)
                grant = client.login_approle(role_id, secret_id, mount=mount or method)
            else:
                raise InvalidInput(
                    "the method is none of token, userpass and approle",
                    hint="Give one of these; --mount names where it is enabled.",
                )
        token, ttl, told = grant.token, grant.ttl, describe(grant)
    write_token_file(base, token, namespace)
    if at.ui.json:
        at.ui.document(told)
    else:
        at.ui.done(f"logged in; the token is in ~/.adyton-token; {lasting(ttl)}")


def logout(namespace: Namespace = "") -> None:
    """Revoke the token in ~/.adyton-token, and remove the file."""
    at = state()
    from adyton.client import settings  # noqa: PLC0415 - loaded on use

    with at.client(token="", namespace=namespace) as client:
        kept = settings.read_token_file(client.address)
    if not kept.token:
        at.ui.note("nobody is logged in")
        return
    _revoke(at, kept.token, namespace or kept.namespace)
    settings.remove_token_file()
    at.ui.done("logged out")


def _revoke(at: State, token: str, namespace: str) -> None:
    with at.client(token=token, namespace=namespace) as client:
        try:
            client.logout()
        except AccessDenied:
            at.ui.warn(
                "the server does not take the token: it has ended already, "
                "or is of another namespace"
            )


def status() -> None:
    """Show the state of a server; ends with 8 if it is sealed. Needs no token."""
    at = state()
    with at.client(token="") as client:
        found = client.status()
    if at.ui.json:
        at.ui.document(found._asdict())
    else:
        at.ui.table(
            ("FIELD", "VALUE"),
            [
                ("address", found.address),
                ("version", found.version),
                ("initialized", "yes" if found.initialized else "no"),
                ("sealed", f"yes ({found.given} of {found.shares})" if found.sealed else "no"),
                ("root of trust", found.root),
            ],
            "",
        )
    if found.sealed or not found.initialized:
        raise typer.Exit(_SEALED)
