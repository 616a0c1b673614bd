"""A TPM 2.0, used for one operation at a time: connections, sessions, and its errors as ours.

The TPM's context is not safe for threads, and a TPM without a resource manager serves one client:
so each operation connects, holds one lock of this process, and leaves nothing loaded behind. It
takes some ten milliseconds, and survives restarts of the TPM or its daemon.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tpm2_pytss import ESAPI, TSS2_Exception
from tpm2_pytss.constants import ESYS_TR, TPM2_ALG, TPM2_SE, TPMA_OBJECT, TPMA_SESSION
from tpm2_pytss.types import TPM2B_PUBLIC, TPMT_SYM_DEF

from adyton.errors import RootError, RootUnavailable

_lock: Final = threading.Lock()
_TRIES: Final = 8
_PAUSE: Final = 0.05
_LAYER_SHIFT: Final = 16
TCTI_LAYER: Final = 10
_BUSY: Final = frozenset({0x908, 0x909, 0x921, 0x922, 0x923})
"""TPM_RC_YIELDED, CANCELED, LOCKOUT, RETRY, NV_UNAVAILABLE, less the layer (part 2, 6.6)."""
_FULL: Final = frozenset(range(0x902, 0x907))
"""TPM_RC_OBJECT_MEMORY, SESSION_MEMORY, MEMORY, SESSION_HANDLES, OBJECT_HANDLES."""
_PARENT: Final = "ecc256:aes128cfb"
_PARENT_ATTRIBUTES: Final = (
    TPMA_OBJECT.FIXEDTPM
    | TPMA_OBJECT.FIXEDPARENT
    | TPMA_OBJECT.SENSITIVEDATAORIGIN
    | TPMA_OBJECT.USERWITHAUTH
    | TPMA_OBJECT.RESTRICTED
    | TPMA_OBJECT.DECRYPT
    | TPMA_OBJECT.NODA
)

# Its messages go to the standard error stream of the program, past our logs.
os.environ.setdefault("TSS2_LOG", "all+none")


def away(why: str) -> RootUnavailable:
    """The TPM can't be used now."""
    return RootUnavailable(
        f"the TPM does not answer: {why}",
        hint="Check the device (/dev/tpmrm0) and its permissions, or the tcti= of the root.",
    )


@contextmanager
def connected(tcti: str) -> Iterator[ESAPI]:
    """A connection for one operation.

    Args:
        tcti: How the TPM is reached, such as ``device:/dev/tpmrm0``; empty for the system's way.

    Raises:
        RootUnavailable: There is no TPM, or it stays busy.
        RootError: It refuses.
    """
    with _lock:
        esapi = _connect(tcti)
        try:
            yield esapi
        except TSS2_Exception as error:
            if layer_of(error) == TCTI_LAYER:
                raise away("the connection was lost") from None
            if is_busy(error):
                full = int(error.rc) & 0xFFFF in _FULL
                why = "others have filled it" if full else "it is busy, or locked out"
                raise away(why) from None
            raise RootError(
                f"the TPM refuses: code {int(error.rc):#x}",
                hint="Decode it by 'tpm2_rc_decode'; the owner's hierarchy must have no password.",
            ) from None
        finally:
            esapi.close()


def _connect(tcti: str) -> ESAPI:
    for attempt in range(_TRIES):
        try:
            return ESAPI(tcti or None)
        except TSS2_Exception:
            time.sleep(_PAUSE * attempt)
        except (RuntimeError, ValueError, OSError):
            break
    raise away("no TPM is reached")


def layer_of(error: TSS2_Exception) -> int:
    """Which layer of the software stack an error comes from; 0 for the TPM itself."""
    return int(error.rc) >> _LAYER_SHIFT & 0xFF


def is_busy(error: TSS2_Exception) -> bool:
    """Whether the TPM can't answer now, and may later."""
    return int(error.rc) & 0xFFFF in _BUSY | _FULL


def parent(esapi: ESAPI) -> tuple[ESYS_TR, bytes]:
    """The storage key that wraps what is sealed, made from the owner's seed; and its name."""
    template = TPM2B_PUBLIC.parse(_PARENT, objectAttributes=_PARENT_ATTRIBUTES)
    handle, public, _, _, _ = esapi.create_primary(None, template)
    return handle, bytes(public.get_name())


@contextmanager
def session(esapi: ESAPI, kind: TPM2_SE, salt: ESYS_TR) -> Iterator[ESYS_TR]:
    """A session whose parameters are encrypted on the way to the TPM and back.

    Args:
        esapi: The connection.
        kind: Policy, trial or HMAC.
        salt: The key that the session's secret is sent under.
    """
    handle = esapi.start_auth_session(
        tpm_key=salt,
        bind=ESYS_TR.NONE,
        session_type=kind,
        symmetric=TPMT_SYM_DEF.parse("aes128cfb"),
        auth_hash=TPM2_ALG.SHA256,
    )
    try:
        if kind != TPM2_SE.TRIAL:
            flags = TPMA_SESSION.DECRYPT | TPMA_SESSION.ENCRYPT | TPMA_SESSION.CONTINUESESSION
            esapi.trsess_set_attributes(handle, flags)
        yield handle
    finally:
        esapi.flush_context(handle)
