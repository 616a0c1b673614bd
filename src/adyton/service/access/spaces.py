"""What is known of a namespace to decide on a request: its mounts and policies.

A space never changes; a change of mounts or policies makes a new one, and whoever holds the old
one sees that by identity.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from adyton.actions import Action
from adyton.errors import IntegrityError, InvalidDocument, InvalidInput, UserRootAway
from adyton.model import Caller
from adyton.ports import Rows
from adyton.service.access.acl import Acl
from adyton.service.access.mounts import first_table, whole_table
from adyton.service.access.parsing import parsed, parsed_aside
from adyton.service.access.policy import ROOT, ROOT_NAME, Policy
from adyton.service.access.records import MOUNTS, POLICIES, Mount, MountTable, PolicyText
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from adyton.service.userkeys import UserKeys

OPERATOR_SPACE: Final = "root"
"""The operator's own namespace."""
DEFAULT_POLICY: Final = "default"
MAX_POLICY_BYTES: Final = 256 * 1024
TABLE: Final = "table"
_LIMIT: Final = 10_000
_RIGHTS: Final = 1_000
"""Sets of policies whose rights are kept for one namespace."""

DEFAULT_POLICY_TEXT: Final = """\
# Allow tokens to look up their own properties
path "auth/token/lookup-self" { capabilities = ["read"] }
# Allow tokens to renew themselves
path "auth/token/renew-self" { capabilities = ["update"] }
# Allow tokens to revoke themselves
path "auth/token/revoke-self" { capabilities = ["update"] }
# Allow a token to look up its own capabilities on a path
path "sys/capabilities-self" { capabilities = ["update"] }
# Allow a token to renew a lease
path "sys/renew" { capabilities = ["update"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/leases/lookup" { capabilities = ["update"] }
# Allow a token to manage its own cubbyhole
path "cubbyhole/*" { capabilities = ["create", "read", "update", "delete", "list"] }
# Allow a token to wrap arbitrary values in a response-wrapping token
path "sys/wrapping/wrap" { capabilities = ["update"] }
path "sys/wrapping/lookup" { capabilities = ["update"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }
# Allow general purpose tools
path "sys/tools/hash" { capabilities = ["update"] }
path "sys/tools/hash/*" { capabilities = ["update"] }
"""

# The same as JSON: the grammar of HCL takes seconds to load, and not every store needs it.
_DEFAULT_JSON: Final = """{"path": {
  "auth/token/lookup-self": {"capabilities": ["read"]},
  "auth/token/renew-self": {"capabilities": ["update"]},
  "auth/token/revoke-self": {"capabilities": ["update"]},
  "sys/capabilities-self": {"capabilities": ["update"]},
  "sys/renew": {"capabilities": ["update"]},
  "sys/leases/renew": {"capabilities": ["update"]},
  "sys/leases/lookup": {"capabilities": ["update"]},
  "cubbyhole/*": {"capabilities": ["create", "read", "update", "delete", "list"]},
  "sys/wrapping/wrap": {"capabilities": ["update"]},
  "sys/wrapping/lookup": {"capabilities": ["update"]},
  "sys/wrapping/unwrap": {"capabilities": ["update"]},
  "sys/tools/hash": {"capabilities": ["update"]},
  "sys/tools/hash/*": {"capabilities": ["update"]}
}}"""


class Rights(NamedTuple):
    """What some policies allow together.

    Attributes:
        acl: Decides.
        decisions: What was decided lately, by path and operation: as in records, or empty.
    """

    acl: Acl
    decisions: dict[tuple[str, int], str]


