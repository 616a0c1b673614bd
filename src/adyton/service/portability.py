"""Export and import of a user's secrets: whole or not at all, and recorded."""

from collections.abc import Callable, Collection
from typing import Final

from adyton.actions import Action
from adyton.errors import ImportConflict, IntegrityError, InvalidInput, ValueTooLarge
from adyton.lifecyclevalues import covers
from adyton.model import Caller, OnConflict, State, UserId, secret_name
from adyton.ports import Rows
from adyton.rows import MetaRow
from adyton.service import secretmeta, writing
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.lifecycle import plan
from adyton.service.lifecycle.held import held, places_of
from adyton.service.secretmeta import Meta
from adyton.service.sharing.ending import end_gone
from adyton.service.userkeys import UserKeys
from adyton.service.values import Item
from adyton.transfer import PortableSecret, PortableVersion
from adyton.values import ImportReport, Progress

ON_CONFLICT: Final[tuple[OnConflict, ...]] = ("fail", "skip", "replace", "new-version")
_PAGE: Final = 500
_REPORT_EVERY: Final = 2_000
_WRITE_BYTES: Final = 32 * 1024 * 1024
"""Values sealed in memory before they are written into the transaction."""


class Portability:
    """Export and import.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    # -- export ---------------------------------------------------------------------------------

    async def export(
        self,
        caller: Caller,
        user: UserId,
        compose: Callable[[list[PortableSecret]], bytes],
        *,
        prefix: str = "",
        names: Collection[str] | None = None,
        all_versions: bool = False,
        format_name: str = "bundle",
        readable: Callable[[str], bool] | None = None,
        most_bytes: int | None = None,
    ) -> bytes:
        """Open secrets and compose them into a document; released when its records are durable.

        What is not ``readable`` is left out.

        Raises:
            ValueTooLarge: The values have more than ``most_bytes`` bytes together.
        """
        core = self._core
        draft = Draft(caller, Action.SECRET_EXPORT)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            wanted = None if names is None else frozenset(secret_name(name) for name in names)
            keys = await core.keys(draft.user_id)
            found: list[PortableSecret] = []
            if keys is not None:
                async with core.storage.snapshot() as rows:
                    found = await self._collect(
                        rows, keys, prefix, wanted, all_versions, readable, most_bytes
                    )
            missing = set(wanted or ()).difference(secret.name for secret in found)
            if missing:
                raise secretmeta.not_found()
            found.sort(key=lambda secret: secret.name)
            document = compose(found)
        draft.keys = keys
        draft.reason = f"{len(found)} secrets as {format_name}"
        drafts = [draft]
        drafts += [
            Draft(
                caller, Action.SECRET_EXPORT, keys, draft.user_id, secret.name,
                secret.current.version,
            )
            for secret in found
        ]  # fmt: skip
        _wipe(found)
        await core.record(*drafts)
        return document

    async def _collect(
        self,
        rows: Rows,
        keys: UserKeys,
        prefix: str,
        wanted: frozenset[str] | None,
        all_versions: bool,
        readable: Callable[[str], bool] | None,
        most_bytes: int | None,
    ) -> list[PortableSecret]:
        now = self._core.clock.now_us()
        total = 0
        found: list[PortableSecret] = []
        after = b""
        while page := await rows.metadata_page(keys.user, after, _PAGE):
            for row in page:
                meta = secretmeta.open_meta(keys, row)
                if not meta.name.startswith(prefix) or not meta.live(now):
                    continue
                if readable is not None and not readable(meta.name):
                    continue
                if wanted is None or meta.name in wanted:
                    total += sum(
                        entry.size
                        for entry in meta.versions
                        if all_versions or entry.version == meta.current
                    )
                    if most_bytes is not None and total > most_bytes:
                        raise writing.too_much(most_bytes)
                    found.append(await self._portable(rows, keys, row, meta, all_versions))
            after = page[-1].name
        return found

    async def _portable(
        self,
        rows: Rows,
        keys: UserKeys,
        row: MetaRow,
        meta: Meta,
        all_versions: bool,
    ) -> PortableSecret:
        whole = await rows.secret(keys.user, row.name)
        if whole is None:
            raise writing.missing_value()
        places = {whole.current: (whole.key_version, whole.wrapped_key, whole.value)}
        chosen = [entry for entry in meta.versions if all_versions or entry.version == meta.current]
        if all_versions:
            for older in await rows.versions(keys.user, row.name):
                places[older.version] = (older.key_version, older.wrapped_key, older.value)
        versions = []
        for entry in chosen:
            value = None
            over = entry.gone(self._core.clock.now_us())
            if entry.state != State.DESTROYED:
                place = places.get(entry.version, (0, None, None))
                with writing.open_checked(keys, row.name, entry, *place) as secret:
                    value = bytearray(secret.writable())
            versions.append(
                PortableVersion(
                    entry.version,
                    entry.created_us,
                    entry.created_by,
                    # Bundles tell states, and no times of deletion.
                    State.DELETED if over and value is not None else State(entry.state),
                    entry.content_type,
                    value,
                )
            )
        return PortableSecret(
            meta.name,
            tuple(meta.tags),
            meta.attributes,
            meta.expires_us,
            meta.max_versions,
            meta.created_us,
            meta.updated_us,
            meta.rotation,
            tuple(versions),
        )

    # -- import ---------------------------------------------------------------------------------

    async def import_(
        self,
        caller: Caller,
        user: UserId,
        secrets: list[PortableSecret],
        *,
        on_conflict: OnConflict,
        dry_run: bool,
        watch: Callable[[Progress], None],
    ) -> ImportReport:
        """Write the secrets of a document in one transaction; their values are wiped after it."""
        core = self._core
        draft = Draft(caller, Action.SECRET_IMPORT)
        async with core.guard(draft):
            draft.user_id = user_id = core.authorise(caller, user)
            if on_conflict not in ON_CONFLICT:
                raise InvalidInput(
                    "on_conflict is none of " + ", ".join(ON_CONFLICT), hint="Give one of these."
                )
            self._check(secrets)
            if dry_run:
                report = await self._preview(user_id, secrets, on_conflict)
        if dry_run:
            draft.reason = report.summary()
            await core.record(draft)
            return report

        async def work(scope: Scope) -> ImportReport:
            wraps = sum(len(secret.versions) for secret in secrets)
            keys = await core.keys_to_write(scope, caller, user_id, wraps)
            report = await self._write(scope, caller, keys, secrets, on_conflict, watch)
            scope.record(
                Draft(caller, Action.SECRET_IMPORT, keys, user_id, reason=report.summary())
            )
            return report

        try:
            return await core.write(draft, work)
        finally:
            _wipe(secrets)

    def _check(self, secrets: list[PortableSecret]) -> None:
        limit = self._core.limits.max_value_bytes
        seen = set()
        for position, secret in enumerate(secrets, 1):
            if secret.name in seen:
                raise InvalidInput(f"secret {position} of the import has a name that came before")
            seen.add(secret.name)
            for version in secret.versions:
                if version.value is not None and len(version.value) > limit:
                    raise ValueTooLarge(
                        f"secret {position} of the import has a value of {len(version.value)}"
                        f" bytes, more than the limit of {limit}"
                    )
            if secret.current.value is None:
                raise InvalidInput(
                    f"the current version of secret {position} of the import is destroyed"
                )

    async def _preview(
        self, user_id: str, secrets: list[PortableSecret], on_conflict: OnConflict
    ) -> ImportReport:
        core = self._core
        keys = await core.keys(user_id)
        old: set[str] = set()
        if keys is not None:
            async with core.storage.snapshot() as rows:
                places = await places_of(rows, keys) if on_conflict == "replace" else ()
                for secret in secrets:
                    if await rows.metadata(keys.user, keys.index(secret.name)) is not None:
                        old.add(secret.name)
                        if any(covers(where, secret.name) for where in places):
                            raise held()
        return _report([s.name for s in secrets], old, on_conflict, dry_run=True)

    async def _write(
        self,
        scope: Scope,
        caller: Caller,
        keys: UserKeys,
        secrets: list[PortableSecret],
        on_conflict: OnConflict,
        watch: Callable[[Progress], None],
    ) -> ImportReport:
        tx = scope.tx
        batch = writing.Batch(self._core, scope, caller, keys)
        present = await tx.names(keys.user)
        sealed = 0
        old: set[str] = set()
        for position, secret in enumerate(secrets, 1):
            index = keys.index(secret.name)
            if index in present:
                old.add(secret.name)
                if on_conflict == "replace":
                    await self._core.holds.check(scope, keys, secret.name)
                    await tx.delete_secret(keys.user, index)
                    await plan.forget(self._core, scope, keys, index)
                elif on_conflict == "new-version":
                    await self._new_version(batch, secret)
                    continue
                else:
                    continue
            sealed += await batch.put_whole(index, secret)
            if sealed >= _WRITE_BYTES:
                await batch.write()
                sealed = 0
            if position % _REPORT_EVERY == 0:
                watch(Progress("import", position, len(secrets)))
        report = _report([s.name for s in secrets], old, on_conflict, dry_run=False)
        await batch.write()
        if report.replaced:  # a version of the number is another one now
            await end_gone(self._core, scope, caller, keys, old, ("version",))
        return report

    @staticmethod
    async def _new_version(batch: writing.Batch, secret: PortableSecret) -> None:
        current = secret.current
        if current.value is None:
            raise IntegrityError("an import has a current version without a value")
        await batch.add(
            Item(
                secret.name,
                current.value,
                current.content_type,
                tags=secret.tags,
                attributes=secret.attributes,
                expires_us=secret.expires_us,
                keep_expiry=False,
                max_versions=secret.max_versions or None,
            ),
            Action.SECRET_IMPORT,
        )


def _report(
    names: list[str], old: set[str], on_conflict: OnConflict, *, dry_run: bool
) -> ImportReport:
    """Sort names by what becomes of them.

    Raises:
        ImportConflict: Some exist, and the import was told to fail on that.
    """
    created = tuple(name for name in names if name not in old)
    clashing = tuple(name for name in names if name in old)
    if clashing and on_conflict == "fail" and not dry_run:
        raise ImportConflict(
            f"{len(clashing)} of {len(names)} names exist already; nothing was imported",
            hint="Preview with --dry-run; choose skip, replace or new-version for on_conflict.",
        )
    return ImportReport(
        created,
        clashing if on_conflict == "replace" else (),
        clashing if on_conflict == "new-version" else (),
        clashing if on_conflict in {"skip", "fail"} else (),
        dry_run,
    )


def _wipe(secrets: list[PortableSecret]) -> None:
    """Overwrite the values that are still ours to overwrite."""
    for secret in secrets:
        for version in secret.versions:
            if isinstance(version.value, bytearray):
                version.value[:] = bytes(len(version.value))
