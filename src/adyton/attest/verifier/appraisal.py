"""The door of the verifier: a document, what it must be bound to, a policy, and the time."""

import datetime as dt
import hmac
from collections.abc import Iterable
from hashlib import sha256

from adyton.attest.verifier import dcap, nitro, revocation, snp, tpm
from adyton.attest.verifier.claims import Claims
from adyton.attest.verifier.policy import Policy
from adyton.attest.verifier.rules import (
    AnyEntry,
    NitroEntry,
    SgxEntry,
    SnpEntry,
    TdxEntry,
    TpmEntry,
)
from adyton.errors import AttestationError
from adyton.evidence import Binding, Document, Parts

PLATFORMS = ("nitro", "sev-snp", "sgx", "tdx", "tpm")
_SKEW = dt.timedelta(minutes=5)


def authenticate(
    platform: str,
    parts: Parts,
    now: dt.datetime,
    *,
    roots: frozenset[str] | None = None,
    intel: dcap.Root | None = None,
) -> Claims:
    """Check that evidence is authentic: its signatures, up to a root.

    Args:
        platform: Its platform.
        parts: The evidence.
        now: The time.
        roots: SHA-256 of root certificates instead of the built-in ones.
        intel: A root instead of Intel's.

    Raises:
        AttestationError: It is not.
    """
    if platform == "tpm":
        claims = tpm.verify(parts, now, roots or frozenset())
    elif platform == "sev-snp":
        claims = snp.verify(parts, now, snp.ROOTS if roots is None else roots)
    elif platform == "nitro":
        claims = nitro.verify(parts, now, nitro.ROOTS if roots is None else roots)
    elif platform in {"tdx", "sgx"}:
        claims = dcap.verify(parts, now, intel)
    else:
        raise AttestationError("the server is on a platform that is not known", rule="platform")
    if claims.platform != platform:
        raise AttestationError("the evidence is of another platform", rule="platform")
    return claims


def check_binding(claims: Claims, binding: Binding) -> None:
    """Check that evidence is bound to what it must be bound to.

    Raises:
        AttestationError: It is bound to something else.
    """
    wanted = binding.report_data()
    if claims.platform == "tpm":  # many take no more than a digest
        wanted = sha256(wanted).digest()
    if not hmac.compare_digest(claims.report_data, wanted):
        raise AttestationError(
            "the evidence is not bound to this nonce and this connection's key", rule="binding"
        )


def verify(
    document: Document,
    *,
    nonce: bytes,
    tls_key: bytes,
    policy: Policy,
    asked_at: dt.datetime,
    now: dt.datetime,
    intel: dcap.Root | None = None,
) -> Claims:
    """Check evidence against a policy.

    Args:
        document: What the server answered.
        nonce: What it was asked with.
        tls_key: SHA-256 of the SubjectPublicKeyInfo that the connection showed.
        policy: What is accepted.
        asked_at: When the nonce was made.
        now: The time.
        intel: A root instead of Intel's.

    Raises:
        AttestationError: It is refused; ``rule`` says by what.
    """
    if not policy.reviewed:
        raise AttestationError(
            "the policy was written from what a server showed, and nobody has reviewed it",
            rule="unreviewed",
            hint="Look at its values, then set reviewed = true.",
        )
    entries = [entry for entry in policy.accept if entry.platform == document.platform]
    if not entries:
        raise AttestationError("no entry of the policy is for its platform", rule="platform")
    if not hmac.compare_digest(document.nonce, nonce):
        raise AttestationError("the evidence was made for another nonce", rule="nonce")
    if not tls_key or not hmac.compare_digest(document.tls_key, tls_key):
        raise AttestationError(
            "the evidence is of another TLS key than the connection's",
            rule="tls-key",
            hint="Something between you and the server ends TLS, or the certificate has changed.",
        )
    if policy.log_keys is not None and document.log_key not in policy.log_keys:
        raise AttestationError("the server's audit log is not one that is accepted", rule="log-key")
    if not asked_at - _SKEW <= now <= asked_at + dt.timedelta(seconds=policy.max_age):
        raise AttestationError("the evidence took too long to arrive", rule="age")
    return _judge(entries, document, policy, now, intel)


def _judge(
    entries: Iterable[AnyEntry],
    document: Document,
    policy: Policy,
    now: dt.datetime,
    intel: dcap.Root | None,
) -> Claims:
    refusal: AttestationError | None = None
    known: dict[frozenset[str] | None, Claims] = {}
    for entry in entries:
        roots = entry.trusted() if isinstance(entry, SnpEntry | NitroEntry | TpmEntry) else None
        try:
            if roots not in known:
                known[roots] = authenticate(
                    document.platform, document.evidence, now, roots=roots, intel=intel
                )
                check_binding(known[roots], document.binding)
            _judge_revocation(entry, known[roots], document.evidence, now)
            _judge_age(entry, known[roots], policy, now)
            entry.judge(known[roots])
        except AttestationError as error:
            refusal = error
            continue
        return known[roots]
    if refusal is None:
        raise AttestationError("the policy accepts nothing", rule="platform")
    raise refusal


def _judge_revocation(entry: AnyEntry, claims: Claims, parts: Parts, now: dt.datetime) -> None:
    if not isinstance(entry, SnpEntry | TpmEntry) or entry.crls is None:
        return
    if isinstance(entry, TpmEntry) and not claims.facts["ak_root"]:
        return  # believed by its name, which the policy holds: no certificate speaks for it
    revocation.check(parts.certificates, entry.crls, now)


def _judge_age(entry: AnyEntry, claims: Claims, policy: Policy, now: dt.datetime) -> None:
    if claims.issued_at is not None and not (
        -_SKEW <= now - claims.issued_at <= dt.timedelta(seconds=policy.max_age) + _SKEW
    ):
        raise AttestationError("the evidence is too old", rule="age")
    if isinstance(entry, TdxEntry | SgxEntry) and claims.collateral_at is not None:
        age = now - claims.collateral_at
        if age > dt.timedelta(days=entry.max_collateral_days):
            raise AttestationError("the collateral is too old", rule="collateral-age")
