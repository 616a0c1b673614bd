"""The roots of trust of a server's store, for its operator.

URIs are opened by the server: paths, variables and devices are those of its machine.
"""

from adyton.client.aio_base import AsyncClientFace
from adyton.client.requests import given, once, read
from adyton.client.shapes import Items, WireRoot, WireRootAdded, WireRootTested
from adyton.crypto.secretbytes import SecretBytes
from adyton.rootvalues import RootAdded, RootInfo, RootTested

RootInfos = list[RootInfo]
AllTested = list[RootTested]


class AsyncRoots:
    """Roots: show, test, add, remove, and move from one to another while the server serves."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

    async def list(self) -> RootInfos:
        """All roots of the store, by slot."""
        answer = await self._client._call(read("adyton/roots"))
        return [root.public() for root in answer.parse(Items[WireRoot]).items]

    async def add(self, root: str, *, secret: SecretBytes | None = None) -> RootAdded:
        """Let one more root open the store.

        Args:
            root: A URI, such as ``keyfile:PATH`` or ``shamir:3/5``.
            secret: What a person is asked for, such as a passphrase or a PIN.

        Raises:
            InvalidInput: It is a root of the store already.
            RootError: It refuses or does not answer, or those at hand do.
            ServerUnavailable: The answer did not come; look at :meth:`list` before trying again.
        """
        call = once("adyton/roots", given(uri=root, secret=_text(secret)))
        return (await self._client._call(call)).parse(WireRootAdded).public()

    async def migrate(
        self, root: str, *, slot: int | None = None, secret: SecretBytes | None = None
    ) -> RootAdded:
        """Move to another root: add it, let it open what was stored, remove the old one.

        Args:
            root: As in :meth:`add`; not shares.
            slot: Of the root to remove; by default the one that opened the store.
            secret: What a person is asked for.

        Raises:
            InvalidInput: The root is the old one, or shares.
            RootError: A root refuses or does not answer; the old one stays.
            ServerUnavailable: The answer did not come; the same call again goes on.
        """
        call = once("adyton/roots/migrate", given(uri=root, slot=slot, secret=_text(secret)))
        return (await self._client._call(call)).parse(WireRootAdded).public()

    async def remove(self, slot: int) -> None:
        """Let a root not open the store any more; another one is tried first.

        Raises:
            InvalidInput: There is no such slot, or no other one.
            RootError: No other root that is at hand opens the store.
        """
        await self._client._call(once(f"adyton/roots/{slot:d}", method="DELETE"))

    async def test(
        self, root: str | None = None, *, secret: SecretBytes | None = None
    ) -> AllTested:
        """Let roots open the master key as it is stored, and measure how long that takes.

        Args:
            root: A URI; None for all that are at hand.
            secret: What a person is asked for.

        Raises:
            RootLocked: A root does not open this store.
            RootUnavailable: It does not answer.
        """
        call = once("adyton/roots/test", given(uri=root, secret=_text(secret)))
        answer = await self._client._call(call)
        return [root.public() for root in answer.parse(Items[WireRootTested]).items]


def _text(secret: SecretBytes | None) -> str | None:
    return None if secret is None else secret.text()
