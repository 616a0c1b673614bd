"""Parameters in the URI of a root: ``?name=value&...``, each known and given once."""

from collections.abc import Iterable
from urllib.parse import parse_qsl

from adyton.errors import ConfigurationError


def parameters(scheme: str, query: str, known: Iterable[str]) -> dict[str, str]:
    """What a URI's query says.

    Args:
        scheme: The root's scheme, for errors.
        query: What follows the question mark, percent-encoded.
        known: Names that there are.

    Raises:
        ConfigurationError: A parameter is unknown, given twice or has no value. Values are not
            quoted: a secret may stand in the wrong place.
    """
    names = sorted(known)
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ConfigurationError(
            f"the parameters of the root '{scheme}:' are not of the form name=value",
            hint=f"Known are {', '.join(names)}.",
        ) from None
    for name, value in pairs:
        if name not in names or name in found or not value:
            raise ConfigurationError(
                f"a parameter of the root '{scheme}:' is unknown, given twice or empty",
                hint=f"Known are {', '.join(names)}.",
            )
        found[name] = value
    return found
