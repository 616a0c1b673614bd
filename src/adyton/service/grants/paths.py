"""What the path of a grant covers (``docs/spec/grants.md``, section 2)."""

from adyton.errors import InvalidInput, InvalidName
from adyton.grantvalues import EVERYTHING
from adyton.model import secret_name


def grant_path(path: str) -> str:
    """Check a path: a secret's name, a folder with a slash at its end, or ``/`` for everything.

    Raises:
        InvalidName: It breaks a rule of names; the text says which.
    """
    if path == EVERYTHING:
        return path
    if not path:
        raise InvalidName("the path is empty", hint="Write '/' for the whole namespace.")
    if path.endswith("/"):
        secret_name(path[:-1])
        return path
    return secret_name(path)


def is_name(name: str) -> bool:
    """Whether a text is a secret's name, a folder, or ``/``: only such have grants."""
    try:
        grant_path(name)
    except InvalidInput:
        return False
    return True


def covers(path: str, name: str) -> bool:
    """Whether a path covers a secret, or a folder whole."""
    return path in {EVERYTHING, name} or (path.endswith("/") and name.startswith(path))


def touches(path: str, folder: str) -> bool:
    """Whether a path covers a folder, or something in it."""
    return folder == EVERYTHING or path.startswith(folder) or covers(path, folder)


def covering(name: str) -> list[str]:
    """All paths that cover a secret or a folder, the widest first."""
    if name == EVERYTHING:
        return [EVERYTHING]
    found, at = [EVERYTHING], name.find("/")
    while at >= 0:
        found.append(name[: at + 1])
        at = name.find("/", at + 1)
    if found[-1] != name:
        found.append(name)
    return found
