"""Reading what several commands take: times, pairs."""

from adyton.errors import InvalidInput
from adyton.lifecyclevalues import seconds_of


def seconds(text: str, what: str) -> int:
    """A time such as ``90s``, ``12h`` or ``30d``, in seconds; empty for 0.

    Raises:
        InvalidInput: It is none.
    """
    return seconds_of(text, what) if text else 0


def pairs(texts: list[str] | None, what: str) -> dict[str, str]:
    """Texts of the form ``KEY=VALUE``.

    Raises:
        InvalidInput: One is of another form.
    """
    found = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InvalidInput(f"{what} takes KEY=VALUE")
        found[key] = value
    return found
