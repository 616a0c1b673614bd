"""Commands on policies of a server."""

from pathlib import Path
from typing import Annotated, Final

import typer

from adyton.cli.state import Namespace, read_private, read_stdin, state
from adyton.errors import InvalidInput

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_MAX_POLICY: Final = 1024 * 1024
Policy = Annotated[str, typer.Argument(help="Name of the policy.")]


@app.command(name="list")
def list_(namespace: Namespace = "") -> None:
    """Show the names of all policies."""
    at = state()
    with at.client(namespace=namespace) as client:
        names = client.policies.list()
    if at.ui.json:
        at.ui.document(names)
        return
    for name in names:
        at.ui.line(name)


@app.command(name="read")
def read(name: Policy, namespace: Namespace = "") -> None:
    """Write a policy's text to standard output."""
    at = state()
    with at.client(namespace=namespace) as client:
        text = client.policies.read(name)
    if at.ui.json:
        at.ui.document({"name": name, "policy": text})
    else:
        at.ui.text(text)


@app.command(name="write")
def write(
    name: Policy,
    file: Annotated[
        Path | None, typer.Argument(help="HCL or JSON; - or nothing for standard input.")
    ] = None,
    namespace: Namespace = "",
) -> None:
    """Write a policy; what tokens may do changes at once."""
    at = state()
    from_file = file is not None and str(file) != "-"
    data = read_private(file) if file is not None and from_file else read_stdin(_MAX_POLICY)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise InvalidInput("the policy is not UTF-8 text") from None
    with at.client(namespace=namespace) as client:
        client.policies.write(name, text)
    at.ui.done(f"policy {name} is written")


@app.command(name="delete")
def delete(name: Policy, namespace: Namespace = "") -> None:
    """Delete a policy; tokens that have it may do less at once."""
    at = state()
    with at.client(namespace=namespace) as client:
        client.policies.delete(name)
    at.ui.done(f"policy {name} is gone")