class Space:
    """A namespace's mounts and policies at one moment.

    Attributes:
        user: The user id.
        table: Its mounts.
        away: Whether the real ones can't be opened, as the user's own root is away.
    """

    __slots__ = ("_ordered", "_rights", "_texts", "away", "parsed", "table", "user")

    def __init__(
        self, user: str, table: MountTable, texts: dict[str, PolicyText], *, away: bool = False
    ) -> None:
        self.user = user
        self.away = away
        self.table = table
        self._texts = texts
        self._rights: dict[tuple[object, ...], Rights] = {}
        self.parsed: dict[str, Policy] = {}
        # The longest path is the one that was meant.
        self._ordered = sorted(
            [(mount.path, mount) for mount in table.engines]
            + [(f"auth/{mount.path}", mount) for mount in table.logins],
            key=lambda pair: -len(pair[0]),
        )

    def method_at(self, path: str) -> str:
        """The login method of a token that was made before tokens kept it."""
        place = self.mount_at(path)
        return f"{place[1].type} {place[0]}" if place is not None else ""

    def mount_at(self, path: str) -> tuple[str, Mount] | None:
        """The mount that serves a path, with its own whole path."""
        for prefix, mount in self._ordered:
            if path.startswith(prefix) or path + "/" == prefix:
                return prefix, mount
        return None

    def policy_names(self) -> list[str]:
        """Names of all policies, sorted."""
        return sorted({*self._texts, DEFAULT_POLICY, ROOT_NAME})

    def policy_text(self, name: str) -> str | None:
        """A policy's text; empty for ``root``, None if there is none of that name."""
        if name == ROOT_NAME:
            return ""
        found = self._texts.get(name)
        if found is not None:
            return found.text
        return DEFAULT_POLICY_TEXT if name == DEFAULT_POLICY else None

    def rights(self, names: list[str], values: Mapping[str, str]) -> Rights:
        """What policies allow together; one that does not exist allows nothing.

        All tokens of the same policies share it: there may be very many of them.
        """
        policies = [found for found in map(self.policy, names) if found is not None]
        templated = any("{{" in rule.pattern for policy in policies for rule in policy.rules)
        key = (*names, "", *sorted(values.items())) if templated else tuple(names)
        found = self._rights.get(key)
        if found is None:
            if len(self._rights) >= _RIGHTS:
                self._rights.clear()
            found = self._rights[key] = Rights(Acl(policies, values), {})
        return found

    def policy(self, name: str) -> Policy | None:
        """A policy's rules; None if there is none of that name."""
        if name == ROOT_NAME:
            return ROOT
        found = self.parsed.get(name)
        if found is None:
            text = self._texts.get(name)
            if text is None and name != DEFAULT_POLICY:
                return None
            found = parsed(name, _DEFAULT_JSON if text is None else text.text)
            self.parsed[name] = found
        return found


async def has_login(rows: Rows, keys: UserKeys, mount: Mount) -> bool:
    """Whether a login method is where it was: asked in the unit of a login, which may be late."""
    table = await MOUNTS.get(rows, keys, TABLE)
    return table is not None and any(
        (there.accessor, there.path) == (mount.accessor, mount.path) for there in table.logins
    )


async def login_at(rows: Rows, keys: UserKeys, path: str) -> Mount | None:
    """The login method that a token of a path came from; None for one that was never changed."""
    table = await MOUNTS.get(rows, keys, TABLE)
    there = () if table is None else table.logins
    return next((mount for mount in there if path.startswith(f"auth/{mount.path}")), None)


