"""Shares on their way to becoming a key, entered one at a time by several people."""

from collections.abc import Sequence

from adyton.crypto import shares
from adyton.crypto.secretbytes import SecretBytes
from adyton.crypto.shares import Share, ShareSet
from adyton.errors import InvalidInput


class Gathering:
    """Keeps the shares entered so far, of one or more sets that open the same.

    Only a share that its set holds is kept, so that nobody without one can change anything here,
    and what is kept is bounded by the sets.

    Args:
        sets: The sets whose shares are wanted.
    """

    def __init__(self, sets: Sequence[ShareSet]) -> None:
        self._sets = {known.set_id: known for known in sets}
        self._entered: dict[bytes, dict[int, Share]] = {known.set_id: {} for known in sets}

    def __repr__(self) -> str:
        return "<Gathering>"

    def enter(self, share: Share) -> ShareSet:
        """Keep a share; it is the gathering's from then on. Returns its set.

        Raises:
            InvalidInput: It is of another set, wrong, or here already; it is wiped.
        """
        try:
            return self._checked(share)
        except InvalidInput:
            share.wipe()
            raise

    def _checked(self, share: Share) -> ShareSet:
        known = self._sets.get(share.set_id)
        if known is None:
            raise InvalidInput(
                "the share is of another set: of another store, or from before the last rekey",
                hint="Look for the shares that were handed out last for this store.",
            )
        if not known.holds(share):
            raise InvalidInput(
                f"share {share.point} is wrong: it is not the one that was handed out",
                hint="Enter the share as it was handed out, or another one.",
            )
        entered = self._entered[share.set_id]
        if share.point in entered:
            raise InvalidInput(
                f"share {share.point} has been entered already", hint="Enter another one."
            )
        entered[share.point] = share
        return known

    def progress(self, known: ShareSet) -> int:
        """How many shares of a set are here."""
        return len(self._entered[known.set_id])

    def points(self, known: ShareSet) -> list[int]:
        """The numbers of the shares of a set that are here."""
        return sorted(self._entered[known.set_id])

    def complete(self, known: ShareSet) -> bool:
        """Whether the shares of a set suffice."""
        return self.progress(known) >= known.threshold

    def key(self, known: ShareSet) -> SecretBytes:
        """The key that the shares of a set make; the caller wipes it."""
        return shares.combine(list(self._entered[known.set_id].values()))

    def take_back(self, known: ShareSet, point: int) -> None:
        """Wipe one share."""
        share = self._entered[known.set_id].pop(point, None)
        if share is not None:
            share.wipe()

    def wipe(self) -> None:
        """Wipe all shares."""
        for entered in self._entered.values():
            for share in entered.values():
                share.wipe()
            entered.clear()
