"""Commands on the evidence of a server's code."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from adyton.cli.state import state
from adyton.errors import AttestationError, InvalidInput

if TYPE_CHECKING:
    from adyton.attest.verifier import Claims
    from adyton.client.attesting import Shown

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_MAX_COLLATERAL = 512 * 1024

Url = Annotated[str, typer.Argument(help="The server, such as https://host:8200.")]
Ca = Annotated[
    Path | None,
    typer.Option("--ca", envvar="ADYTON_CACERT", help="Trust these certificates, PEM."),
]
Collateral = Annotated[
    Path | None,
    typer.Option("--collateral", help="Intel's collateral, JSON, instead of the server's."),
]


@app.command(name="show")
def show(url: Url, ca: Ca = None, collateral: Collateral = None) -> None:
    """Show what a server's evidence says. Nothing is judged: use verify for that."""
    at = state()
    shown = _fetch(url, ca, collateral)
    claims, refusal = _read(shown)
    if at.ui.json:
        at.ui.document(_told(shown, claims, refusal))
        return
    rows = _facts(shown, claims)
    at.ui.table(("FACT", "VALUE"), rows, "nothing is shown")
    if refusal is not None:
        at.ui.warn(f"it is not authentic: {refusal.message} ({refusal.rule})")
    at.ui.note("nothing was judged; 'adyton attest verify' does that, by a policy")


@app.command(name="verify")
def verify(
    url: Url,
    policy: Annotated[Path, typer.Option("--policy", help="What is accepted, TOML.")],
    ca: Ca = None,
    collateral: Collateral = None,
) -> None:
    """Check a server's evidence against a policy; ends with 0 if it is accepted, 10 if not."""
    from adyton.attest.verifier import load_policy  # noqa: PLC0415 - loaded on use
    from adyton.client.attesting import judge  # noqa: PLC0415 - idem

    at = state()
    wanted = load_policy(policy)
    shown = _fetch(url, ca, collateral)
    claims = judge(shown, wanted)
    if at.ui.json:
        at.ui.document({"accepted": True, **_told(shown, claims, None)})
        return
    at.ui.table(("FACT", "VALUE"), _facts(shown, claims), "nothing is shown")
    at.ui.done("the policy accepts this server")


@app.command(name="policy")
def policy(
    url: Url,
    out: Annotated[Path, typer.Option("--out", help="Write to this new file.")],
    ca: Ca = None,
    collateral: Collateral = None,
) -> None:
    """Write a policy from what a server shows now. It accepts nothing until it is reviewed."""
    from adyton import durable  # noqa: PLC0415 - loaded on use
    from adyton.attest.verifier.appraisal import check_binding  # noqa: PLC0415 - idem
    from adyton.attest.verifier.proposing import propose  # noqa: PLC0415 - idem

    at = state()
    shown = _fetch(url, ca, collateral)
    claims, refusal = _read(shown)
    if claims is None or refusal is not None:
        raise refusal or AttestationError("the evidence can't be read")
    check_binding(claims, shown.document.binding)
    time = f"{shown.asked_at:%Y-%m-%d %H:%M} UTC"
    text = propose(shown.document, claims, address=url, time=time)
    try:
        durable.create(out, text.encode(), mode=0o644)
    except OSError as error:
        raise InvalidInput(f"the policy can't be written ({error.strerror})") from None
    if at.ui.json:
        at.ui.document({"policy": str(out), "platform": claims.platform})
    else:
        at.ui.done(f"wrote {out}")
        at.ui.note(f"compare its values with what you deployed, then set reviewed = true in {out}")


def _fetch(url: str, ca: Path | None, collateral: Path | None) -> "Shown":
    from adyton.client import settings  # noqa: PLC0415 - loaded on use
    from adyton.client.attesting import fetch_evidence  # noqa: PLC0415 - idem

    found = settings.find(url, "", ca=ca)
    shown = fetch_evidence(found, found.tls)
    if collateral is None:
        return shown
    try:
        with collateral.open("rb") as file:
            text = file.read(_MAX_COLLATERAL).decode()
    except (OSError, UnicodeDecodeError):
        raise InvalidInput("the collateral can't be read") from None
    parts = msgspec.structs.replace(shown.document.evidence, collateral=text)
    return shown._replace(document=msgspec.structs.replace(shown.document, evidence=parts))


def _read(shown: "Shown") -> "tuple[Claims | None, AttestationError | None]":
    """What evidence says, and why it is not authentic and bound to this connection, if it isn't."""
    from adyton.attest.verifier import authenticate, check_binding  # noqa: PLC0415 - loaded on use

    document = shown.document
    try:
        claims = authenticate(document.platform, document.evidence, dt.datetime.now(dt.UTC))
    except AttestationError as error:
        return None, error
    try:
        check_binding(claims, document.binding)
        if (document.nonce, document.tls_key) != (shown.nonce, shown.tls_key):
            raise AttestationError("it is bound to another nonce or TLS key", rule="tls-key")  # noqa: TRY301
    except AttestationError as error:
        return claims, error
    return claims, None


def _facts(shown: "Shown", claims: "Claims | None") -> list[tuple[str, str]]:
    document = shown.document
    rows = [
        ("platform", _plain(document.platform)),
        ("TLS key (SHA-256)", document.tls_key.hex() or "none: plain HTTP"),
        ("log key", _plain(document.log_key) or "none: the server is sealed"),
    ]
    if claims is not None:
        rows.append(("debug", "yes" if claims.debug else "no"))
        rows += [(name, _plain(_text(value))) for name, value in claims.facts.items()]
        rows += [(f"PCR {name}", value) for name, value in claims.pcrs.items()]
        rows += [(f"events of PCR {pcr}", str(len(e))) for pcr, e in sorted(claims.events.items())]
    return rows


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _plain(text: str) -> str:
    """A text of a stranger, without what could move a cursor."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _told(
    shown: "Shown", claims: "Claims | None", refusal: AttestationError | None
) -> dict[str, object]:
    document = shown.document
    return {
        "platform": document.platform,
        "nonce": shown.nonce.hex(),
        "tls_key": document.tls_key.hex(),
        "log_key": document.log_key,
        "authentic": claims is not None and refusal is None,
        "rule": refusal.rule if refusal is not None else "",
        "debug": claims.debug if claims is not None else None,
        "facts": dict(claims.facts) if claims is not None else {},
        "pcrs": dict(claims.pcrs) if claims is not None else {},
        "events": {str(pcr): list(found) for pcr, found in claims.events.items()}
        if claims is not None
        else {},
    }
