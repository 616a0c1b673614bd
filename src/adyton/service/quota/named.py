"""Rates that an operator sets while the server runs, by name (``sys/quotas/rate-limit``).

A quota is about a path: all requests of a namespace, of a mount in it, of anything below a path, or
with an empty path all. Of the quotas that a request falls under the most specific one decides. They
are objects of the operator's namespace, and kept in memory to be asked for each request.
"""

from typing import Final

import msgspec

from adyton.errors import InvalidInput
from adyton.model import Caller
from adyton.service.access.shelves import delete_object, list_objects, put_object, read_object
from adyton.service.access.spaces import OPERATOR_SPACE
from adyton.service.core import Core
from adyton.service.objects import Shelf
from adyton.service.quota.buckets import SECOND_NS, Buckets, Rate

MOST: Final = 10_000
"""Quotas that there may be."""
_SEGMENTS: Final = 6
"""Segments of a path that quotas are looked for at."""


class RateQuota(msgspec.Struct, omit_defaults=True):
    """A rate of the requests to a path.

    Attributes:
        path: Namespace, mount or path, without leading slash; empty for all.
        rate: Requests in an interval.
        interval: Seconds of the interval.
        block_interval: Seconds for which all is refused once the rate was passed; 0 for none.
    """

    path: str
    rate: float
    interval: int = 1
    block_interval: int = 0


RATE_QUOTAS: Final = Shelf("rate-quota", RateQuota)


class _Rule:
    __slots__ = ("_block_ns", "_blocked_until", "_buckets")

    def __init__(self, quota: RateQuota) -> None:
        # As many at once as in one interval, as the other implementation has it.
        rate = Rate(quota.rate / quota.interval, max(1, int(quota.rate)))
        self._buckets = Buckets(rate, keys=1)
        self._block_ns = quota.block_interval * SECOND_NS
        self._blocked_until = 0

    def wait(self, now: int) -> int:
        if self._blocked_until > now:
            return self._blocked_until - now
        wait = self._buckets.wait("", now)
        if not wait:
            self._buckets.take("", now)
        elif self._block_ns:
            self._blocked_until = now + self._block_ns
            wait = self._block_ns
        return wait


class RateQuotas:
    """The named rates of a store.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._rules: dict[str, _Rule] = {}
        self._made_of: dict[str, RateQuota] = {}

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self._rules)

    def wait(self, user: str, path: str, now: int) -> int:
        """Count a request, or tell the nanoseconds after which it may come again; 0 to let it in.

        Args:
            user: The namespace that it is about.
            path: The path in it.
            now: Monotonic, in nanoseconds.
        """
        whole = path if user == OPERATOR_SPACE else f"{user}/{path}"
        rules = self._rules
        rule = rules.get(whole.rstrip("/"))
        parts = whole.split("/", _SEGMENTS)
        for count in range(min(len(parts), _SEGMENTS), 0, -1):
            if rule is not None:
                break
            rule = rules.get("/".join(parts[:count]))
        if rule is None:
            rule = rules.get("")
        return 0 if rule is None else rule.wait(now)

    async def load(self) -> None:
        """Read them all; what has not changed goes on as it was."""
        core = self._core
        keys = await core.keys(OPERATOR_SPACE)
        found: dict[str, RateQuota] = {}
        if keys is not None:
            async with core.storage.snapshot() as rows:
                quotas = await RATE_QUOTAS.all(rows, keys)
            found = {quota.path: quota for quota in quotas.values()}
        kept = {path for path, quota in found.items() if self._made_of.get(path) == quota}
        self._rules = {
            path: self._rules[path] if path in kept else _Rule(quota)
            for path, quota in found.items()
        }
        self._made_of = found

    async def put(self, caller: Caller, name: str, quota: RateQuota) -> None:
        """Write a quota; it holds from the answer on.

        Raises:
            InvalidInput: It is out of range, or another quota has the path.
        """
        quota.path = quota.path.strip("/")
        if not 1e-3 <= quota.rate <= 1e9 or not 1 <= quota.interval <= 86_400:
            raise InvalidInput("'rate' must be positive and 'interval' between 1s and 24h")
        if not 0 <= quota.block_interval <= 86_400:
            raise InvalidInput("'block_interval' is not between 0 and 24h")
        if quota.path.count("/") >= _SEGMENTS:
            raise InvalidInput(f"'path' has more than {_SEGMENTS} segments")
        core = self._core
        keys = await core.keys(OPERATOR_SPACE)
        if keys is not None:
            async with core.storage.snapshot() as rows:
                there = await RATE_QUOTAS.all(rows, keys)
            if any(other.path == quota.path for at, other in there.items() if at != name):
                raise InvalidInput("quota rule with similar properties exists under another name")
            if len(there) >= MOST and name not in there:
                raise InvalidInput(f"there are {MOST} quotas already")
        await put_object(core, caller, OPERATOR_SPACE, RATE_QUOTAS, name, quota, _path(name))
        await self.load()

    async def delete(self, caller: Caller, name: str) -> None:
        """Remove a quota; no error where there is none."""
        await delete_object(self._core, caller, OPERATOR_SPACE, RATE_QUOTAS, name, _path(name))
        await self.load()

    async def read(self, caller: Caller, name: str) -> RateQuota:
        """One quota.

        Raises:
            SecretNotFound: There is none of that name.
        """
        return await read_object(self._core, caller, OPERATOR_SPACE, RATE_QUOTAS, name, _path(name))

    async def names(self, caller: Caller) -> list[str]:
        """Names of all quotas, sorted."""
        return await list_objects(
            self._core, caller, OPERATOR_SPACE, RATE_QUOTAS, "sys/quotas/rate-limit"
        )


def _path(name: str) -> str:
    return f"sys/quotas/rate-limit/{name}"
