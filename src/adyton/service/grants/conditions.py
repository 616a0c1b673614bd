"""Whether the conditions of a grant are met (``docs/spec/grants.md``, section 4)."""

import ipaddress
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from adyton.errors import InvalidInput
from adyton.grantvalues import Conditions
from adyton.model import from_us
from adyton.service.grants.paths import covers, grant_path
from adyton.service.quota.networks import is_within
from adyton.service.rotation.schedule import Window, windows, zone

MAX_READS: Final = 1_000_000
MAX_NETWORKS: Final = 64
MAX_APPROVALS: Final = 64
MAX_WINDOW_CHARS: Final = 512


class Facts(NamedTuple):
    """What conditions are about.

    Attributes:
        address: Where the request comes from, as its record has it; empty where that is unknown.
        now_us: The time.
    """

    address: str
    now_us: int


def unmet(conditions: Conditions, expires_us: int, facts: Facts) -> str:
    """Why a grant does not hold now, in words; empty if it does.

    What has to be counted or approved is not looked at here.
    """
    if 0 < expires_us <= facts.now_us:
        return "it has ended"
    if conditions.networks and not is_within(facts.address, conditions.networks):
        return f"the request does not come from {', '.join(conditions.networks)}"
    if conditions.window:
        try:
            parts, place = _times(conditions.window, conditions.timezone)
        except InvalidInput:  # time zones can vanish from a system
            return "its hours can't be read"
        local = from_us(facts.now_us).astimezone(place)
        if not any(part.holds(local) for part in parts):
            return f"it is not {conditions.window} in {conditions.timezone} now"
    return ""


def needs_approval(conditions: Conditions, name: str) -> bool:
    """Whether a second person has to approve requests for a secret or a folder."""
    return any(covers(path, name) for path in conditions.approval)


@lru_cache(maxsize=1_024)
def _times(window: str, timezone: str) -> tuple[list[Window], ZoneInfo]:
    return windows(window), zone(timezone)


def check(conditions: Conditions, path: str) -> None:
    """Check the conditions of a new grant.

    Raises:
        InvalidInput: One can't be read, or is about something else than the grant.
    """
    if len(conditions.networks) > MAX_NETWORKS or len(conditions.approval) > MAX_APPROVALS:
        raise InvalidInput(
            f"a grant names at most {MAX_NETWORKS} networks and {MAX_APPROVALS} approvals",
            hint="Name wider ones.",
        )
    for network in conditions.networks:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            raise InvalidInput(
                "a network can't be read", hint="Write it as in 10.0.0.0/8, no bits to its right."
            ) from None
    if len(conditions.window) > MAX_WINDOW_CHARS:
        raise InvalidInput("the hours are too long a text", hint="Name wider parts of days.")
    try:
        windows(conditions.window)
    except InvalidInput:
        raise InvalidInput(
            "the hours can't be read", hint="Write them as in 'mon-fri 08:00-18:00'."
        ) from None
    zone(conditions.timezone)
    if not 0 <= conditions.reads <= MAX_READS:
        raise InvalidInput(f"a limit of reads is between 1 and {MAX_READS}; 0 is none")
    for part in conditions.approval:
        if not covers(path, grant_path(part)) and not covers(part, path):
            raise InvalidInput(
                "an approval is asked for something that the grant does not cover",
                hint="Name a folder or a secret inside the grant's path, or '/'.",
            )
