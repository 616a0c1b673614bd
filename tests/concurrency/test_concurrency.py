"""Threads and tasks on one store: no lost update, no deadlock, nothing half-done."""

import asyncio
import os
import threading

import pytest

from adyton import AsyncSecretStore
from adyton.actions import Action
from adyton.errors import SecretNotFound, StoreClosed, StoreLocked, VersionConflict
from adyton.model import Caller
from adyton.service.access.records import TOKENS, Token
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from support import Place

THREADS = 32
TASKS = 200


def test_threads_lose_no_update_under_check_and_set(tmp_path):
    """32 threads count up one secret by check-and-set: every increment is kept."""
    with Place(tmp_path).open() as store:
        store.set_secret(1, "n", "0")
        failures = []

        def work():
            try:
                for _ in range(5):
                    while True:
                        with store.get_secret(1, "n") as secret:
                            number, version = int(secret.text()), secret.version
                        try:
                            store.set_secret(1, "n", str(number + 1), cas=version)
                            break
                        except VersionConflict:
                            continue
            except BaseException as error:
                failures.append(error)

        run_threads(work)
        assert not failures
        with store.get_secret(1, "n") as secret:
            assert secret.text() == str(THREADS * 5)
        store.audit.verify()


def run_threads(work, count=THREADS):
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "deadlock"


@pytest.mark.parametrize("mode", ["auto", "inline", "thread"])
def test_tasks_lose_no_update_under_check_and_set(tmp_path, mode):
    """200 tasks count up ten secrets by check-and-set, in each way to wait for the disk."""

    async def count(store, name):
        while True:
            secret = await store.get_secret(1, name)
            with secret:
                number, version = int(secret.text()), secret.version
            try:
                await store.set_secret(1, name, str(number + 1), cas=version)
                return
            except VersionConflict:
                continue

    async def main():
        async with await AsyncSecretStore.open("memory:", root="dev:", commit=mode) as store:
            for n in range(10):
                await store.set_secret(1, f"n{n}", "0")
            await asyncio.wait_for(
                asyncio.gather(*(count(store, f"n{t % 10}") for t in range(TASKS))), 120
            )
            for n in range(10):
                with await store.get_secret(1, f"n{n}") as secret:
                    assert secret.text() == str(TASKS // 10)
            await store.audit.verify()

    asyncio.run(main())


def test_threads_tasks_and_rotations_at_once(tmp_path):
    """Readers, writers, rotations, re-wrapping and purges go on beside each other."""
    with Place(tmp_path).open(upkeep=True) as store:
        store.set_secrets("u", {f"n{n}": "x" for n in range(50)})
        stop = threading.Event()
        failures = []

        def guarded(step):
            def run():
                try:
                    number = 0
                    while not stop.is_set():
                        step(number)
                        number += 1
                except BaseException as error:
                    failures.append(error)

            return threading.Thread(target=run)

        def read(number):
            with store.get_secret("u", f"n{number % 50}") as secret:
                assert secret.text()[0] == "x"

        def purge(number):
            store.set_secret("p", "a", "x")
            store.get_secrets("p", ["a"])
            store.purge_user("p")

        def tasks(number):
            async def several():
                face = AsyncSecretStore(store._opened)
                found = await asyncio.gather(
                    *(face.get_secret("u", f"n{n}") for n in range(20)),
                    *(face.set_secret("u", f"n{n}", "xy") for n in range(3)),
                )
                for secret in found[:20]:
                    secret.wipe()

            asyncio.run(several())

        threads = [
            guarded(read), guarded(read), guarded(tasks), guarded(purge),
            guarded(lambda number: store.set_secret("u", f"n{number % 50}", f"x{number}")),
            guarded(lambda number: store.keys.rotate("u")),
            guarded(lambda number: store.keys.rewrap(deep=number % 5 == 0)),
            guarded(lambda number: store.keys.rotate(master=True)),
        ]  # fmt: skip
        for thread in threads:
            thread.start()
        stop.wait(4)
        stop.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "deadlock"
        assert failures == []
        store.audit.verify()


def test_a_cancelled_task_releases_nothing_and_the_store_goes_on():
    """Cancelled while it waits for its commit, a read gives nothing; the next one works."""

    async def main():
        async with await AsyncSecretStore.open("memory:", root="dev:", commit="thread") as store:
            await store.set_secret(1, "a", "x")
            for _ in range(50):
                task = asyncio.create_task(store.get_secret(1, "a"))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    (await task).wipe()
                    raise asyncio.CancelledError
            with await store.get_secret(1, "a") as secret:
                assert secret.text() == "x"
            await store.audit.verify()

    asyncio.run(main())


def test_closing_while_others_work_hangs_nobody(tmp_path):
    """Each call either completes or raises StoreClosed."""
    store = Place(tmp_path).open()
    store.set_secret(1, "a", "x")
    outcomes = []

    def work():
        try:
            while True:
                store.get_secret(1, "a").wipe()
        except StoreClosed:
            outcomes.append("closed")
        except BaseException as error:
            outcomes.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    store.close()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert outcomes == ["closed"] * 8


def test_a_second_opening_is_refused_with_the_holders_pid(tmp_path):
    """While a store is open, another opening waits, then says who has it."""
    place = Place(tmp_path)
    with place.open(), pytest.raises(StoreLocked, match=str(os.getpid())) as refused:
        place.open(lock_timeout=0.1)
    assert refused.value.hint
    with place.open():
        pass


def test_a_forked_child_is_refused_and_the_parent_goes_on(tmp_path):
    """A store is of the process that opened it."""
    with Place(tmp_path).open() as store:
        store.set_secret(1, "a", "x")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                store.get_secret(1, "a")
            except StoreClosed:
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        with store.get_secret(1, "a") as secret:
            assert secret.text() == "x"
        with pytest.raises(SecretNotFound):
            store.get_secret(1, "b")
        store.audit.verify()


@pytest.mark.parametrize(
    "fault",
    [OverflowError, ZeroDivisionError, KeyError, AttributeError, RecursionError, ValueError],
)
def test_a_bug_in_one_unit_fails_no_other(tmp_path, fault):
    """What one operation stumbles over is its own: the group that it is in is committed."""

    async def main():
        async with await AsyncSecretStore.open(
            str(tmp_path / "s.db"), root=f"keyfile:{tmp_path}/k", create=True, upkeep=False
        ) as store:
            core = store._opened.core
            caller = Caller("test", "1")

            async def stumble(scope):
                keys = await core.keys_to_write(scope, caller, "1", 0)
                changes = ObjectChanges(scope, keys)
                changes.put(TOKENS, "half-done", Token("a"))
                await changes.write(Draft(caller, Action.ACCESS_WRITE, user_id="1"))
                raise fault

            async def stumbling():
                await core.write(Draft(caller, Action.ACCESS_WRITE, user_id="1"), stumble)

            await store.set_secret("1", "first", "x")
            found = await asyncio.gather(
                *(store.set_secret("1", f"n{at}", "x") for at in range(8)),
                core.commit.run_async(stumbling()),
                *(store.get_secret("1", "first") for _ in range(8)),
                return_exceptions=True,
            )
            assert [type(one) for one in found if isinstance(one, BaseException)] == [fault]
            async with core.storage.snapshot() as rows:
                assert not await TOKENS.all(rows, await core.keys("1"))
            await store.audit.verify()
            failed = await store.get_audit_log("1", limit=30)
            assert "access.write" in {str(one.action) for one in failed if not one.success}

    asyncio.run(main())
