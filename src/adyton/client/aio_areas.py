"""The wider areas that hang on a client by name: keys and the audit log."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from adyton.client.aio_base import AsyncClientFace
from adyton.client.requests import given, of_user, read, write
from adyton.client.shapes import (
    Checkpoint,
    Items,
    Rotated,
    Vkey,
    WireKey,
    WireRewrapped,
    WireVerified,
)
from adyton.errors import InvalidDocument, InvalidInput
from adyton.model import UserId, user_id
from adyton.values import ArchiveReport, KeyInfo, RewrapReport, VerifyReport, Watch, no_watch

KeyInfos = list[KeyInfo]


class AsyncKeys:
    """Rotation and re-wrapping of keys."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

    async def list(self) -> KeyInfos:
        """The versions of the master key and of every user's keys."""
        answer = await self._client._call(read("adyton/keys"))
        return [key.public() for key in answer.parse(Items[WireKey]).items]

    async def rotate(
        self,
        user: UserId | None = None,
        *,
        master: bool = False,
        roots: Sequence[str] = (),
        drop_absent: bool = False,
        watch: Watch = no_watch,
    ) -> int:
        """Make a new current key for one user, or for all; with ``master``, a new master key.

        Args:
            user: One user, or None for all.
            master: The master key instead.
            roots: URIs of roots of the store that are at hand for the new master key alone.
            drop_absent: Whether roots that are not at hand cease to open the store.
            watch: Not told of progress: the server tells only of the end.

        Returns:
            How many user keys were rotated, or the new version of the master key.

        Raises:
            UserNotFound: The user has no namespace.
            ServerUnavailable: The answer did not come; look at :meth:`list` before trying again.
        """
        body = given(
            user=None if user is None else user_id(user),
            master=master or None,
            roots=[{"uri": uri} for uri in roots] or None,
            drop_absent=drop_absent or None,
        )
        answer = await self._client._call(write("adyton/keys/rotate", body, patient=True))
        found = answer.parse(Rotated)
        return (found.master_version if master else found.rotated) or 0

    async def rewrap(
        self, user: UserId | None = None, *, deep: bool = False, watch: Watch = no_watch
    ) -> RewrapReport:
        """Move everything to the current keys, then destroy the older ones.

        Args:
            user: One user, or None for all.
            deep: Also re-encrypt every value under a new data key.
            watch: Not told of progress: the server tells only of the end.

        Raises:
            UserNotFound: The user has no namespace.
        """
        body = given(user=None if user is None else user_id(user), deep=deep or None)
        answer = await self._client._call(write("adyton/keys/rewrap", body, patient=True))
        return answer.parse(WireRewrapped).public()


class AsyncAudit:
    """The audit log: verification, proofs, checkpoints."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

    @property
    async def vkey(self) -> str:
        """The log's verifier key, asked of the server; keep one to check its proofs with."""
        return (await self._client._call(read("adyton/audit/vkey"))).parse(Vkey).vkey

    async def verify(
        self,
        *,
        checkpoints: Sequence[bytes | str] = (),
        archive: Path | str | None = None,
        watch: Watch = no_watch,
    ) -> VerifyReport:
        """Let the server check its whole log, and its store against it.

        A server that lies says what it likes: what it can't fake is a checkpoint that was kept,
        and proofs that are checked here.

        Args:
            checkpoints: Signed checkpoints that were kept outside the store.
            archive: Not here: archives are folders of the server's machine.
            watch: Not told of progress.

        Raises:
            AuditError: On the first lie.
            InvalidDocument: A checkpoint does not parse.
            InvalidInput: An archive is named.
        """
        if archive is not None:
            raise InvalidInput(
                "an archive is a folder of the server's machine",
                hint="Verify with an archive there, with the server stopped.",
            )
        notes = [_note(each, position) for position, each in enumerate(checkpoints, 1)]
        call = read("adyton/audit/verify", given(checkpoints=notes), method="POST", patient=True)
        return (await self._client._call(call)).parse(WireVerified).public()

    async def checkpoint(self) -> bytes:
        """A signed checkpoint of the log as it is now; keep it outside the store."""
        answer = await self._client._call(read("adyton/audit/checkpoint", method="POST"))
        return answer.parse(Checkpoint).checkpoint.encode()

    async def prove(self, index: int, *, user: UserId | None = None) -> bytes:
        """A self-contained proof of one record, to be checked offline.

        Raises:
            InvalidInput: There is no such record for this user.
        """
        leaf = quote(str(index), safe="")
        target = "adyton/audit" if user is None else of_user(user, "audit")
        return bytes((await self._client._call(read(f"{target}/{leaf}/proof"))).body)

    async def archive(self, folder: Path | str, *, keep: int = 0) -> ArchiveReport:
        """Refuse: a server's log is archived on its machine, by whoever runs it.

        Raises:
            InvalidInput: Always.
        """
        raise InvalidInput(
            "an archive is a folder of the server's machine",
            hint="Run 'adyton audit archive' there, with the server stopped.",
        )


def _note(checkpoint: bytes | str, position: int) -> str:
    if isinstance(checkpoint, str):
        return checkpoint
    try:
        return checkpoint.decode()
    except UnicodeDecodeError:
        pass
    raise InvalidDocument(f"checkpoint {position} is not UTF-8 text")
