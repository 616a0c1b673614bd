"""The library, for asynchronous callers.

``sync.py`` beside it is generated from this file by ``scripts/generate_sync.py``: the two faces
have the same names, and everything behind them is written once.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from adyton.actions import Action
from adyton.errors import AccessDenied, StoreClosed
from adyton.library import arguments
from adyton.library.aio_rooms import AsyncRooms
from adyton.library.aio_user import AsyncUserStore
from adyton.model import AuditEntry, Caller, OnConflict, SecretMetadata, UserId, Value
from adyton.service.auditlog import AuditLog
from adyton.service.purging import Purging
from adyton.values import (
    Format,
    Health,
    ImportReport,
    Secret,
    SecretPage,
    UserInfo,
    Watch,
    no_watch,
)

UNSET = msgspec.UNSET


class AsyncSecretStore(AsyncRooms):
    """One open store. Safe to use from any number of tasks; close it, or use ``async with``.

    Every method records what was asked and by whom, and returns only when that record is
    durable. What a caller may not see raises :class:`SecretNotFound`, exactly as if absent.
    """

    def acting_as(self, caller: Caller) -> "AsyncSecretStore":
        """The same store for another identity; closing either closes both.

        Raises:
            AccessDenied: There is no identity, or this one is bound to a user and that one is
                not bound to the same.
            StoreClosed: The store has been closed.
        """
        if self._opened.closed:
            raise StoreClosed("the store has been closed")
        if not isinstance(caller, Caller):
            raise AccessDenied("an operation needs a caller", hint="Give an adyton.Caller.")
        bound, member = self._caller.user, self._caller.member
        if bound not in (None, caller.user) or member not in ("", caller.member):
            raise AccessDenied("an identity that is bound to a user can't become another's")
        return AsyncSecretStore(self._opened, caller)

    def user(self, user: UserId) -> "AsyncUserStore":
        """A view bound to one user: it can't reach anybody else's secrets."""
        return AsyncUserStore(self, user)

    async def health(self) -> Health:
        """The state of the storage, root, log and keys, for an operator."""
        return await self._run(self._users.health(self._caller))

    async def users(self) -> list[UserInfo]:
        """All namespaces of the store, for an operator."""
        return await self._run(self._users.list_users(self._caller))

    # -- secrets --------------------------------------------------------------------------------

    async def get_secret(self, user: UserId, name: str, *, version: int | None = None) -> Secret:
        """Open a secret: its current version, or the one named.

        Use the result in a ``with`` block; the value is wiped when the block ends.

        Raises:
            SecretNotFound: It is absent, deleted, destroyed, expired or another user's.
            InvalidName: The name breaks a rule.
            IntegrityError: What is stored was changed.
            AuditUnavailable: The record could not be made durable, so nothing is released.
        """
        return await self._run(self._secrets.get(self._caller, user, name, version))

    async def get_secrets(self, user: UserId, names: Iterable[str]) -> dict[str, Secret]:
        """Open several secrets in one commit; names that don't exist are left out.

        Raises:
            InvalidName: A name breaks a rule.
            LimitExceeded: There are too many.
            IntegrityError: What is stored was changed.
            AuditUnavailable: The records could not be made durable, so nothing is released.
        """
        return await self._run(self._secrets.get_many(self._caller, user, names))

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
            StorageFull: The disk is full; nothing was written.
        """
        item = await self._checked(
            Action.SECRET_SET,
            user,
            lambda: arguments.item(
                self._opened.core.limits,
                name,
                value,
                tags=tags,
                attributes=attributes,
                expires_at=expires_at,
                max_versions=max_versions,
                content_type=content_type,
                cas=cas,
            ),
        )
        return await self._run(self._secrets.set(self._caller, user, item))

    async def set_secrets(
        self, user: UserId, values: Mapping[str, Value], *, tags: Iterable[str] | None = None
    ) -> list[SecretMetadata]:
        """Write several secrets in one transaction and one commit: all or none.

        Raises:
            InvalidInput: A name, tag or value breaks a rule.
            LimitExceeded: There are too many.
            StorageFull: The disk is full; nothing was written.
        """
        items = await self._checked(
            Action.SECRET_SET,
            user,
            lambda: arguments.items(self._opened.core.limits, values, tags),
        )
        return await self._run(self._secrets.set_many(self._caller, user, items))

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
        chosen = await self._checked(
            Action.SECRET_DELETE, user, lambda: arguments.versions(versions)
        )
        return await self._run(self._directory.delete(self._caller, user, name, chosen, cas=cas))

    async def undelete_secret(
        self, user: UserId, name: str, *, versions: Iterable[int] | None = None
    ) -> SecretMetadata:
        """Make deleted versions live again, the current one by default.

        Raises:
            SecretNotFound: The secret or a version is absent.
        """
        chosen = await self._checked(
            Action.SECRET_UNDELETE, user, lambda: arguments.versions(versions)
        )
        return await self._run(self._directory.undelete(self._caller, user, name, chosen))

    async def destroy_secret(
        self, user: UserId, name: str, *, versions: Iterable[int] | None = None
    ) -> None:
        """Erase versions for good; without ``versions``, the secret with its name and history.

        Raises:
            SecretNotFound: The secret or a version is absent.
        """
        chosen = await self._checked(
            Action.SECRET_DESTROY, user, lambda: arguments.versions(versions)
        )
        await self._run(self._directory.destroy(self._caller, user, name, chosen))

    async def rollback_secret(
        self, user: UserId, name: str, version: int, *, cas: int | None = None
    ) -> SecretMetadata:
        """Write an older version's value as a new version.

        Raises:
            SecretNotFound: The secret is absent, or that version is not live.
            VersionConflict: The secret is not at the version ``cas``.
        """
        return await self._run(self._secrets.rollback(self._caller, user, name, version, cas=cas))

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
            cursor: Where to begin, from an earlier page.
            include_deleted: Also secrets whose current version can't be read.

        Raises:
            InvalidInput: The limit, a tag or the cursor is malformed.
        """
        return await self._run(
            self._directory.list_secrets(
                self._caller, user, prefix=prefix, tags=tags, limit=limit, cursor=cursor,
                include_deleted=include_deleted,
            )
        )  # fmt: skip

    async def get_secret_metadata(self, user: UserId, name: str) -> SecretMetadata:
        """Everything about a secret but its values.

        Raises:
            SecretNotFound: It is absent.
        """
        return await self._run(self._directory.metadata(self._caller, user, name))

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
        changes = await self._checked(
            Action.SECRET_TAGS, user, lambda: arguments.tag_changes(tags, add, remove)
        )
        return await self._run(
            self._directory.update(self._caller, user, name, changes, Action.SECRET_TAGS, cas=cas)
        )

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
        changes = await self._checked(
            Action.SECRET_UPDATE,
            user,
            lambda: arguments.metadata_changes(attributes, expires_at, max_versions, rotation),
        )
        return await self._run(
            self._directory.update(self._caller, user, name, changes, Action.SECRET_UPDATE, cas=cas)
        )

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
            AccessDenied: All records were asked for by a caller bound to one user.
        """
        wanted = arguments.audit_filter(name, action, success)
        return await self._run(
            AuditLog(self._opened.core).entries(
                self._caller, user, limit=limit, below=below, wanted=wanted
            )
        )

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
        compose = await self._checked(
            Action.SECRET_EXPORT,
            user,
            lambda: arguments.composer(
                format, recipients, passphrase, prefix, all_versions=all_versions
            ),
        )
        return await self._run(
            self._portability.export(
                self._caller, user, compose, prefix=prefix, names=names,
                all_versions=all_versions, format_name=format,
            )
        )  # fmt: skip

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
            watch: Told of progress.

        Raises:
            InvalidDocument: It is damaged, malformed or hostile, or no identity opens it.
            ImportConflict: Names exist, and ``on_conflict`` is ``fail``.
            InvalidInput: A name or value breaks a rule.
        """
        parse = await self._checked(
            Action.SECRET_IMPORT,
            user,
            lambda: arguments.parser(
                self._opened.core.limits,
                data,
                format,
                identities,
                passphrase,
                prefix,
                flatten=flatten,
            ),
        )
        found = await self._parsed(user, parse)
        return await self._run(
            self._portability.import_(
                self._caller, user, found, on_conflict=on_conflict, dry_run=dry_run, watch=watch
            )
        )

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
        """Import from a live KV v2 mount of HashiCorp Vault or OpenBao.

        Args:
            user: Into whose namespace.
            address: The server's URL.
            token: A token that may list and read there.
            mount: The mount's path, such as ``secret``.
            path: Only below this path.
            namespace: Vault namespace.
            ca_file: Certificates to trust, as a PEM file.
            all_versions: The whole history.
            prefix: Put before each name.
            on_conflict: What to do with names that exist.
            dry_run: Only tell what would happen.
            watch: Told of progress.

        Raises:
            InvalidDocument: The server's answers are malformed, or too large.
            ConfigurationError: The server can't be reached, or refuses.
            ImportConflict: Names exist, and ``on_conflict`` is ``fail``.
        """
        parse = arguments.vault_parser(
            self._opened.core.limits, address, token, mount, path, namespace, ca_file, prefix,
            watch, all_versions=all_versions,
        )  # fmt: skip
        found = await self._parsed(user, parse)
        return await self._run(
            self._portability.import_(
                self._caller, user, found, on_conflict=on_conflict, dry_run=dry_run, watch=watch
            )
        )

    async def purge_user(self, user: UserId) -> int:
        """Destroy a user's keys and secrets for good; returns how many secrets went.

        The user's audit records stay in the log, and can't be opened any more.

        Raises:
            UserNotFound: The user has no namespace.
        """
        return await self._run(Purging(self._opened.core).purge(self._caller, user))
