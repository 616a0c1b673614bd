"""Quotes of Intel SGX and TDX, checked by ``dcap-qvl`` against collateral of Intel.

The library leaves some bytes unread that travel with a quote: line ends and the root in its chain
of certificates, what stands behind it. They decide nothing; here they must be as Intel writes them.
"""

import datetime as dt
import re
from typing import Any, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from adyton.attest.verifier import certificates, libraries
from adyton.attest.verifier.claims import Claims, Fact
from adyton.attest.verifier.reading import malformed
from adyton.errors import AttestationError
from adyton.evidence import Parts

ROOT: Final = "44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3"
"""SHA-256 of Intel's SGX Root CA, which the library has built in."""

_SGX_DEBUG: Final = 0x02
_TDX_DEBUG: Final = 0xFF
"""Bits 0 to 7 of a TD's attributes (TUD): each makes it one that is not to be trusted."""
_PCK_CHAIN: Final = b"\5\0"
_QE_REPORT: Final = b"\6\0"
"""Kinds of certification data (Intel, SGX DCAP ECDSA Quote Library API, A.4)."""
_SIGNATURE_AND_KEY: Final = 64 + 64
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_SIGNATURE_AT: Final = {3: 48 + 384, 4: 48 + 584}
_SEVERAL: Final = re.compile(r"\W+")
_TD_REPORTS: Final = ("TD10", "TD15", "TD15Ex")


class Root(msgspec.Struct, frozen=True):
    """A root other than Intel's, for tests: its certificate in DER."""

    der: bytes


def verify(parts: Parts, now: dt.datetime, root: Root | None = None) -> Claims:
    """Check a quote's signature up to Intel's root, and which TCB it comes from.

    Args:
        parts: The quote with its collateral.
        now: The time; collateral lasts for some thirty days.
        root: Instead of Intel's.

    Raises:
        AttestationError: Something does not hold.
    """
    library = libraries.dcap_qvl()
    if not parts.collateral:
        raise AttestationError(
            "there is no collateral with the quote",
            rule="collateral",
            hint="Give it by --collateral, or let the server supply it (attestation.collateral).",
        )
    _check_unread(parts.quote, ROOT if root is None else _fingerprint(root.der))
    seconds = int(now.timestamp())
    try:
        collateral = library.QuoteCollateralV3.from_json(parts.collateral)
        issued = [_issued(collateral.tcb_info), _issued(collateral.qe_identity)]
    except (ValueError, TypeError, KeyError, msgspec.MsgspecError, RecursionError):
        raise malformed("the collateral does not parse") from None
    try:
        verifier = library.QuoteVerifier(None if root is None else root.der)
        policy = library.QuotePolicy.claims_only(seconds)
        told = verifier.verify_with_policy(parts.quote, collateral, seconds, policy).to_json()
        claims = msgspec.json.decode(told, type=dict[str, Any])
    except (ValueError, TypeError, OverflowError) as error:
        raise _refused(str(error)) from None
    report = claims["report"]
    facts: dict[str, Fact] = {
        "tcb_status": claims["tcb"]["status"],
        "advisories": tuple(claims["tcb"]["advisory_ids"]),
        "tcb_evaluation": claims["tcb"]["eval_data_number"],
    }
    if "SgxEnclave" in report:
        return _sgx(report["SgxEnclave"], facts, min(issued))
    kind = next((name for name in _TD_REPORTS if name in report), None)
    if kind is None:
        raise malformed("the quote is of an unknown kind")
    return _tdx(_flat(report[kind]), facts, min(issued))


def _flat(report: dict[str, Any]) -> dict[str, Any]:
    """A report of TDX with what later ones nest in it."""
    found = {}
    for name, value in report.items():
        found.update(_flat(value) if isinstance(value, dict) else {name: value})
    return found


def _sgx(report: dict[str, Any], facts: dict[str, Fact], issued: dt.datetime) -> Claims:
    names = ("mr_enclave", "mr_signer", "isv_prod_id", "isv_svn")
    facts.update({name: report[name] for name in names})
    debug = bool(bytes.fromhex(report["attributes"])[0] & _SGX_DEBUG)
    data = bytes.fromhex(report["report_data"])
    return Claims("sgx", data, debug, facts, collateral_at=issued)


def _tdx(report: dict[str, Any], facts: dict[str, Fact], issued: dt.datetime) -> Claims:
    for name in ("mr_td", "rt_mr0", "rt_mr1", "rt_mr2", "rt_mr3", "mr_seam", "mr_config_id",
                 "mr_owner", "mr_owner_config", "td_attributes", "xfam"):  # fmt: skip
        facts[name] = report[name]
    debug = bool(bytes.fromhex(report["td_attributes"])[0] & _TDX_DEBUG)
    data = bytes.fromhex(report["report_data"])
    return Claims("tdx", data, debug, facts, collateral_at=issued)


def _issued(text: str) -> dt.datetime:
    found = dt.datetime.fromisoformat(msgspec.json.decode(text, type=dict[str, Any])["issueDate"])
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)


def _refused(text: str) -> AttestationError:
    """What the library says, as one of our rules; its text is of nobody's making but its own."""
    low = text.lower()
    if "expired" in low or "in the future" in low:
        rule = "collateral-age"
    elif "tcb" in low:
        rule = "tcb-status"
    elif "unknownissuer" in low or "root" in low:
        rule = "root"
    elif "crl" in low or "certificate" in low or "issuer" in low:
        rule = "chain"
    else:
        rule = "signature"
    words = _SEVERAL.sub(" ", text.removeprefix("Verification failed:"))[:120].strip()
    return AttestationError(f"the quote does not verify: {words}", rule=rule)


def _fingerprint(der: bytes) -> str:
    return certificates.fingerprint(certificates.load(der))


def _check_unread(quote: bytes, root: str) -> None:
    version = int.from_bytes(quote[:2], "little")
    at = _SIGNATURE_AT.get(version)
    if version == 5:  # the body's length is told
        at = 48 + 6 + int.from_bytes(quote[50:54], "little")
    if at is None or at + 4 > len(quote):
        raise malformed("the quote is of an unknown version, or cut short")
    end = at + 4 + int.from_bytes(quote[at : at + 4], "little")
    begin = quote.find(_BEGIN)
    if end > len(quote) or any(quote[end:]) or not at < begin < end:
        raise malformed("the quote has bytes behind its end, or no certificates")
    inner = quote[begin - 6 : begin]
    if inner != _PCK_CHAIN + (end - begin).to_bytes(4, "little"):
        raise malformed("the quote's certificates are not of the kind and size that they say")
    outer = at + 4 + _SIGNATURE_AND_KEY
    if version > 3 and quote[outer : outer + 6] != _QE_REPORT + (end - outer - 6).to_bytes(
        4, "little"
    ):
        raise malformed("the quote's signature is not of the kind and size that it says")
    text = quote[begin:end].rstrip(b"\0")
    try:
        chain = x509.load_pem_x509_certificates(text)
    except certificates.UNREADABLE:
        raise malformed("the quote's certificates do not parse") from None
    again = b"".join(each.public_bytes(Encoding.PEM) for each in chain)
    if text.rstrip(b"\n") != again.rstrip(b"\n"):
        raise malformed("the quote's certificates are not as Intel writes them")
    if certificates.fingerprint(chain[-1]) != root:
        raise AttestationError("the quote's certificates lead to another root", rule="root")
