"""What members and grants cost: who may read what over many grants, and a member's read.

python -m benchmarks.access
"""

import statistics
import time
from collections.abc import Callable

from adyton import Caller, Secret, SecretStore
from adyton.actions import Action
from adyton.service.commit import Scope
from adyton.service.grants.books import BookChanges
from adyton.service.grants.records import GRANTS, Grant
from adyton.service.journal import Draft
from benchmarks.harness import Figure, fresh_store, show

_MEMBERS = 100
_EACH = 100
_READS = 2_000


def _fill(store: SecretStore) -> None:
    """10,000 grants of 100 members, in batches, each of a folder or a secret of its own."""
    core, caller = store._opened.core, store._caller
    for number in range(_MEMBERS):
        name = f"m{number}"
        store.members.add("alice", name)

        async def work(scope: Scope, name: str = name) -> None:
            keys = await core.keys_to_write(scope, caller, "alice", 0)
            book = await core.books.in_unit(scope, keys)
            changes = BookChanges(core.books, scope, keys)
            for at in range(_EACH):
                path = f"f{at % 10}/" if at % 10 else f"f{at % 7}/s{at}"
                grant = Grant(
                    member=name, member_id=book.members[name].id, path=path, role="viewer",
                    created_us=scope.now_us,
                )  # fmt: skip
                await changes.put(GRANTS, f"{name}-{at}", grant)
            await changes.write(Draft(caller, Action.GRANT_CREATE, keys, "alice"))

        core.commit.run_sync(core.write(Draft(caller, Action.GRANT_CREATE), work))


def over_many(store: SecretStore) -> list[Figure]:
    """``who`` and ``explain`` where there are 10,000 grants."""
    count = len(store.access.grants("alice"))
    secret = _median(lambda: store.access.who("alice", "f1/s1"), 21)
    found = len(store.access.who("alice", "f1/s1"))
    whole = _median(lambda: store.access.who("alice", "/"), 11)
    why = _median(lambda: store.access.explain("alice", "m1", "read", "f1/s1"), 21)
    make = _median(lambda: store.access.grant("alice", "m1", "x/", role="viewer"), 11)
    store._opened.core.books.forget("alice")
    begun = time.perf_counter()
    store.access.explain("alice", "m1", "read", "f1/s1")
    load = time.perf_counter() - begun
    return [
        Figure(
            f"access who, a secret that {found:,} of {count:,} grants and others give",
            secret * 1e3, "ms", target="under 100", met=secret < 0.1,
        ),
        Figure("access who, the whole namespace", whole * 1e3, "ms"),
        Figure("access explain", why * 1e3, "ms"),
        Figure("access grant", make * 1e3, "ms"),
        Figure("reading and checking all of them anew", load * 1e3, "ms"),
    ]  # fmt: skip


def reads(store: SecretStore) -> list[Figure]:
    """A member's read beside the owner's, each durable; in turns."""
    store.set_secret("bob", "f1/s1", b"x" * 100)
    store.members.add("bob", "ann")
    store.access.grant("bob", "ann", "f1/", role="viewer")
    owner = store.user("bob")
    member = store.acting_as(Caller("bench", "bob", member="ann"))
    reading: dict[str, Callable[[], Secret]] = {
        "owner": lambda: owner.get_secret("f1/s1"),
        "member": lambda: member.get_secret("bob", "f1/s1"),
    }
    times: dict[str, list[float]] = {name: [] for name in reading}
    for _ in range(_READS):
        for name, read in reading.items():
            begun = time.perf_counter()
            read().wipe()
            times[name].append(time.perf_counter() - begun)
    own, theirs = (statistics.median(times[name]) for name in ("owner", "member"))
    return [
        Figure("read by the owner", own * 1e6, "us"),
        Figure("read by a member, judged twice", theirs * 1e6, "us"),
        Figure("one by the other", theirs / own, "times"),
    ]


def _median(operation: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        operation()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    with fresh_store() as store:
        store.set_secrets("alice", {f"f{n}/s{n}": b"x" for n in range(10)})
        _fill(store)
        show(over_many(store) + reads(store))


if __name__ == "__main__":
    main()
