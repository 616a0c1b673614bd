"""What letting a request in costs: ``python -m benchmarks.admission``.

The whole path before a request is served, in one thread and without a socket: token, rates, turns
and bodies, by what is limited. Printed is the median of many short runs, in microseconds.
"""

import statistics
import time
from types import SimpleNamespace
from typing import Any, Final

from adyton.config import Configuration, RateSettings
from adyton.server.admission import Admission, Visit

_RUNS: Final = 200
_REQUESTS: Final = 1_000
_FAR: Final = RateSettings(
    all_per_second=1e7, user_per_second=1e7, token_per_second=1e7,
    all_burst=10**7, user_burst=10**7, token_burst=10**7,
)  # fmt: skip


def _microseconds(configuration: Configuration) -> float:
    session: Any = SimpleNamespace(space=SimpleNamespace(user="alice"), ident="a" * 64)
    admission = Admission(lambda _: session, configuration)
    headers = {"x-vault-token": "adt_" + "x" * 40}
    seen = []
    for _ in range(_RUNS):
        started = time.perf_counter()
        for _ in range(_REQUESTS):
            visit = admission.visit("GET", "v1/secret/data/a", "192.0.2.1:443", headers)
            assert isinstance(visit, Visit)
            visit.enter(0)
            visit.leave()
        seen.append((time.perf_counter() - started) / _REQUESTS * 1e6)
    return statistics.median(seen)


def main() -> None:
    """Measure with no rates, and with all of them far away."""
    print(f"no rates:  {_microseconds(Configuration()):.2f} us a request")
    print(f"all rates: {_microseconds(Configuration(rates=_FAR)):.2f} us a request")


if __name__ == "__main__":
    main()
