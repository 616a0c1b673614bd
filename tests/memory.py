"""Reading another process's memory, from outside: a scan from inside finds its own buffers."""

from collections import Counter


def regions(pid, wanted):
    """How often each of the wanted byte strings is in another process's memory, by region."""
    found = {}
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, permissions, _, _, _, *name = line.split(maxsplit=5)
            name = name[0].strip() if name else "anonymous"
            if "r" not in permissions or name in {"[vvar]", "[vsyscall]"}:
                continue
            name = "heap" if name == "[heap]" else name
            start, end = (int(part, 16) for part in span.split("-"))
            try:
                memory.seek(start)
                data = memory.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue
            for canary in wanted:
                if count := data.count(canary):
                    found.setdefault(canary, Counter())[name] += count
    return found


def scan(pid, wanted):
    """Which of the wanted byte strings are in another process's memory."""
    return set(regions(pid, wanted))
