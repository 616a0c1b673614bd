"""Quotes of a TPM 2.0 (part 2, 10.12: TPMS_ATTEST), with the values of its PCRs and its log."""

import datetime as dt
import re
from collections.abc import Mapping
from hashlib import sha256, sha384
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adyton.attest.verifier import certificates, eventlog, tpmkey
from adyton.attest.verifier.claims import Claims, Fact
from adyton.attest.verifier.reading import Reader, malformed
from adyton.errors import AttestationError
from adyton.evidence import Parts

_MAGIC: Final = 0xFF544347
_QUOTE: Final = 0x8018
_BANKS: Final = {0x0004: ("sha1", 20), 0x000B: ("sha256", 32), 0x000C: ("sha384", 48),
                 0x000D: ("sha512", 64)}  # fmt: skip
_MOST_BANKS: Final = 4
_MOST_SELECT: Final = 4
_PCR: Final = re.compile(r"(sha1|sha256|sha384|sha512):(0|[1-9][0-9]?)", re.ASCII)


def verify(parts: Parts, now: dt.datetime, roots: frozenset[str] = frozenset()) -> Claims:
    """Check a quote's signature, and that PCRs and log are those that were quoted.

    Whether the key is to be trusted is decided by its name (``ak`` of the claims), or by a chain of
    certificates to one of the roots.

    Args:
        parts: The quote, its signature, the key, the PCRs, and what else there is.
        now: The time.
        roots: SHA-256 of root certificates of attestation keys.

    Raises:
        AttestationError: Something does not hold.
    """
    key = tpmkey.parse(parts.public)
    key.check(parts.signature, parts.quote)
    reader = Reader(parts.quote, "big", "the quote")
    if (reader.number(4), reader.number(2)) != (_MAGIC, _QUOTE):
        raise malformed("what the TPM signed is not a quote")
    reader.sized()
    data = reader.sized()
    reader.number(8)
    resets, restarts, safe = reader.number(4), reader.number(4), reader.number(1)
    firmware = reader.number(8)
    selected = _selection(reader)
    digest = reader.sized()
    reader.end()
    pcrs = _values(selected, parts.pcrs)
    made = (sha256 if key.hash.name == "sha256" else sha384)(b"".join(pcrs.values())).digest()
    if made != digest:
        raise AttestationError("the PCRs are not those that were quoted", rule="pcrs")
    facts: dict[str, Fact] = {
        "ak": key.name.hex(),
        "ak_root": _root(parts, key, now, roots),
        "resets": resets,
        "restarts": restarts,
        "clock_safe": bool(safe),
        "firmware": f"{firmware:#018x}",
    }
    events = _replayed(parts.event_log, pcrs) if parts.event_log else {}
    shown = {name: value.hex() for name, value in pcrs.items()}
    return Claims("tpm", data, debug=False, facts=facts, pcrs=shown, events=events)


def _selection(reader: Reader) -> list[tuple[str, int, int]]:
    """Bank, PCR and size of the digest, in the order in which the TPM hashes them."""
    count = reader.number(4)
    if count > _MOST_BANKS:
        raise malformed("the quote has too many banks")
    found = []
    for _ in range(count):
        bank = _BANKS.get(reader.number(2))
        size = reader.number(1)
        if bank is None or size > _MOST_SELECT:
            raise malformed("the quote is of an unknown bank")
        bits = int.from_bytes(reader.take(size), "little")
        found += [(bank[0], pcr, bank[1]) for pcr in range(size * 8) if bits >> pcr & 1]
    if not found:
        raise AttestationError("the quote covers no PCR", rule="pcrs")
    return found


def _values(selected: list[tuple[str, int, int]], given: Mapping[str, bytes]) -> dict[str, bytes]:
    if not all(_PCR.fullmatch(name) for name in given):
        raise malformed("the name of a PCR is not of the form BANK:NUMBER")
    found = {}
    for bank, pcr, size in selected:
        value = given.get(f"{bank}:{pcr}", b"")
        if len(value) != size:
            raise AttestationError("the value of a PCR that was quoted is missing", rule="pcrs")
        found[f"{bank}:{pcr}"] = value
    if len(found) != len(given):
        raise AttestationError("there are PCRs that were not quoted", rule="pcrs")
    return found


def _replayed(log: bytes, pcrs: Mapping[str, bytes]) -> dict[int, tuple[str, ...]]:
    """What the log says was extended into the PCRs that it explains, each checked by its value.

    A log of the firmware ends when the system has started: PCRs that were extended later are not
    explained by it, and are left out.
    """
    values, events = eventlog.parse(log)
    return {pcr: found for pcr, found in events.items() if values[pcr] == pcrs.get(f"sha256:{pcr}")}


def _root(parts: Parts, key: tpmkey.AttestationKey, now: dt.datetime, roots: frozenset[str]) -> str:
    """The root that the key's certificate leads to, or empty."""
    if not parts.certificates or not roots:
        return ""
    leaf, *others = map(certificates.load, parts.certificates)
    chain = certificates.order(leaf, others)
    certificates.check_chain(chain, roots, now)
    if certificates.key_info(leaf) != key.key.public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    ):
        raise AttestationError("the certificate is of another attestation key", rule="ak")
    return certificates.fingerprint(chain[-1])
