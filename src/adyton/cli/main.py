"""The command ``adyton``: its options, its commands, and what its exit codes mean.

==== ==============================================================================================
code meaning
==== ==============================================================================================
0    done
1    something unexpected: a fault of Adyton
2    wrong usage or input; a document that does not parse
3    no such secret, version or user
4    a conflict: check-and-set, names of an import that exist, or a legal hold
5    access denied
6    the store: missing, there already, locked, full, read-only, closed
7    integrity or audit: what is stored, or a proof, is not what was written
8    the root of trust: wrong, locked or away; a server that is sealed
9    a server that can't be reached, is busy or still at it, or fails; a rotation or lease that did
10   attestation: evidence of a server's code is missing, wrong or not accepted
==== ==============================================================================================

``adyton run`` ends with the exit code of the program it ran.
"""

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Final

import typer

from adyton import errors
from adyton.cli import (
    access,
    alerts,
    attest,
    audit,
    config,
    doctor,
    dynamic,
    grants,
    holds,
    keys,
    leases,
    lifecycle,
    links,
    login,
    members,
    notices,
    policies,
    quotas,
    reports,
    rotation,
    running,
    secrets,
    serve,
    shares,
    sharing,
    tls,
    tokens,
    transfer,
    users,
    webhooks,
)
from adyton.cli.state import State, flag, has_token, set_state, state
from adyton.cli.ui import Ui
from adyton.cli.usage import built, mistake

EXIT_CODES: Final[tuple[tuple[type[errors.AdytonError], int], ...]] = (
    (errors.InvalidInput, 2),
    (errors.ConfigurationError, 2),
    (errors.LimitExceeded, 2),
    (errors.SecretNotFound, 3),
    (errors.UserNotFound, 3),
    (errors.VersionConflict, 4),
    (errors.ImportConflict, 4),
    (errors.LegalHold, 4),
    (errors.RotationError, 9),
    (errors.LeaseError, 9),
    (errors.AccessDenied, 5),
    (errors.AuditUnavailable, 6),
    (errors.StoreError, 6),
    (errors.IntegrityError, 7),
    (errors.AuditError, 7),
    (errors.UserRootRefused, 5),
    (errors.RootError, 8),
    (errors.AttestationError, 10),
    (errors.RequestPending, 9),
    (errors.ServerUnavailable, 9),
)

app = typer.Typer(
    name="adyton",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Keep secrets of many users who must never see each other's.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

_VALUED: Final = (
    "--addr",
    "--config",
    "--store",
    "--root",
    "--user",
    "-u",
    "--output",
    "-o",
    "--wait",
    "--audit-sink",
    "--share-file",
    "--user-root",
)
_FLAGS: Final = ("--no-color", "--debug")


def _show_version(value: bool) -> None:
    if value:
        from adyton import __version__  # noqa: PLC0415 - loaded on use

        typer.echo(f"adyton {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config_file: Annotated[
        Path | None,
        typer.Option("--config", envvar="ADYTON_CONFIG", help="Configuration file, TOML."),
    ] = None,
    addr: Annotated[
        str, typer.Option("--addr", envvar="ADYTON_ADDR", help="A server, instead of a store.")
    ] = "",
    store: Annotated[str | None, flag("store.url")] = None,
    root: Annotated[str | None, flag("store.root")] = None,
    user: Annotated[
        str | None, typer.Option("--user", "-u", envvar="ADYTON_USER", help="Whose secrets.")
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", envvar="ADYTON_OUTPUT", help="table or json.")
    ] = "table",
    wait: Annotated[str | None, flag("store.lock_timeout")] = None,
    audit_sink: Annotated[list[str] | None, flag("audit.sinks")] = None,
    share_file: Annotated[
        list[Path] | None,
        typer.Option("--share-file", help="Take shares from this private file; may be repeated."),
    ] = None,
    user_root: Annotated[
        str,
        typer.Option(
            "--user-root",
            envvar="ADYTON_USER_ROOT",
            help="The root that --user holds, for a command on a store itself.",
        ),
    ] = "",
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an unexpected error came from.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version."),
    ] = False,
) -> None:
    """Options that every command shares; they may stand before or behind the command."""
    if output not in {"table", "json"}:
        raise typer.BadParameter("--output is table or json")
    colors = not (no_color or "NO_COLOR" in os.environ)
    ui = Ui(json=output == "json", color=colors)
    flags: dict[str, object] = {
        "store.url": store,
        "store.root": root,
        "store.lock_timeout": wait,
        "audit.sinks": audit_sink or None,
    }
    given = {key: value for key, value in flags.items() if value is not None}
    server = _server(context, addr, given)
    shares = list(share_file or ())
    set_state(State(user, debug, ui, config_file, given, server, shares, user_root))


def _server(context: typer.Context, addr: str, flags: dict[str, object]) -> str:
    """The server that is meant; a store that is named beside the command comes before ADYTON_ADDR.

    Raises:
        InvalidInput: Options of a store stand beside one that names a server.
    """
    source = context.get_parameter_source("addr")
    explicit = source is not None and source.name == "COMMANDLINE"
    if explicit and addr and flags:
        raise errors.InvalidInput(
            "--store, --root, --wait and --audit-sink are for a store that is opened here",
            hint="A server has settings of its own; leave them out, or leave out --addr.",
        )
    return "" if "store.url" in flags and not explicit else addr


