"""Overwriting what Python says can't be changed."""

import ctypes
from typing import Final

_HEAD: Final = bytes.__basicsize__ - 1
"""Where the content of a ``bytes`` begins: behind its header, which counts a final zero."""


def wipe_bytes(data: bytes) -> None:
    """Overwrite a ``bytes`` object that nobody else has, such as a body off the network.

    For CPython. What holds the object sees zeros from now on; that is the point.
    """
    if len(data) > 1:  # shorter ones are shared by all
        ctypes.memset(id(data) + _HEAD, 0, len(data))
