"""Policies are parsed once, and large ones beside the event loop.

A text of 64 KiB takes a second of a parser written in Python: on the loop, whoever may write
policies in a namespace of their own could hold up everybody.
"""

from functools import lru_cache
from typing import Final

from adyton.service.access.policy import Policy, parse_policy
from adyton.service.aside import Threads

LARGE_CHARS: Final = 2_048
"""Texts that take more than some thirty milliseconds begin here."""
_KEPT: Final = 1_024
_THREADS: Final = Threads("policies", 1, 32, "too many policies are being written", nice=10)


@lru_cache(maxsize=_KEPT)
def parsed(name: str, text: str) -> Policy:
    """A policy's rules.

    Raises:
        InvalidDocument: The text breaks a rule of the language.
    """
    return parse_policy(name, text)


async def parsed_aside(name: str, text: str) -> Policy:
    """As :func:`parsed`; a large text is parsed on a thread.

    Raises:
        InvalidDocument: The text breaks a rule of the language.
        LimitExceeded: Too many wait already.
    """
    if len(text) < LARGE_CHARS:
        return parsed(name, text)
    return await _THREADS.run(lambda: parsed(name, text))
