"""Settings of what is let in, how often, and how requests share the server."""

from dataclasses import dataclass
from typing import Final

from adyton.config.fields import setting
from adyton.service.quota.rates import RequestRates
from adyton.service.quota.storage import Quotas

_RATES: Final = RequestRates()
_MOST: Final = 10**9


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits on what comes from outside."""

    body_bytes: int = setting(
        32 * 1024 * 1024, "Largest body of a request.", unit="bytes", at_least=1024, at_most=2**30
    )
    bodies_bytes: int = setting(
        256 * 1024 * 1024, "Most bytes of bodies over 64 KiB in memory at once; one user, or one "
        "network without a valid token, may have a quarter.", unit="bytes",
        at_least=1024, at_most=2**40,
    )  # fmt: skip
    header_bytes: int = setting(
        32 * 1024, "Largest sum of header names and values.", unit="bytes",
        at_least=8_192, at_most=2**24,
    )  # fmt: skip
    query_chars: int = setting(
        8_192, "Longest query.", unit="characters", at_least=0, at_most=2**20
    )
    in_flight: int = setting(1_024, "Most requests at once.", at_least=1, at_most=10**6)
    body_seconds: float = setting(
        30.0, "Longest time for a body to arrive.", unit="seconds", at_least=0.01, at_most=3_600
    )
    connections: int = setting(
        2_048, "Most connections; more wait to be accepted.", at_least=1, at_most=10**6
    )
    connections_per_source: int = setting(
        512, "Most connections of one IPv4 address or IPv6 /48; trusted proxies are not counted.",
        at_least=1, at_most=10**6,
    )  # fmt: skip
    header_seconds: float = setting(
        30.0, "Longest time for the head of a request to arrive, and for an idle connection.",
        unit="seconds", at_least=0.1, at_most=3_600,
    )  # fmt: skip
    stall_seconds: float = setting(
        30.0, "Longest time for which a client may take less than 1 KiB a second of its answer.",
        unit="seconds", at_least=1, at_most=3_600,
    )  # fmt: skip
    streams: int = setting(
        100, "Most requests at once on one HTTP/2 connection.", at_least=1, at_most=10_000
    )


@dataclass(frozen=True, slots=True)
class RateSettings:
    """Requests in a second; 0 for no limit. A burst of 0 is two seconds' worth."""

    all_per_second: float = setting(
        _RATES.all_per_second, "Requests of everybody together.", at_least=0, at_most=_MOST
    )
    all_burst: int = setting(_RATES.all_burst, "As many at once.", at_least=0, at_most=_MOST)
    user_per_second: float = setting(
        _RATES.user_per_second, "Requests by the tokens of one user (namespace).",
        at_least=0, at_most=_MOST,
    )  # fmt: skip
    user_burst: int = setting(_RATES.user_burst, "As many at once.", at_least=0, at_most=_MOST)
    token_per_second: float = setting(
        _RATES.token_per_second, "Requests by one token.", at_least=0, at_most=_MOST
    )
    token_burst: int = setting(_RATES.token_burst, "As many at once.", at_least=0, at_most=_MOST)
    network_per_second: float = setting(
        _RATES.network_per_second,
        "Requests without a valid token from one IPv4 address or IPv6 /64; its /24 or /48 may "
        "eight times as many.",
        at_least=0, at_most=_MOST,
    )  # fmt: skip
    network_burst: int = setting(
        _RATES.network_burst, "As many at once.", at_least=0, at_most=_MOST
    )

    def rates(self) -> RequestRates:
        """The same for the service."""
        return RequestRates(**{name: getattr(self, name) for name in RequestRates.__slots__})


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    """What each user may store; 0 for no quota."""

    secrets: int = setting(0, "Most secrets of a user.", at_least=0, at_most=10**12)
    versions: int = setting(
        0, "Most versions of all secrets of a user together.", at_least=0, at_most=10**12
    )
    objects: int = setting(
        0, "Most tokens, policies, roles and the like of a user.", at_least=0, at_most=10**12
    )
    bytes: int = setting(
        0, "Most bytes of sealed values and objects of a user.", unit="bytes",
        at_least=0, at_most=2**60,
    )  # fmt: skip

    def quotas(self) -> Quotas:
        """The same for the service."""
        return Quotas(self.secrets, self.versions, self.objects, self.bytes)


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """How requests share the server. A read costs 1, a write 2, a list or a large body 8."""

    alone: int = setting(
        128, "Cost in service at once of a user who asks alone.", at_least=1, at_most=10**6
    )
    share: int = setting(
        8, "Cost in service at once of each user when several ask.", at_least=1, at_most=10**6
    )
    total: int = setting(128, "Cost in service at once of all users.", at_least=1, at_most=10**6)
    lane_waiting: int = setting(
        256, "Most requests of one user that wait for their turn.", at_least=0, at_most=10**6
    )
    all_waiting: int = setting(
        1_024, "Most requests that wait for their turn.", at_least=0, at_most=10**6
    )
    wait_seconds: float = setting(
        10.0, "Longest wait for a turn.", unit="seconds", at_least=0.01, at_most=3_600
    )
