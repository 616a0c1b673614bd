"""What dynamic credentials cost: making, renewing and revoking roles of a real PostgreSQL.

python -m benchmarks.dynamic PORT ADMIN PASSWORD

Of a PostgreSQL on loopback, without TLS. Beside each stands its floor: the same statements by a
connection of their own, without Adyton.
"""

import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg

from adyton import SecretStore
from adyton.dynamicvalues import Connection, DynamicRole
from benchmarks.harness import Figure, fresh_store, show

_ROUNDS = 100
_AT_ONCE = 8


def _median(operation: Callable[[int], object], rounds: int) -> float:
    times = []
    for at in range(rounds):
        start = time.perf_counter()
        operation(at)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _bare(port: int, admin: str, password: str, *statements: str) -> None:
    with psycopg.connect(
        host="127.0.0.1", port=port, dbname="postgres", user=admin, password=password,
        sslmode="disable", autocommit=True,
    ) as server:  # fmt: skip
        for statement in statements:
            server.execute(statement.encode())


def measured(store: SecretStore, port: int, admin: str, password: str) -> list[Figure]:
    """One after the other, and eight at once."""
    settings = {"host": "127.0.0.1", "port": str(port), "sslmode": "disable"}
    store.set_secret("u", "admin", {"username": admin, "password": password})
    store.dynamic.set_connection("u", "c", Connection(settings=settings, admin="admin"))
    store.dynamic.set_role("u", "r", DynamicRole(connection="c"))
    made: list[str] = []

    def issue(_: int) -> None:
        with store.dynamic.issue("u", "r") as found:
            made.append(found.lease.id)

    one = _median(issue, _ROUNDS)
    renew = _median(lambda at: store.dynamic.renew("u", made[at]), _ROUNDS)
    revoke = _median(lambda at: store.dynamic.revoke("u", made[at]), _ROUNDS)
    made.clear()
    start = time.perf_counter()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(issue, range(4 * _ROUNDS)))
    rate = 4 * _ROUNDS / (time.perf_counter() - start)
    start = time.perf_counter()
    store.dynamic.revoke_all("u")
    ended = 4 * _ROUNDS / (time.perf_counter() - start)

    def create(at: int) -> None:
        _bare(
            port, admin, password,
            f"CREATE ROLE bench{at} LOGIN PASSWORD 'x' VALID UNTIL '2040-01-01'",
        )  # fmt: skip

    floor = _median(create, _ROUNDS)
    drop = _median(lambda at: _bare(port, admin, password, f"DROP ROLE bench{at}"), _ROUNDS)
    return [
        Figure("making credentials", one * 1e3, "ms"),
        Figure("  CREATE ROLE by a connection of its own", floor * 1e3, "ms"),
        Figure(f"made by {_AT_ONCE} at once", rate, "/s"),
        Figure("renewing", renew * 1e3, "ms"),
        Figure("revoking", revoke * 1e3, "ms"),
        Figure("  DROP ROLE by a connection of its own", drop * 1e3, "ms"),
        Figure("revoked by role", ended, "/s"),
    ]


def main() -> None:
    """Measure, and print a table."""
    port, admin, password = sys.argv[1:4]
    with fresh_store() as store:
        show(measured(store, int(port), admin, password))


if __name__ == "__main__":
    main()
