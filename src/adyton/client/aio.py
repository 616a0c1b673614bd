"""A client of a server, for asynchronous callers.

``sync.py`` beside it is generated from this file by ``scripts/generate_faces.py``. Names and
arguments are those of the embedded store, so that a program can change from one to the other.
"""

import asyncio
import base64
import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from adyton.client.aio_access import AsyncSessions
from adyton.client.aio_user import AsyncUserClient
from adyton.client.payloads import (
    MAX_PAGE,
    changes,
    exclusive,
    fetched,
    item,
    names_of,
    readdressed,
    tags_of,
)
from adyton.client.requests import given, of_secret, of_user, query, read, write
from adyton.client.shapes import (
    Count,
    Document,
    Items,
    Page,
    WireMetadata,
    metadata_of,
    report_of,
    secret_of,
    secrets_of,
)
from adyton.errors import InvalidInput, LimitExceeded
from adyton.model import AuditEntry, OnConflict, SecretMetadata, UserId, Value, check_versions
from adyton.values import (
    Format,
    ImportReport,
    Secret,
    SecretPage,
    Watch,
    check_format,
    no_watch,
)

UNSET = msgspec.UNSET


class AsyncClient(AsyncSessions):
    """A server's store. Safe to use from any number of tasks; close it, or use ``async with``.

    What a method raises is what the embedded store raises, and :class:`ServerUnavailable` where
    the server can't be reached. Reads are repeated after passing failures; so are writes, under a
    key by which the server does each once.
    """

    def user(self, user: UserId) -> "AsyncUserClient":
        """A view of one user's secrets, with the same methods without their first argument."""
        return AsyncUserClient(self, user)

    @property
    def me(self) -> "AsyncUserClient":
        """A view of the namespace that the token belongs to."""
        return AsyncUserClient(self, "me")

    # -- secrets --------------------------------------------------------------------------------

    async def get_secret(self, user: UserId, name: str, *, version: int | None = None) -> Secret:
        """Open a secret: its current version, or the one named.

        Use the result in a ``with`` block; the value is wiped when the block ends.

        Raises:
            SecretNotFound: It is absent, deleted, destroyed, expired or not the token's to see.
            AccessDenied: No policy of the token allows it.
            InvalidName: The name breaks a rule.
        """
        target = of_secret(user, "secrets", name) + query(version=version, encoding="base64")
        return secret_of(await self._call(read(target)))

    async def get_secrets(self, user: UserId, names: Iterable[str]) -> dict[str, Secret]:
        """Open several secrets, a thousand in one commit; names that don't exist are left out.

        Raises:
            AccessDenied: One of them is denied: then all are.
            InvalidName: A name breaks a rule.
            ValueTooLarge: A thousand of them are too large together.
        """
        wanted = names_of(dict.fromkeys(names))
        found: dict[str, Secret] = {}
        try:
            for start in range(0, len(wanted), MAX_PAGE):
                body = {"names": wanted[start : start + MAX_PAGE], "encoding": "base64"}
                answer = await self._call(read(of_user(user, "batch/read"), body, method="POST"))
                found |= {secret.name: secret for secret in secrets_of(answer)}
        except BaseException:
            for secret in found.values():
                secret.wipe()
            raise
        return found

    async def set_secret(
        self,
        user: UserId,
        name: str,
        value: Value,
        *,
        tags: Iterable[str] | None = None,
        attributes: Mapping[str, str] | None = None,
        expires_at: dt.datetime | None | msgspec.UnsetType = UNSET,
        max_versions: int | None = None,
        content_type: str | None = None,
        cas: int | None = None,
    ) -> SecretMetadata:
        """Write a new version of a secret.

        Args:
            user: Whose secret.
            name: Its name.
            value: Bytes, text, or a mapping that is stored as canonical JSON.
            tags: Replace the tags; None keeps them.
            attributes: Replace the attributes; None keeps them.
            expires_at: When it expires, None for never; left out, it stays as it is.
            max_versions: How many versions to keep.
            content_type: Media type; by default that of the value's kind.
            cas: Check-and-set: write only if this is the current version; 0 if there is none.

        Raises:
            VersionConflict: The secret is not at the version ``cas``.
            InvalidInput: A name, tag, attribute or value breaks a rule.
            StorageFull: The server's disk is full; nothing was written.
        """
        target = of_secret(user, "secrets", name)
        body = item(value, tags, attributes, expires_at, max_versions, content_type)
        call = write(target, body, method="PUT", cas=cas)
        return metadata_of(await self._call(call))

    async def set_secrets(
        self, user: UserId, values: Mapping[str, Value], *, tags: Iterable[str] | None = None
    ) -> list[SecretMetadata]:
        """Write several secrets in one transaction and one commit: all or none.

        Raises:
            InvalidInput: A name, tag or value breaks a rule.
            LimitExceeded: There are too many.
            StorageFull: The server's disk is full; nothing was written.
        """
        tags = None if tags is None else tags_of(tags)
        names = names_of(values)
        if not names:
            return []
        if len(names) > MAX_PAGE:
            raise LimitExceeded(
                f"{len(names)} secrets at once are more than {MAX_PAGE}",
                hint="Import a document: that is one transaction too.",
            )
        items = [{"name": name} | item(values[name], tags) for name in names]
        answer = await self._call(write(of_user(user, "batch/write"), {"items": items}))
        return [found.public() for found in answer.parse(Items[WireMetadata]).items]

    async def delete_secret(
        self,
        user: UserId,
        name: str,
        *,
        versions: Iterable[int] | None = None,
        cas: int | None = None,
    ) -> SecretMetadata:
        """Mark versions deleted, the current one by default; ``undelete_secret`` undoes it.

        Raises:
            SecretNotFound: The secret or a version is absent.
            VersionConflict: The secret is not at the version ``cas``.
        """
        chosen = check_versions(versions)
        target = of_secret(user, "secrets", name) + query(versions=chosen)
        return metadata_of(await self._call(write(target, method="DELETE", cas=cas)))

    async def undelete_secret(
        self, user: UserId, name: str, *, versions: Iterable[int] | None = None
    ) -> SecretMetadata:
        """Make deleted versions live again, the current one by default.

        Raises:
            SecretNotFound: The secret or a version is absent.
        """
        body = given(versions=check_versions(versions))
        return metadata_of(await self._call(write(of_secret(user, "undelete", name), body)))

    async def destroy_secret(
        self, user: UserId, name: str, *, versions: Iterable[int] | None = None
    ) -> None:
        """Erase versions for good; without ``versions``, the secret with its name and history.

        Raises:
            SecretNotFound: The secret or a version is absent.
        """
        body = {"versions": check_versions(versions)}
        await self._call(write(of_secret(user, "destroy", name), body))

    async def rollback_secret(
        self, user: UserId, name: str, version: int, *, cas: int | None = None
    ) -> SecretMetadata:
        """Write an older version's value as a new version.

        Raises:
            SecretNotFound: The secret is absent, or that version is not live.
            VersionConflict: The secret is not at the version ``cas``.
        """
        call = write(of_secret(user, "rollback", name), {"version": version}, cas=cas)
        return metadata_of(await self._call(call))

    async def list_secrets(
        self,
        user: UserId,
        *,
        prefix: str = "",
        tags: Iterable[str] = (),
        limit: int | None = None,
        cursor: str | None = None,
        include_deleted: bool = False,
    ) -> SecretPage:
        """Metadata of a user's secrets, in order of their names.

        Args:
            user: Whose secrets.
            prefix: Only names that begin so.
            tags: Only secrets that have all of these tags.
            limit: How many at the most; the page's ``cursor`` leads to the next.
            cursor: Where to begin, from an earlier page of the same listing.
            include_deleted: Also secrets whose current version can't be read.

        Raises:
            InvalidInput: The limit, a tag or the cursor is malformed.
        """
        wanted = tags_of(tags)
        if limit is not None and limit < 1:
            raise InvalidInput(f"the limit is {limit}", hint="Give 1 or more, or none.")
        found: list[SecretMetadata] = []
        while True:
            left = MAX_PAGE if limit is None else min(limit - len(found), MAX_PAGE)
            target = of_user(user, "secrets") + query(
                prefix=prefix, tag=wanted, limit=left, cursor=cursor,
                include_deleted=include_deleted,
            )  # fmt: skip
            page = (await self._call(read(target))).parse(Page[WireMetadata])
            found += [secret.public() for secret in page.items]
            cursor = page.next_cursor
            if cursor is None or (limit is not None and len(found) >= limit):
                return SecretPage(tuple(found), cursor)

    async def get_secret_metadata(self, user: UserId, name: str) -> SecretMetadata:
        """Everything about a secret but its values.

        Raises:
            SecretNotFound: It is absent.
        """
        return metadata_of(await self._call(read(of_secret(user, "metadata", name))))

    async def update_secret_tags(
        self,
        user: UserId,
        name: str,
        tags: Iterable[str] | None = None,
        *,
        add: Iterable[str] = (),
        remove: Iterable[str] = (),
        cas: int | None = None,
    ) -> SecretMetadata:
        """Replace a secret's tags, or add and remove some.

        Raises:
            SecretNotFound: The secret is absent.
            VersionConflict: The secret is not at the version ``cas``.
            InvalidInput: A tag breaks a rule.
        """
        added, removed = tags_of(add), tags_of(remove)
        body: dict[str, object] = {"add": added, "remove": removed}
        if tags is not None:
            body = {"set": tags_of({*tags_of(tags), *added}.difference(removed))}
        call = write(of_secret(user, "tags", name), body, method="PATCH", cas=cas)
        return metadata_of(await self._call(call))

    async def update_secret_metadata(
        self,
        user: UserId,
        name: str,
        *,
        attributes: Mapping[str, str] | msgspec.UnsetType = UNSET,
        expires_at: dt.datetime | None | msgspec.UnsetType = UNSET,
        max_versions: int | msgspec.UnsetType = UNSET,
        rotation: Mapping[str, str] | msgspec.UnsetType = UNSET,
        cas: int | None = None,
    ) -> SecretMetadata:
        """Change attributes, expiry, kept versions or rotation policy; what is left out stays.

        Raises:
            SecretNotFound: The secret is absent.
            VersionConflict: The secret is not at the version ``cas``.
            InvalidInput: A value breaks a rule.
        """
        body = changes(attributes, expires_at, max_versions, rotation)
        call = write(of_secret(user, "metadata", name), body, method="PATCH", cas=cas)
        return metadata_of(await self._call(call))

    # -- audit log, export, import, purge -------------------------------------------------------

    async def get_audit_log(
        self,
        user: UserId | None = None,
        *,
        limit: int = 100,
        below: int | None = None,
        name: str | None = None,
        action: str | None = None,
        success: bool | None = None,
    ) -> list[AuditEntry]:
        """Audit records, newest first: one user's, or for an operator the whole store's.

        Args:
            user: Whose records; None for all.
            limit: How many at the most.
            below: Only records with a leaf index below this one, to page on.
            name: Only records about this secret.
            action: Only records of this action.
            success: Only successes, or only failures.

        Raises:
            AccessDenied: No policy of the token allows it.
        """
        if limit < 1:
            raise InvalidInput(f"the limit is {limit}", hint="Give 1 or more.")
        target = "adyton/audit" if user is None else of_user(user, "audit")
        found: list[AuditEntry] = []
        cursor: str | None = ""
        while cursor is not None and len(found) < limit:
            parameters = query(
                name=name, action=action, success=None if success is None else str(success).lower(),
                below=below, limit=min(limit - len(found), MAX_PAGE), cursor=cursor,
            )  # fmt: skip
            page = (await self._call(read(target + parameters))).parse(Page[AuditEntry])
            found += page.items
            cursor = page.next_cursor
        return found

    async def export_secrets(
        self,
        user: UserId,
        *,
        recipients: Sequence[str] | None = None,
        passphrase: str | None = None,
        format: Format = "bundle",
        prefix: str = "",
        names: Collection[str] | None = None,
        all_versions: bool = False,
    ) -> bytes:
        """Export live secrets: an age file for the recipients or under the passphrase.

        The passphrase stays here: the server encrypts for a key that is used once.

        Args:
            user: Whose secrets.
            recipients: ``age1...``, ``ssh-ed25519 ...`` or ``ssh-rsa ...``.
            passphrase: Instead of recipients.
            format: ``bundle``, or ``dotenv``, ``json`` or ``yaml``, which are not encrypted.
            prefix: Only names that begin so.
            names: Only these.
            all_versions: The whole history, for bundles.

        Raises:
            SecretNotFound: One of ``names`` is absent.
            InvalidInput: A recipient is malformed, or the format can't hold a value.
        """
        once = exclusive(format, recipients, passphrase)
        body = given(
            format=format,
            recipients=recipients if once is None else [once.recipient],
            prefix=prefix or None,
            names=None if names is None else names_of(names),
            all_versions=all_versions or None,
        )
        call = read(of_user(user, "export"), body, method="POST", patient=True)
        document = (await self._call(call)).parse(Document).data
        if once is None:
            return document
        return await asyncio.to_thread(once.close_under, document, passphrase)

    async def import_secrets(
        self,
        user: UserId,
        data: bytes,
        *,
        identities: Sequence[str] | None = None,
        passphrase: str | None = None,
        format: Format = "bundle",
        prefix: str = "",
        flatten: bool = False,
        on_conflict: OnConflict = "fail",
        dry_run: bool = False,
        watch: Watch = no_watch,
    ) -> ImportReport:
        """Import a document: checked whole, then written in one transaction, or not at all.

        Identities and passphrases stay here: the bundle is opened, and closed again for a key
        that is used once, and that the server gets.

        Args:
            user: Into whose namespace.
            data: The document.
            identities: ``AGE-SECRET-KEY-1...`` or the text of an OpenSSH private key.
            passphrase: Instead of identities.
            format: ``bundle``, ``dotenv``, ``json`` or ``yaml``.
            prefix: Put before each name.
            flatten: Make folders of the objects in a JSON or YAML document.
            on_conflict: What to do with names that exist.
            dry_run: Only tell what would happen.
            watch: Not told of progress: the server tells only of the end.

        Raises:
            InvalidDocument: It is damaged, malformed or hostile, or no identity opens it.
            ImportConflict: Names exist, and ``on_conflict`` is ``fail``.
            InvalidInput: A name or value breaks a rule.
        """
        check_format(format)
        keys = None
        if format == "bundle":
            data, keys = await asyncio.to_thread(readdressed, data, identities, passphrase)
        body = given(
            format=format,
            data=base64.b64encode(data).decode(),
            identities=keys,
            prefix=prefix or None,
            flatten=flatten or None,
            on_conflict=on_conflict,
            dry_run=dry_run or None,
        )
        return report_of(await self._call(write(of_user(user, "import"), body, patient=True)))

    async def import_from_vault(
        self,
        user: UserId,
        address: str,
        token: str,
        mount: str,
        *,
        path: str = "",
        namespace: str | None = None,
        ca_file: str | None = None,
        all_versions: bool = False,
        prefix: str = "",
        on_conflict: OnConflict = "fail",
        dry_run: bool = False,
        watch: Watch = no_watch,
    ) -> ImportReport:
        """Import from a live KV v2 mount of HashiCorp Vault or OpenBao, which is read from here.

        Args:
            user: Into whose namespace.
            address: That server's URL.
            token: A token that may list and read there.
            mount: The mount's path, such as ``secret``.
            path: Only below this path.
            namespace: Vault namespace.
            ca_file: Certificates to trust, as a PEM file.
            all_versions: The whole history.
            prefix: Put before each name.
            on_conflict: What to do with names that exist.
            dry_run: Only tell what would happen.
            watch: Told how many secrets were read.

        Raises:
            InvalidDocument: That server's answers are malformed, or too large.
            ConfigurationError: That server can't be reached, or refuses.
            ImportConflict: Names exist, and ``on_conflict`` is ``fail``.
        """
        bundle, identity = await asyncio.to_thread(
            fetched, address, token, mount, path, namespace, ca_file, watch,
            all_versions=all_versions,
        )  # fmt: skip
        return await self.import_secrets(
            user, bundle, identities=[identity], prefix=prefix, on_conflict=on_conflict,
            dry_run=dry_run,
        )  # fmt: skip

    async def purge_user(self, user: UserId) -> int:
        """Destroy a user's keys and secrets for good; returns how many secrets went.

        The user's audit records stay in the log, and can't be opened any more.

        Raises:
            UserNotFound: The user has no namespace.
        """
        call = write(of_user(user), method="DELETE", patient=True)
        return (await self._call(call)).parse(Count).secrets
