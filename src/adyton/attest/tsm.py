"""Evidence from Linux' ``configfs-tsm``: reports of SEV-SNP, quotes of TDX.

The order of steps is that of the kernel (Documentation/ABI/testing/configfs-tsm-report): a
directory of one's own for each request; the data in one write, which takes effect when the file is
closed; then the report. The kernel counts writes: another count than ours means that somebody else
wrote in between, and that the report may be theirs.
"""

import contextlib
import errno
import os
import secrets
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from adyton.attest import _files
from adyton.attest.options import EvidenceOptions
from adyton.errors import ConfigurationError
from adyton.evidence import Parts

_PLATFORMS: Final = {"sev_guest": "sev-snp", "tdx_guest": "tdx"}
_TRIES: Final = 5
_PAUSE: Final = 0.02
_MAX_BLOB: Final = 64 * 1024
_MAX_COLLATERAL: Final = 512 * 1024
_AGAIN: Final = frozenset((errno.EBUSY, errno.EAGAIN, errno.EINTR))
_AMD_OID: Final = bytes.fromhex("2b060104019c7801")  # 1.3.6.1.4.1.3704.1
_ENTRY: Final = struct.Struct("<16sII")


class TsmEvidence:
    """Reports of the guest that the process runs in.

    Args:
        options: Where the kernel offers reports, and what goes with them.

    Raises:
        ConfigurationError: The kernel offers none, or of an unknown kind.
    """

    def __init__(self, options: EvidenceOptions) -> None:
        self._base = options.tsm
        self._collateral = options.collateral
        self._certificates = _files.certificates(options.certificates)
        try:
            with _directory(self._base) as entry:
                provider = _text(entry / "provider")
        except OSError as error:
            raise ConfigurationError(
                f"the kernel offers no reports of a guest at {self._base}: {error.strerror}",
                hint="Mount configfs, and load the module sev-guest or tdx-guest.",
            ) from None
        if provider not in _PLATFORMS:
            raise ConfigurationError("the kernel's reports are of a kind that is not known")
        self._platform = _PLATFORMS[provider]

    @property
    def platform(self) -> str:
        """``sev-snp`` or ``tdx``."""
        return self._platform

    def produce(self, report_data: bytes) -> Parts:
        """A report.

        Raises:
            ServerUnavailable: The kernel gives none now.
        """
        why = "others keep writing"
        for attempt in range(_TRIES):
            time.sleep(_PAUSE * attempt)
            try:
                found = self._once(report_data)
            except OSError as error:
                why = error.strerror or "it fails"
                if error.errno not in _AGAIN:
                    break
                continue
            if found is not None:
                return self._parts(*found)
        raise _files.unavailable(f"the kernel gives no report ({why})")

    def _once(self, report_data: bytes) -> tuple[bytes, bytes] | None:
        with _directory(self._base) as entry:
            before = int(_text(entry / "generation"))
            _write(entry / "inblob", report_data)
            report = _read(entry / "outblob")
            extra = _read(entry / "auxblob") if (entry / "auxblob").exists() else b""
            after = int(_text(entry / "generation"))
            same = _PLATFORMS.get(_text(entry / "provider")) == self._platform
        return (report, extra) if after == before + 1 and same else None

    def _parts(self, report: bytes, extra: bytes) -> Parts:
        if self._platform == "sev-snp":
            return Parts(report, certificates=self._certificates or table(extra))
        collateral = ""
        if self._collateral is not None:
            collateral = _files.content(self._collateral, _MAX_COLLATERAL).decode(
                "utf-8", "replace"
            )
        return Parts(report, collateral=collateral)


@contextlib.contextmanager
def _directory(base: Path) -> Iterator[Path]:
    entry = base / f"adyton-{os.getpid()}-{secrets.token_hex(8)}"
    entry.mkdir()
    try:
        yield entry
    finally:
        with contextlib.suppress(OSError):
            entry.rmdir()


def _text(path: Path) -> str:
    return _read(path).decode("ascii", "replace").strip()


def _read(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = bytearray()
        while len(data) <= _MAX_BLOB and (part := os.read(fd, 32_768)):
            data += part
    finally:
        os.close(fd)
    if len(data) > _MAX_BLOB:
        raise OSError(errno.EFBIG, "it is too large")
    return bytes(data)


def _write(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        if os.write(fd, data) != len(data):
            raise OSError(errno.EIO, "it was not taken whole")
    finally:
        os.close(fd)


def table(extra: bytes) -> list[bytes]:
    """Certificates of the table that the host gives with a report of SEV-SNP (GHCB, 4.1.8.1).

    Its entries are a GUID, an offset and a length; one of zeros ends it. What each certificate is
    good for is decided by whoever checks it; the chip's own comes first.
    """
    found: list[bytes] = []
    at = 0
    while at + _ENTRY.size <= len(extra):
        guid, offset, length = _ENTRY.unpack_from(extra, at)
        if guid == bytes(16):
            break
        at += _ENTRY.size
        blob = extra[offset : offset + length]
        if blob[:1] == b"\x30" and len(blob) == length and _has_amd_marks(blob):
            found.insert(0, blob)
        elif blob[:1] == b"\x30" and len(blob) == length and len(found) < 8:
            found.append(blob)
    return found


def _has_amd_marks(blob: bytes) -> bool:
    """Whether a certificate has AMD's extensions, as those of chips and providers have."""
    return _AMD_OID in blob
