"""What a token is to be: what is asked for, within what its maker, its role and its mount allow."""

import fnmatch
from typing import Final, NamedTuple

import msgspec

from adyton.errors import InvalidInput
from adyton.service.access import batch
from adyton.service.access.givenpolicies import given_policies
from adyton.service.access.policy import ROOT_NAME
from adyton.service.access.records import DEFAULT_TTL, Mount, Token, TokenRole
from adyton.service.access.spaces import OPERATOR_SPACE
from adyton.service.access.tokentext import BATCH_PREFIX

_MAX_CUSTOM: Final = 256
_PREFIXES: Final = ("s.", "adt_", BATCH_PREFIX, "hvs.")
TOKEN_METHOD: Final = "token auth/token/"  # noqa: S105 - a login method's name


class TokenRequest(msgspec.Struct, frozen=True):
    """What a new token is asked to be; times in seconds. See :class:`Token`."""

    id: str = ""
    policies: tuple[str, ...] = ()
    ttl: int = 0
    explicit_max_ttl: int = 0
    period: int = 0
    display_name: str = ""
    num_uses: int = 0
    renewable: bool = True
    no_parent: bool = False
    no_default_policy: bool = False
    meta: dict[str, str] | None = None
    cidrs: tuple[str, ...] = ()
    path: str = "auth/token/create"
    role: str = ""
    type: str = ""
    entity_alias: str = ""

    def __repr__(self) -> str:
        return "<TokenRequest>"


class Times(NamedTuple):
    """How long tokens of a login method live, in seconds.

    Attributes:
        default: Where nothing else is said.
        longest: At the most, renewed or not; a periodic token, between renewals.
    """

    default: int
    longest: int


def times_of(mount: Mount | None) -> Times:
    """The times that a login method is tuned to."""
    config = {} if mount is None else mount.config
    longest = _seconds(config.get("max_lease_ttl")) or DEFAULT_TTL
    return Times(min(_seconds(config.get("default_lease_ttl")) or DEFAULT_TTL, longest), longest)


def _seconds(value: object) -> int:
    return value if isinstance(value, int) else 0


def bounded(seconds: int, longest: int, what: str = "TTL") -> tuple[int, list[str]]:
    """A time within a bound, and what to tell of it if it was longer."""
    if seconds <= longest:
        return seconds, []
    asked, most = _short(seconds), _short(longest)
    told = f'{what} of "{asked}" exceeded the effective max_ttl of "{most}"'
    return longest, [f"{told}; {what} value is capped accordingly"]


def _short(seconds: int) -> str:
    """A time as Go writes it, without parts that are zero at its end."""
    hours, rest = divmod(seconds, 3600)
    parts = [(hours, "h"), (rest // 60, "m"), (rest % 60, "s")]
    while len(parts) > 1 and not parts[-1][0]:
        parts.pop()
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return "".join(f"{number}{unit}" for number, unit in parts)


def check(request: TokenRequest, user: str) -> None:
    """Refuse what no token can be.

    Raises:
        InvalidInput: A field breaks a rule.
    """
    if request.id:
        if user != OPERATOR_SPACE:
            raise InvalidInput("a token's ID can be chosen in the operator's namespace only")
        if len(request.id) > _MAX_CUSTOM or not request.id.isprintable() or " " in request.id:
            raise InvalidInput(f"a token's ID has up to {_MAX_CUSTOM} printable characters")
        if "." in request.id or request.id.startswith(_PREFIXES):
            raise InvalidInput("custom token ID cannot have the 's.' prefix or include a '.'")
    for name in ("ttl", "explicit_max_ttl", "period", "num_uses"):
        if getattr(request, name) < 0:
            shown = "number of uses" if name == "num_uses" else name
            raise InvalidInput(f"{shown} cannot be negative")
    if request.entity_alias and not request.role:
        raise InvalidInput("'entity_alias' is only allowed in combination with token role")


def shaped(
    request: TokenRequest,
    giver: Token,
    ident: str,
    role: TokenRole | None,
    *,
    times: Times,
    foreign: bool,
) -> tuple[Token, list[str]]:
    """The token that is made of a request, and what to tell of it.

    Args:
        request: What is asked for.
        giver: The token that makes it.
        ident: That one's id.
        role: The role that it is made by.
        times: How long tokens live there.
        foreign: Whether it is made in another namespace than the giver's.

    Raises:
        InvalidInput: It is not the giver's to make.
    """
    is_root = ROOT_NAME in giver.policies
    if giver.num_uses:
        raise InvalidInput("restricted use token cannot generate child tokens")
    policies = given_policies(
        request.policies,
        giver,
        role,
        is_root=is_root,
        foreign=foreign,
        no_default=request.no_default_policy,
    )
    explicit = _least(request.explicit_max_ttl, role.token_explicit_max_ttl if role else 0)
    period = _least(request.period, role.token_period) if role else request.period
    if period:
        longest, told = bounded(period, times.longest, "period")
        ttl = min(request.ttl or longest, longest, explicit or longest)
    else:
        longest = min(times.longest, explicit or times.longest)
        ttl, told = bounded(request.ttl or min(times.default, longest), longest)
    if ROOT_NAME in policies and not (request.ttl or period or explicit):
        ttl, told = 0, []
        if giver.expires_us:
            raise InvalidInput("expiring root tokens cannot create non-expiring root tokens")
    display = "-".join(filter(None, ("token", _display(request.display_name))))
    orphan = foreign or request.no_parent or bool(role and role.orphan)
    token = Token(
        "",
        parent="" if orphan else ident,
        policies=policies,
        path=_path(request, role),
        display_name=display,
        meta=request.meta,
        creation_ttl=ttl,
        explicit_max_ttl=explicit,
        period=period,
        num_uses=_least(request.num_uses, role.token_num_uses) if role else request.num_uses,
        renewable=bool(ttl) and request.renewable and (role is None or role.renewable),
        role=request.role,
        cidrs=_networks(request, giver, role, orphan=orphan),
        method=TOKEN_METHOD,
        entity="" if orphan else giver.entity,
    )
    if batch.kind_of_request(request.type, role.token_type if role else None) == batch.SERVICE:
        return token, told
    for name in ("explicit_max_ttl", "period"):
        if getattr(request, name):
            raise batch.unbounded(name)
    return batch.as_batch(token), told


def alias_of(request: TokenRequest, role: TokenRole | None) -> str:
    """The name at the token method of who gets the token; empty where none is given.

    Raises:
        InvalidInput: The role does not allow it.
    """
    alias = request.entity_alias.lower()
    if not alias:
        return ""
    allowed = [] if role is None else role.allowed_entity_aliases
    if not any(fnmatch.fnmatchcase(alias, glob.lower()) for glob in allowed):
        raise InvalidInput("invalid 'entity_alias' value")
    return alias


def _path(request: TokenRequest, role: TokenRole | None) -> str:
    if role is None:
        return request.path
    suffix = f"/{role.path_suffix}" if role.path_suffix else ""
    return f"auth/token/create/{request.role}{suffix}"


def _networks(
    request: TokenRequest, giver: Token, role: TokenRole | None, *, orphan: bool
) -> list[str]:
    """Where a token may come from; a child is bound like its parent where nothing else is said."""
    asked = role.token_bound_cidrs if role else request.cidrs
    return list(asked or ([] if orphan else giver.cidrs))


def _least(first: int, second: int) -> int:
    return min(first, second) if first and second else first or second


def _display(text: str) -> str:
    return "".join(char if char.isalnum() or char in "-_.@" else "-" for char in text)[:100]
