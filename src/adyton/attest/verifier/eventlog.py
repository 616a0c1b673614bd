"""The firmware's log of what it measured (TCG PC Client Platform Firmware Profile, section 10)."""

from hashlib import sha256
from typing import Final

from adyton.attest.verifier.reading import Reader, malformed

_NO_ACTION: Final = 3
_SHA256: Final = 0x000B
_SPEC_ID: Final = b"Spec ID Event03\0"
_LOCALITY: Final = b"StartupLocality\0"
_PCRS: Final = 24
_MOST_EVENTS: Final = 16_384
_MOST_ALGORITHMS: Final = 8
_MOST_DIGEST: Final = 64

Event = tuple[int, str]
"""PCR, and the digest of SHA-256 that was extended into it, in hexadecimal digits."""


def parse(log: bytes) -> tuple[dict[int, bytes], dict[int, tuple[str, ...]]]:
    """The values that PCRs must have after a log, and what was extended into each.

    Args:
        log: A log with SHA-256 ("crypto agile").

    Raises:
        AttestationError: It does not parse.
    """
    reader = Reader(log, "little", "the event log")
    sizes = _header(reader)
    values: dict[int, bytes] = {}
    events: dict[int, list[str]] = {}
    count = 0
    while reader.left:
        count += 1
        if count > _MOST_EVENTS:
            raise malformed("the event log has too many events")
        pcr, kind, digest, data = _event(reader, sizes)
        if kind == _NO_ACTION:
            if pcr == 0 and data.startswith(_LOCALITY) and len(data) == len(_LOCALITY) + 1:
                values[0] = bytes(31) + data[-1:]
            continue
        if pcr >= _PCRS:
            raise malformed("the event log names a PCR that is none")
        values[pcr] = sha256(values.get(pcr, bytes(32)) + digest).digest()
        events.setdefault(pcr, []).append(digest.hex())
    return values, {pcr: tuple(found) for pcr, found in events.items()}


def _header(reader: Reader) -> dict[int, int]:
    """Sizes of digests by algorithm, from the first event, which has the old form."""
    reader.number(4)
    kind = reader.number(4)
    reader.take(20)
    head = Reader(reader.take(reader.number(4)), "little", "the event log's head")
    if kind != _NO_ACTION or head.take(16) != _SPEC_ID:
        raise malformed("the event log does not begin with its specification")
    head.take(8)
    count = head.number(4)
    if count > _MOST_ALGORITHMS:
        raise malformed("the event log has too many algorithms")
    sizes = {head.number(2): head.number(2) for _ in range(count)}
    head.take(head.number(1))
    head.end()
    if sizes.get(_SHA256) != 32 or any(not 0 < size <= _MOST_DIGEST for size in sizes.values()):
        raise malformed("the event log has no digests of SHA-256")
    return sizes


def _event(reader: Reader, sizes: dict[int, int]) -> tuple[int, int, bytes, bytes]:
    pcr, kind, count = reader.number(4), reader.number(4), reader.number(4)
    if count > _MOST_ALGORITHMS:
        raise malformed("an event has too many digests")
    digests: dict[int, bytes] = {}
    for _ in range(count):
        algorithm = reader.number(2)
        if algorithm not in sizes:
            raise malformed("an event has a digest of an unknown algorithm")
        digests[algorithm] = reader.take(sizes[algorithm])
    data = reader.take(reader.number(4))
    if _SHA256 not in digests:
        raise malformed("an event has no digest of SHA-256")
    return pcr, kind, digests[_SHA256], data