secrets.register(app)
transfer.register(app)
running.register(app)
serve.register(app)
login.register(app)
app.add_typer(attest.app, name="attest", help="Evidence of a server's code: show, verify.")
app.add_typer(audit.app, name="audit", help="The audit log: read, verify, prove, archive.")
app.add_typer(keys.app, name="keys", help="Keys: list, rotate, re-wrap.")
app.add_typer(sharing.app, name="share", help="Secrets that one user lets another read.")
app.add_typer(links.app, name="link", help="One-time links, for people without an account.")
app.add_typer(alerts.app, name="alert", help="Reads that are unusual: show, mute, settings.")
app.add_typer(notices.app, name="notice", help="Notices: what a user was told of.")
app.add_typer(webhooks.app, name="webhook", help="Where a user's notices are sent to.")
app.add_typer(rotation.app, name="rotation", help="Rotation of secrets: policies and runs.")
app.add_typer(
    dynamic.app, name="dynamic", help="Credentials made on request: connections, roles, issuing."
)
app.add_typer(leases.app, name="lease", help="Leases of those: list, renew, revoke.")
app.add_typer(tokens.app, name="token", help="Tokens of a server.")
app.add_typer(policies.app, name="policy", help="Policies of a server.")
app.add_typer(members.app, name="member", help="Members of a namespace: people, machines, users.")
app.add_typer(members.roles, name="role", help="Roles: rights that go together.")
app.add_typer(access.app, name="access", help="Who may do what and why; approvals.")
app.add_typer(grants.app, name="grant", help="Rights of members on folders and secrets.")
app.add_typer(users.app, name="user", help="Users: list, purge, roots of their own.")
app.add_typer(quotas.app, name="quota", help="What users may store: show, set, clear.")
app.add_typer(config.app, name="config", help="The configuration: check, show.")
app.add_typer(tls.app, name="tls", help="Certificates for development.")
app.add_typer(holds.app, name="hold", help="Legal holds: add, list, release.")
lifecycle.register(app)
shares.register(app)
doctor.register(app)
reports.register(app)


def hoist(arguments: list[str]) -> list[str]:
    """Move the shared options in front of the command, from wherever they stand before ``--``."""
    shared: list[str] = []
    rest: list[str] = []
    at = 0
    while at < len(arguments):
        argument = arguments[at]
        if argument == "--":
            rest += arguments[at:]
            break
        if argument in _VALUED and at + 1 < len(arguments):
            shared += arguments[at : at + 2]
            at += 2
            continue
        if argument in _FLAGS or any(
            argument.startswith(f"{option}=") for option in _VALUED if option.startswith("--")
        ):
            shared.append(argument)
        else:
            rest.append(argument)
        at += 1
    return shared + rest


_ABSENT: Final = "there is no such secret"
# By the group of commands: what to say instead of that, if anything, and a hint.
_NOT_FOUND: Final = {
    "member": ("there is no such member", "List them with 'adyton member list'."),
    "role": ("there is no such role", "List them with 'adyton role list'."),
    "grant": (
        "there is no such member or grant",
        "List them with 'adyton member list' and 'adyton grant list'.",
    ),
    "access": (
        "there is no such member, secret or request",
        "See 'adyton member list', 'adyton list' and 'adyton access requests'.",
    ),
    "share": (
        "there is no such share, or no such secret in it",
        "See 'adyton share list', also with --given or --passed, and 'adyton share names ID'.",
    ),
    "dynamic": ("", "See 'adyton dynamic roles', 'adyton dynamic connections' and 'adyton list'."),
    "lease": ("", "List them with 'adyton lease list'."),
}


def exit_code(error: errors.AdytonError) -> int:
    """The exit code of an error."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


def _with_advice(error: errors.AdytonError, given: list[str]) -> errors.AdytonError:
    """A refusal that says little gets words and a hint that a person at a terminal can use.

    What is absent looks like what may not be seen, so it goes by the command alone.
    """
    group = next((each for each in given if each in _NOT_FOUND), "")
    if type(error) is errors.SecretNotFound and group:
        message, hint = _NOT_FOUND[group]
        if error.message == _ABSENT:
            return errors.SecretNotFound(message or _ABSENT, hint=hint)
        error.hint = error.hint or hint
    if isinstance(error, errors.AccessDenied) and not error.hint:
        error.hint = (
            "Its policies do not allow it, or the token has ended: 'adyton token lookup' shows it."
            if has_token()
            else "Log in with 'adyton login', or set ADYTON_TOKEN."
        )
    return error


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and exit."""
    given = hoist(sys.argv[1:] if arguments is None else arguments)
    as_json = "json" in given[: given.index("--") if "--" in given else len(given)]
    fallback = Ui(json=as_json, color="NO_COLOR" not in os.environ)
    try:
        code = built(app)(args=given, prog_name="adyton", standalone_mode=False)
        if code is None:  # a command came to its end: it was neither left early nor for its help
            state().ui.finish()
    except errors.AdytonError as error:
        code = exit_code(error)
        fallback.error(_with_advice(error, given), code)
    except typer.Exit as error:
        code = error.exit_code
    except typer.Abort:
        code = 130
    except typer.TyperException as error:
        code = 2
        if (wrong := mistake(error)) is not None:
            fallback.error(wrong, code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 0
    except KeyboardInterrupt:
        code = 130
    except Exception as error:  # noqa: BLE001 - a traceback could show what was read
        code = 1
        if "--debug" in given:
            traceback.print_exc()
        fallback.error(
            errors.AdytonError(
                f"unexpected: {type(error).__name__}",
                hint="Please report it, with what --debug shows.",
            ),
            code,
        )
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    run()
