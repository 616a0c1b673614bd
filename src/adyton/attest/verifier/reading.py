"""Reads bytes of strangers in order, and says when they end too early or too late."""

from typing import Literal

from adyton.errors import AttestationError


def malformed(what: str) -> AttestationError:
    """Bytes break their format."""
    return AttestationError(f"the evidence is malformed: {what}", rule="malformed")


class Reader:
    """Reads from the front of bytes.

    Args:
        data: The bytes.
        order: Of the bytes in numbers.
        what: What they are, for errors.
    """

    def __init__(self, data: bytes, order: Literal["big", "little"], what: str) -> None:
        self._data = data
        self._at = 0
        self._order = order
        self._what = what

    def take(self, size: int) -> bytes:
        """The next bytes.

        Raises:
            AttestationError: There are fewer.
        """
        end = self._at + size
        if end > len(self._data):
            raise malformed(f"{self._what} is cut short")
        found = self._data[self._at : end]
        self._at = end
        return found

    def number(self, size: int) -> int:
        """The next bytes as a number."""
        return int.from_bytes(self.take(size), self._order)

    def sized(self) -> bytes:
        """Bytes behind their length of 16 bits."""
        return self.take(self.number(2))

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._at

    def end(self) -> None:
        """Nothing may be left.

        Raises:
            AttestationError: Something is.
        """
        if self.left:
            raise malformed(f"{self._what} has bytes left over")
