"""Ends a process before each of its writes in turn: for scripts that ``run_isolated`` runs.

A script says what there is first, what is done to it, and what must hold however it was ended.
"""

import itertools
import os
import shutil
import signal
import traceback

from adyton.storage.sqlite_writing import SqliteTransaction


def apart(work):
    """Do something in a process of its own; the status that it ends with."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def kill_at_writes(
    folder, prepare, operation, verdict, *,
    first=0, step=1, methods=("_run", "commit"), also=None,
):  # fmt: skip
    """Do an operation again and again, ended before another write each time, until it ends itself.

    Args:
        folder: Its folder ``now``, and its file ``told`` if there is one, are as after ``prepare``
            whenever the operation begins.
        prepare: Makes what there is first.
        operation: What is ended.
        verdict: Fails where something does not hold.
        first: The first write that it is ended before.
        step: How many writes lie between two of them.
        methods: What of a transaction counts as a write.
        also: Is told, in the process that is ended, of a function that makes others count, too.

    Returns:
        How often it was done.
    """
    now, told = folder / "now", folder / "told"

    def ended(number):
        counter = itertools.count()

        def counted(method):
            def call(*args, **more):
                if next(counter) == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return method(*args, **more)

            return call

        if also is not None:
            also(counted)
        for name in methods:
            setattr(SqliteTransaction, name, counted(getattr(SqliteTransaction, name)))
        operation()

    now.mkdir(exist_ok=True)
    assert apart(prepare) == 0
    shutil.copytree(now, folder / "first")
    heard = told.read_bytes() if told.exists() else None
    rounds, code = 0, None
    while code != 0:
        number = first + rounds * step
        shutil.rmtree(now)
        shutil.copytree(folder / "first", now)
        told.unlink(missing_ok=True)
        if heard is not None:
            told.write_bytes(heard)
        code = apart(lambda number=number: ended(number))
        assert code in {0, -signal.SIGKILL}, code
        assert apart(verdict) == 0, f"killed at write {number}"
        rounds += 1
    return rounds
