"""Locked memory: slots are zero, exclusive, wiped, locked and gone in a forked child."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from adyton.crypto import arena
from isolated import run_isolated


@pytest.mark.parametrize("size", [0, 1, 64, 65, 256, 257, 4096, 65536, 65537, 1 << 20])
def test_a_slot_is_large_enough_zero_and_of_its_class(size):
    """A slot has at least the bytes asked for, less than four times as many, and all are zero."""
    slot = arena.acquire(size)
    try:
        assert max(size, 64) <= len(slot) <= max(4 * size, 64)
        assert not any(slot)
    finally:
        arena.release(slot, size)


def test_a_released_slot_is_zero_and_used_again():
    """What a slot held is overwritten before it can be handed out again."""
    slot = arena.acquire(1000)
    slot[:1000] = b"s" * 1000
    arena.release(slot, 1000)
    assert not any(slot)
    assert any(slot is free for free in arena._free[len(slot)])


def test_a_value_over_the_largest_class_is_rounded_to_whole_mebibytes():
    """Slots of values over 1 MiB come in whole MiB, are wiped, and are found again."""
    slot = arena.acquire((1 << 20) + 1)
    assert len(slot) == 2 << 20
    slot[: (1 << 20) + 1] = b"x" * ((1 << 20) + 1)
    arena.release(slot, (1 << 20) + 1)
    assert not any(slot)
    again = arena.acquire(2 << 20)
    assert again is slot
    arena.release(again, 0)


@pytest.mark.parametrize("size", [48, 1 << 20])
def test_threads_never_share_a_slot(size):
    """Many threads that fill slots and read them back find their own bytes, and none fails."""
    rounds = 300 if size < 100 else 20
    start = threading.Barrier(8)

    def hammer(mark):
        start.wait()
        for turn in range(rounds):
            held = [arena.acquire(size) for _ in range(3)]
            for slot in held:
                assert slot[0] == slot[size - 1] == 0
                slot[:size] = bytes([mark]) * size
            for slot in held:
                assert slot[0] == slot[size - 1] == mark, turn
                if size < 100:
                    assert slot[:size] == bytes([mark]) * size
                arena.release(slot, size)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(hammer, mark) for mark in range(1, 9)]:
            done.result()


def test_a_chunk_of_one_slot_goes_to_the_thread_that_mapped_it():
    """Growing by one slot gives it to the caller, never to the free list for others to take."""
    out = run_isolated(
        """
        from adyton.crypto import arena

        class Greedy(arena.deque):
            def extend(self, slots):  # other threads take all that becomes free, at once
                self.seen = len(list(slots))

        arena._free[1 << 20] = Greedy()
        slot = arena.acquire(1 << 20)
        print(len(slot), arena._free[1 << 20].seen)
        """
    )
    assert out.split() == [str(1 << 20), "0"]


def test_secret_memory_is_private_locked_undumped_and_wiped_on_fork():
    """The kernel shows the flags locked, don't dump and wipe on fork on the mapping."""
    out = run_isolated(
        """
        import ctypes
        from adyton.crypto import arena

        slot = arena.acquire(32)
        address = ctypes.addressof(ctypes.c_char.from_buffer(slot))
        inside = False
        for line in open("/proc/self/smaps"):
            head = line.split()
            if "-" in head[0] and not head[0].endswith(":"):
                low, high = (int(part, 16) for part in head[0].split("-"))
                inside = low <= address < high
                mode = head[1]
            elif inside and head[0] == "VmFlags:":
                print(mode, *head[1:])
        """
    )
    mode, *flags = out.split()
    assert mode == "rw-p"
    assert {"lo", "dd", "wf"} <= set(flags)


def test_a_forked_child_sees_zeros_and_locks_its_memory_again():
    """In a child a filled slot is zero and the pages are locked again; the parent keeps its own."""
    out = run_isolated(
        """
        import os
        from adyton.crypto import arena

        slot = arena.acquire(64)
        slot[:] = b"k" * 64
        before = arena.status()
        arena._grow_lock.acquire()  # as if another thread were growing at the moment of the fork
        child = os.fork()
        if child == 0:
            locked = next(l for l in open("/proc/self/status") if l.startswith("VmLck")).split()[1]
            fresh = arena.acquire(1 << 20)
            good = (
                not any(slot)
                and int(locked) * 1024 >= before.locked
                and arena.status().locked == before.locked + (1 << 20)
                and arena.generation == 1
                and not any(fresh)
            )
            os._exit(0 if good else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), bytes(slot) == b"k" * 64)
        """
    )
    assert out.split() == ["0", "True"]


