"""Sessions with PKCS#11 tokens: one of each, used by one thread at a time.

The binding starts modules without locks of their own, and threads with sessions of theirs crash
SoftHSM: so one lock guards every call of this process. Uses are rare: a root is asked when a store
is opened and when its master key is rotated. Logging in is the application's, not a session's, and
closing a session logs out: roots of one token share its session.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple, TypeVar

import pkcs11
from pkcs11 import exceptions as ck

from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError, RootError, RootLocked, RootUnavailable

T = TypeVar("T")

_PROBE_BITS: Final = 64
_lock: Final = threading.RLock()
_LOST: Final = (
    ck.SessionHandleInvalid,
    ck.SessionClosed,
    ck.DeviceRemoved,
    ck.DeviceError,
    ck.DeviceMemory,
    ck.TokenNotPresent,
    ck.UserNotLoggedIn,
    ck.KeyHandleInvalid,
    ck.ObjectHandleInvalid,
    ck.FunctionFailed,
    ck.SlotIDInvalid,
    ck.GeneralError,
)
"""What says that the session or the token is not what it was: both are looked for anew."""


class TokenName(NamedTuple):
    """Which token is meant; empty parts match any.

    Attributes:
        module: Path of the vendor's library.
        label: The token's label.
        serial: Its serial number.
    """

    module: str
    label: str
    serial: str


class Hsm:
    """A token that is logged in to; made by :func:`connect`, given back by :meth:`release`."""

    def __init__(self, name: TokenName, pin: SecretBytes) -> None:
        self._name = name
        self._pin = pin
        self._session: pkcs11.Session | None = None
        self.users = 0

    def same_pin(self, pin: SecretBytes) -> bool:
        """Whether another asker has the PIN that this one logged in with."""
        return self._pin.equals(pin)

    def run(self, work: Callable[[pkcs11.Session], T]) -> T:
        """Do something in the session; once more in a new one if the token was away.

        Raises:
            RootUnavailable: The token is not there, or does not answer.
            RootLocked: The PIN is wrong or locked.
            RootError: It refuses.
            ConfigurationError: Several tokens match.
        """
        with _lock:
            if self._pin.wiped:  # another thread has closed the last root of the token
                raise RootUnavailable("the pkcs11 root has been closed", hint="Open it again.")
            for last in (False, True):
                try:
                    if self._session is None:
                        self._session = self._open()
                    # Tells a lost session before work does, which leaves half-done searches.
                    self._session.generate_random(_PROBE_BITS)
                    return work(self._session)
                except _LOST:
                    self._drop()
                    if last:
                        raise _away(self._name) from None
                    _restart(self._name.module)
                except ck.PKCS11Error as error:
                    raise _refused(error) from None
        raise _away(self._name)

    def _open(self) -> pkcs11.Session:
        try:
            library = pkcs11.lib(self._name.module)
            token = library.get_token(
                token_label=self._name.label or None,
                token_serial=self._name.serial.encode() or None,
            )
            # A session that writes: a key may have to be made.
            return token.open(rw=True, user_pin=self._pin.text())
        except (ck.PinIncorrect, ck.PinInvalid, ck.PinLenRange):
            raise RootLocked(
                "the token refuses the PIN",
                hint="Check it: many tokens lock after a few wrong ones.",
            ) from None
        except (ck.PinLocked, ck.PinExpired, ck.UserPinNotInitialized):
            raise RootLocked(
                "the token's PIN is locked, expired or not set",
                hint="Its security officer can set a new one.",
            ) from None
        except ck.MultipleTokensReturned:
            raise ConfigurationError(
                "several tokens have the label of the root 'pkcs11:'", hint="Name its serial too."
            ) from None
        except (ck.PKCS11Error, RuntimeError, OSError):
            raise ck.TokenNotPresent from None

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(ck.PKCS11Error):  # it may be gone already
                session.close()

    def release(self) -> None:
        """Give it back; the last one logs out."""
        with _lock:
            self.users -= 1
            if self.users <= 0:
                _open_tokens.pop(self._name, None)
                self._drop()
                self._pin.wipe()

    def forget_session(self) -> None:
        """Take note that the module was started anew: what was open is not."""
        self._session = None


_open_tokens: Final[dict[TokenName, Hsm]] = {}


def connect(name: TokenName, pin: SecretBytes) -> Hsm:
    """A token, logged in to; the PIN is kept, since sessions get lost.

    Raises:
        RootLocked: The PIN is wrong or locked.
        RootUnavailable: There is no such token, or the module can't be loaded.
        ConfigurationError: Several tokens match.
    """
    with _lock:
        known = _open_tokens.get(name)
        if known is not None:
            if not known.same_pin(pin):
                raise RootLocked("the token refuses the PIN", hint="Check it.")
            pin.wipe()
        else:
            known = Hsm(name, pin)
            known.run(lambda _: None)
            _open_tokens[name] = known
        known.users += 1
        return known


def _restart(module: str) -> None:
    """Start a module anew, so that it sees tokens that came and went."""
    for name, hsm in _open_tokens.items():
        if name.module == module:
            hsm.forget_session()
    with suppress(ck.PKCS11Error, RuntimeError):  # opening the token tells what is wrong
        pkcs11.lib(module).reinitialize()


def _away(name: TokenName) -> RootUnavailable:
    which = f"'{name.label}'" if name.label else "of that serial"
    return RootUnavailable(
        f"there is no PKCS#11 token {which} at the module {name.module}, or it does not answer",
        hint="Check the module's path, that the token is connected, and the vendor's daemon.",
    )


def _refused(error: ck.PKCS11Error) -> RootError:
    """What a token says that has no better translation: by the name of its code alone."""
    return RootError(
        f"the token refuses: {type(error).__name__}",
        hint="Check that its key may encrypt and decrypt, and look into the vendor's log.",
    )
