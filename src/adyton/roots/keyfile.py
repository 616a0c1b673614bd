"""The root ``keyfile:PATH``: 32 random bytes in a file of its own (``docs/spec/roots.md``).

The file must not lie beside the data: whoever copies both has everything.
"""

import os
from pathlib import Path
from typing import Final, Self

from adyton import durable
from adyton.crypto.aead import KEY_BYTES, new_key
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError, RootError, RootLocked, RootUnavailable
from adyton.roots._asking import Ask
from adyton.roots._local import KIND_KEYFILE, OneKeyRoot

_ZEROS: Final = bytes(KEY_BYTES)


class KeyFileRoot(OneKeyRoot):
    """Wraps the master key under a key that is read when the root is opened.

    Args:
        path: A regular file of 32 bytes, mode 0600 or 0400, owned by this user or root.

    Raises:
        RootUnavailable: The file is missing, can't be read, or others could have read it.
        RootLocked: The file is there, but is not a key.
    """

    _kind_byte = KIND_KEYFILE

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).absolute()
        with _read_key(self._path) as key:
            super().__init__(key)

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> Self:
        """Make a new key file and open it; an existing file is never touched.

        Raises:
            RootError: Something has that name already.
            RootUnavailable: The file can't be written.
        """
        target = Path(path).absolute()
        try:
            with new_key() as key, key.borrow() as view:
                durable.create(target, view)
        except FileExistsError:
            raise RootError(
                f"{target} exists already, and a key file is never overwritten",
                hint="Open it as it is, or choose another path.",
            ) from None
        except OSError as error:
            raise RootUnavailable(
                f"can't create the key file {target}: {error.strerror}",
                hint="Make its directory, or choose a path that this user can write.",
            ) from error
        return cls(target)

    @classmethod
    def from_uri(cls, rest: str, *, create: bool, ask: Ask | None) -> Self:  # noqa: ARG003
        """Open ``keyfile:PATH``; with ``create`` a missing file is made first.

        Raises:
            ConfigurationError: There is no path.
            RootError: As :class:`KeyFileRoot` and :meth:`create`.
        """
        if not rest or "\0" in rest:
            raise ConfigurationError(
                "the root 'keyfile:' needs the path of a file", hint="Write 'keyfile:PATH'."
            )
        # lexists: a dangling link is refused as a link, and not taken for a missing file.
        if create and not os.path.lexists(rest):
            return cls.create(rest)
        return cls(rest)

    def check_source(self) -> None:
        """Read the file again.

        Raises:
            RootUnavailable: It is missing, can't be read, or others could have read it.
            RootLocked: Another key is there.
        """
        with _read_key(self._path) as key:
            self._compare(key)

    def describe(self) -> dict[str, str]:
        """Kind and path."""
        return {"kind": self.kind, "path": str(self._path)}


def _read_key(path: Path) -> SecretBytes:
    try:
        fd, size = durable.open_private(path)
    except durable.UnsafeFile as error:
        raise RootUnavailable(
            f"the key file {path} {error.strerror}",
            hint=f"Use 'chmod 600 {path}' as its owner; if others could read it, make a new root "
            "and migrate to it.",
        ) from None
    except FileNotFoundError:
        raise RootUnavailable(
            f"there is no key file {path}",
            hint="Mount or restore it; a new one opens only a new store.",
        ) from None
    except OSError as error:
        raise RootUnavailable(
            f"can't read the key file {path}: {error.strerror}",
            hint="Check the path and that this user may read it.",
        ) from error
    key = SecretBytes.sized(KEY_BYTES)
    try:
        read = durable.read_into(fd, key.writable())
    except OSError as error:
        raise RootUnavailable(
            f"can't read the key file {path}: {error.strerror}", hint="Check the disk."
        ) from error
    finally:
        os.close(fd)
    if size != KEY_BYTES or read != KEY_BYTES:
        raise RootLocked(
            f"the key file {path} has {size} bytes instead of {KEY_BYTES}",
            hint="Restore it from its backup.",
        )
    if key.equals(_ZEROS):  # what a crash of the file system can leave; never a random key
        raise RootLocked(
            f"the key file {path} holds zeros, no key", hint="Restore it from its backup."
        )
    return key