def test_memory_that_cannot_be_locked_is_used_with_one_clear_warning():
    """Without the right to lock, one warning names the limit, and status() counts the memory."""
    out = run_isolated(
        """
        import logging, os, resource
        from adyton.crypto import arena

        seen = []
        handler = logging.Handler()
        handler.emit = lambda record: seen.append(f"{record.name}:{record.getMessage()}")
        logging.getLogger("adyton").addHandler(handler)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 65534)  # root may lock whatever the limit says
        first, second = arena.acquire(1 << 20), arena.acquire(1 << 20)
        first[:3] = b"yes"
        print(len(seen), *arena.status()[:2], bytes(first[:3]).decode())
        print(seen[0])
        """
    )
    counts, message = out.splitlines()
    assert counts.split() == ["1", "0", str(2 << 20), "yes"]
    assert message.startswith("adyton.memory:can't lock secret memory (")
    assert "RLIMIT_MEMLOCK" in message
    assert "ulimit -l" in message


def test_hidden_memory_is_out_of_reach_of_other_processes_even_for_root():
    """What memfd_secret has given holds its bytes, and /proc/PID/mem refuses to read it."""
    out = run_isolated(
        """
        import ctypes, os
        from adyton.crypto import arena

        if not arena.use_memfd_secret():
            print("absent")
            raise SystemExit
        slot = arena.acquire(64)
        slot[:] = b"s" * 64
        address = ctypes.addressof(ctypes.c_char.from_buffer(slot))
        memory = os.open("/proc/self/mem", os.O_RDONLY)
        try:
            os.pread(memory, 64, address)
        except OSError as error:
            print(bytes(slot) == b"s" * 64, error.errno, arena.status().hidden)
        inside = False
        for line in open("/proc/self/smaps"):
            head = line.split()
            if "-" in head[0] and not head[0].endswith(":"):
                low, high = (int(part, 16) for part in head[0].split("-"))
                inside = low <= address < high
            elif inside and head[0] == "VmFlags:":
                print("dc" in head)  # a forked child gets none of it, from the first moment
        fds = len(os.listdir("/proc/self/fd"))
        held = [arena.acquire(1 << 20) for _ in range(3)]
        print(len(os.listdir("/proc/self/fd")) - fds)
        """
    )
    if out.strip() == "absent":
        pytest.skip("the kernel has no memfd_secret")
    assert out.split() == ["True", "5", str(64 * 1024), "True", "0"]


def test_a_child_has_zeros_of_its_own_where_memory_was_hidden():
    """A child neither sees nor wipes the parent's hidden memory, and can go on with its own."""
    out = run_isolated(
        """
        import os
        from adyton.crypto import arena
        from adyton.crypto.secretbytes import SecretBytes
        from adyton.errors import SecretWiped

        if not arena.use_memfd_secret():
            print("absent")
            raise SystemExit
        slot = arena.acquire(64)
        slot[:] = b"k" * 64
        secret = SecretBytes(b"parent")
        child = os.fork()
        if child == 0:
            try:
                secret.reveal()
                refused = False
            except SecretWiped:
                refused = True
            secret.wipe()
            good = refused and not any(slot) and arena.status().locked >= 64 * 1024
            slot[:] = b"c" * 64
            with SecretBytes(b"child") as own:
                good = good and own.equals(b"child")
            os._exit(0 if good else 1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, bytes(slot) == b"k" * 64, secret.equals(b"parent"))
        """
    )
    if out.strip() == "absent":
        pytest.skip("the kernel has no memfd_secret")
    assert out.split() == ["0", "True", "True"]


def test_where_the_limit_forbids_hidden_memory_ordinary_memory_is_used():
    """Over RLIMIT_MEMLOCK the arena falls back, and its slots work."""
    out = run_isolated(
        """
        import os, resource
        from adyton.crypto import arena

        arena.use_memfd_secret()
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 65534)
        slot = arena.acquire(64)
        slot[:3] = b"yes"
        print(bytes(slot[:3]).decode(), arena.status().hidden)
        """
    )
    assert out.split() == ["yes", "0"]