class Spaces:
    """All namespaces' mounts and policies, kept in memory and changed here.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._spaces: dict[str, Space] = {}
        self._generation = 0
        self._lock = threading.Lock()
        core.on_purge.append(self.forget)  # and with it the sessions of the user's tokens
        core.on_purge.append(lambda _: parsed.cache_clear())  # texts of policies name paths
        core.books.on_change.append(self.forget)

    def cached(self, user: str) -> Space | None:
        """A namespace's present space if it is in memory."""
        return self._spaces.get(user)

    async def get(self, user: str) -> Space:
        """A namespace's present space; one without keys has what every new one has."""
        found = self._spaces.get(user)
        if found is not None:
            return found
        generation = self._generation
        try:
            keys = await self._core.keys(user)
        except UserRootAway:
            # Shown to all as an empty one: whoever has no rights in it is not to learn of it.
            return Space(user, first_table(self._core, user), {}, away=True)
        table, texts = None, {}
        if keys is not None:
            async with self._core.storage.snapshot() as rows:
                table = await MOUNTS.get(rows, keys, TABLE)
                texts = await POLICIES.all(rows, keys)
            with suppress(IntegrityError):  # then members are refused, and the owner is not
                await self._core.books.get(user)
        made = Space(user, whole_table(self._core, user, table), texts)
        with self._lock:
            # Names that strangers make up are not kept: they would push out those in use.
            if generation == self._generation and (keys is not None or user == OPERATOR_SPACE):
                if len(self._spaces) >= _LIMIT:
                    self._spaces.clear()
                self._spaces[user] = made
        return made

    def forget(self, user: str) -> None:
        """Load a namespace anew when it is asked for next."""
        with self._lock:
            self._generation += 1
            self._spaces.pop(user, None)

    async def change_mounts(
        self, caller: Caller, user: str, path: str, change: Callable[[MountTable], None]
    ) -> None:
        """Change a namespace's mounts.

        Args:
            caller: Who asks.
            user: Whose namespace.
            path: What is asked for, for the record.
            change: Changes the table, or raises.
        """
        core = self._core
        draft = Draft(caller, Action.ACCESS_WRITE, name=path)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> None:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            table = whole_table(core, user, await MOUNTS.get(scope.tx, keys, TABLE))
            change(table)
            changes = ObjectChanges(scope, keys)
            changes.put(MOUNTS, TABLE, table)
            scope.after_commit(lambda: self.forget(user))
            await changes.write(draft)

        await core.write(draft, work)

    async def put_policy(self, caller: Caller, user: str, name: str, text: str) -> None:
        """Write a policy; tokens that have it obey at once.

        Raises:
            InvalidDocument: The text breaks a rule of the language.
            InvalidInput: The name is reserved, or the text too long.
        """
        core = self._core
        draft = Draft(caller, Action.ACCESS_WRITE, name=f"sys/policies/acl/{name}")
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            if name == ROOT_NAME:
                raise InvalidInput('cannot update "root" policy')
            if not text:
                raise InvalidInput("'policy' parameter not supplied or empty")
            if len(text.encode("utf-8", "replace")) > MAX_POLICY_BYTES:
                raise InvalidInput(f"the policy has more than {MAX_POLICY_BYTES} bytes")
            try:
                await parsed_aside(name, text)
            except InvalidDocument as error:
                raise InvalidInput(
                    f"failed to parse policy: {error.message}", hint=error.hint
                ) from None
        await self._policy_unit(caller, draft, name, PolicyText(text))

    async def delete_policy(self, caller: Caller, user: str, name: str) -> None:
        """Remove a policy; what it allowed is refused at once. No error if there is none.

        Raises:
            InvalidInput: The policy can't be removed.
        """
        core = self._core
        draft = Draft(caller, Action.ACCESS_DELETE, name=f"sys/policies/acl/{name}")
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            if name in {ROOT_NAME, DEFAULT_POLICY}:
                shown = f'"{name}"' if name == ROOT_NAME else name
                raise InvalidInput(f"cannot delete {shown} policy")
        await self._policy_unit(caller, draft, name, None)

    async def _policy_unit(
        self, caller: Caller, draft: Draft, name: str, text: PolicyText | None
    ) -> None:
        core = self._core

        async def work(scope: Scope) -> None:
            keys: UserKeys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            changes = ObjectChanges(scope, keys)
            if text is not None:
                changes.put(POLICIES, name, text)
            elif await POLICIES.get(scope.tx, keys, name) is not None:
                changes.delete(POLICIES, name)
            scope.after_commit(lambda: self.forget(draft.user_id))
            await changes.write(draft)

        await core.write(draft, work)
