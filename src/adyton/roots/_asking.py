"""How a root gets a passphrase: asked for, from the environment, or from a private file."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from adyton import durable
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError, InvalidInput, RootUnavailable
from adyton.hardening import forget_variable

Ask: TypeAlias = Callable[[str], SecretBytes]
"""Asks a person for a secret; the argument is the prompt. The root wipes what it gets."""

MAX_PASSPHRASE_BYTES: Final = 4096

_NEWLINE: Final = 0x0A
_RETURN: Final = 0x0D
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def from_person(ask: Ask | None, *, confirm: bool) -> SecretBytes:
    """Ask for a passphrase; twice when it is a new one, because a typo would lock the store.

    Raises:
        ConfigurationError: There is nobody to ask.
        InvalidInput: The two are not the same.
    """
    if ask is None:
        raise ConfigurationError(
            "the root 'passphrase:' has to ask for the passphrase, and nobody can be asked here",
            hint="Use 'passphrase:file=PATH' or 'passphrase:env=NAME', or pass ask=.",
        )
    given = ask("Passphrase of the master key")
    with given.borrow() as view:
        kept = SecretBytes(view)
    same = True
    if confirm:
        # Some callers hand out one buffer both times, so the first is wiped after the second.
        with given, ask("The same passphrase again") as again:
            same = kept.equals(again)
    given.wipe()
    if not same:
        kept.wipe()
        raise InvalidInput("the two passphrases are not the same", hint="Try again.")
    return kept


def from_environment(name: str) -> SecretBytes:
    """Take a passphrase out of an environment variable, so that child processes don't get it.

    It is overwritten where the kernel shows it, in ``/proc/PID/environ``; whoever looked there
    before has seen it, so that a file is the better way.

    Raises:
        ConfigurationError: The name can't be a variable's name, or the variable is not set.
    """
    if not _ENV_NAME.match(name):
        # The text is not shown: it may be a passphrase in the wrong place.
        raise ConfigurationError(
            "what follows 'passphrase:env=' can't be the name of an environment variable",
            hint="Write 'passphrase:env=NAME', and put the passphrase into the variable NAME.",
        )
    value = variable(name)
    if value is None:
        raise ConfigurationError(
            f"the environment variable {name} with the passphrase is not set",
            hint="Set it. It is taken out when it has been read: a second opening needs it anew.",
        )
    return value


_kept: dict[str, SecretBytes] | None = None


def keep_variables() -> None:
    """From now on keep, in locked memory, what is taken out of the environment.

    For a server, which may have to open its root again when it was away.
    """
    global _kept  # noqa: PLW0603 - the environment is the process's, and so is this
    _kept = {} if _kept is None else _kept


def variable(name: str) -> SecretBytes | None:
    """Take a secret out of an environment variable; None where it is not set."""
    value = forget_variable(name)
    if _kept is not None:
        if value is not None:
            _kept[name] = SecretBytes(value)
        held = _kept.get(name)
        if held is None:
            return None
        with held.borrow() as view:
            return SecretBytes(view)
    return None if value is None else SecretBytes(value)


def from_file(path: str, *, what: str = "passphrase") -> SecretBytes:
    """Read a secret from a private file; one newline at its end is not part of it.

    Args:
        path: The file.
        what: What it holds, for errors.

    Raises:
        ConfigurationError: There is no path.
        RootUnavailable: The file is missing, can't be read, or others could read it.
    """
    if not path or "\0" in path:
        raise ConfigurationError(f"the {what} needs the path of a file")
    where = Path(path).absolute()
    try:
        fd, _ = durable.open_private(where)
        try:
            # Room for a newline, and one byte more that tells a file that is too long.
            with SecretBytes.sized(MAX_PASSPHRASE_BYTES + 3) as buffer:
                view = buffer.writable()
                size = durable.read_into(fd, view)
                if size and view[size - 1] == _NEWLINE:
                    size -= 1
                    if size and view[size - 1] == _RETURN:
                        size -= 1
                return SecretBytes(view[:size])
        finally:
            os.close(fd)
    except durable.UnsafeFile as error:
        raise RootUnavailable(
            f"the {what} file {where} {error.strerror}",
            hint=f"Use 'chmod 600 {where}' as its owner.",
        ) from None
    except OSError as error:
        raise RootUnavailable(
            f"can't read the {what} file {where}: {error.strerror}",
            hint="Check the path and that this user may read it.",
        ) from error
