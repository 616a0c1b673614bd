"""Sealing a server, opening it by shares, and changing the shares: by Vault's API."""

from adyton.client.aio_base import AsyncClientFace
from adyton.client.requests import once
from adyton.client.results import Rekeying, Unsealing
from adyton.client.vault_shapes import RekeyAnswer, SealStatus


class AsyncSealing:
    """The keys above all namespaces, for an operator and for holders of shares."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

    async def seal(self) -> None:
        """Seal the server: its keys leave its memory, and it answers nothing but its state.

        Raises:
            AccessDenied: The client's token may not.
        """
        await self._client._send(once("sys/seal", method="PUT"))

    async def unseal(self, share: str) -> Unsealing:
        """Enter one share at a sealed server; needs no token.

        Raises:
            InvalidInput: It is wrong, of another set, or was entered before.
            LimitExceeded: Too many wrong ones came from here.
        """
        call = once("sys/unseal", {"key": share}, method="PUT")
        found = (await self._client._send(call)).parse(SealStatus)
        return Unsealing(found.sealed, found.progress, found.t, found.n)

    async def take_back(self) -> Unsealing:
        """Take back the shares that were entered from here; those of others stay."""
        call = once("sys/unseal", {"reset": True}, method="PUT")
        found = (await self._client._send(call)).parse(SealStatus)
        return Unsealing(found.sealed, found.progress, found.t, found.n)

    async def begin_rekey(self, threshold: int, shares: int) -> Rekeying:
        """Begin to change the shares.

        Args:
            threshold: How many of the new ones will be needed.
            shares: How many there will be.

        Raises:
            AccessDenied: The client's token may not.
            InvalidInput: The numbers make no sense, or a change is under way.
        """
        body = {"secret_shares": shares, "secret_threshold": threshold}
        answer = await self._client._send(once("sys/rekey/init", body, method="PUT"))
        return answer.parse(RekeyAnswer).public()

    async def rekey(self, nonce: str, share: str) -> Rekeying:
        """Enter one of the present shares; with enough of them the new ones are told.

        Raises:
            AccessDenied: The client's token may not.
            InvalidInput: The share is wrong, of another set, or was entered before.
        """
        call = once("sys/rekey/update", {"nonce": nonce, "key": share}, method="PUT")
        return (await self._client._send(call)).parse(RekeyAnswer).public()

    async def cancel_rekey(self) -> None:
        """End a change of shares; the present ones stay. No error if there is none.

        Raises:
            AccessDenied: The client's token may not.
        """
        await self._client._send(once("sys/rekey/init", method="DELETE"))
