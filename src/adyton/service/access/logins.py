"""Logging in: by AppRole, or by user name and password (DESIGN section 6)."""

import hashlib
import hmac
import os
import time
import uuid
from functools import partial

from msgspec.structs import replace

from adyton.actions import Action
from adyton.errors import InvalidInput, SecretNotFound
from adyton.model import Caller
from adyton.ports import Rows
from adyton.service.access import batch
from adyton.service.access.identity import entity_of_login
from adyton.service.access.passwords import Hasher, check_length
from adyton.service.access.policy import ROOT_NAME, policy_names
from adyton.service.access.records import (
    APPROLE_IDS,
    APPROLES,
    PASSWORD_USERS,
    SECRET_ACCESSORS,
    SECRET_IDS,
    AppRole,
    Bounds,
    Mount,
    PasswordUser,
    SecretId,
    Token,
    TokenRef,
)
from adyton.service.access.shaping import bounded, times_of
from adyton.service.access.spaces import DEFAULT_POLICY, has_login
from adyton.service.access.throttle import LoginThrottle
from adyton.service.access.tokens import Issued, Tokens
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from adyton.service.quota.networks import is_within
from adyton.service.stats import LoginStats
from adyton.service.userkeys import UserKeys

_SECOND_US = 1_000_000


def method_of(mount: Mount) -> str:
    """A login method as audit records name it."""
    return f"{mount.type} auth/{mount.path}"


def token_of(
    bounds: Bounds, mount: Mount, path: str, display: str, meta: dict[str, str]
) -> tuple[Token, list[str]]:
    """The token that a login gives, and what to tell of it.

    Raises:
        InvalidInput: It would be a root token, or a batch token with bounds that none can have.
    """
    policies = set(policy_names(bounds.policies))
    if ROOT_NAME in policies:
        raise InvalidInput("auth methods cannot create root tokens")
    if not bounds.no_default_policy:
        policies.add(DEFAULT_POLICY)
    times = times_of(mount)
    ends = min(filter(None, (bounds.max_ttl, bounds.explicit_max_ttl)), default=0)
    if bounds.period:
        ttl, told = bounded(bounds.period, times.longest, "period")
        ttl = min(ttl, ends or ttl)
    else:
        ttl, told = bounded(bounds.ttl or times.default, min(times.longest, ends or times.longest))
    token = Token(
        "",
        policies=sorted(policies),
        path=path,
        display_name=display,
        meta=meta,
        creation_ttl=ttl,
        explicit_max_ttl=ends,
        period=bounds.period,
        num_uses=bounds.num_uses,
        cidrs=list(bounds.cidrs),
        method=method_of(mount),
    )
    if batch.kind_of_login(bounds.type, mount) == batch.SERVICE:
        return token, told
    return batch.as_batch(token, mount.accessor), told


def secret_hash(text: str) -> str:
    """What a SecretID is kept under; it is random, so a plain hash is enough."""
    return hashlib.sha256(b"adyton.secret-id.v1\x00" + text.encode("utf-8", "replace")).hexdigest()


class Logins:
    """Operations that end in a token.

    Args:
        core: The open store.
        tokens: Makes tokens.
    """

    def __init__(self, core: Core, tokens: Tokens) -> None:
        self._core = core
        self._tokens = tokens
        self.hasher = Hasher()
        self.stats = LoginStats()
        self._throttle = LoginThrottle(time.monotonic, os.urandom(32))

    # -- AppRole --------------------------------------------------------------------------------

    async def approle(self, caller: Caller, mount: Mount, role_id: str, secret_id: str) -> Issued:
        """Log in by RoleID and SecretID; the SecretID's use is counted in the same commit.

        Raises:
            InvalidInput: Any part is wrong; one text for all causes.
        """
        core = self._core
        user = str(caller.user)
        draft = Draft(caller, Action.ACCESS_LOGIN, user_id=user, name=f"auth/{mount.path}login")

        async def work(scope: Scope) -> Issued:
            keys = await core.keys_in(scope, user)
            if keys is None:
                raise _no_role()
            keys = await core.keys_to_write(scope, caller, user, 0)
            if not await has_login(scope.tx, keys, mount):
                raise _no_role()
            name, role = await self._role_of(scope.tx, keys, mount, role_id)
            changes = ObjectChanges(scope, keys)
            meta: dict[str, str] = {}
            if role.bind_secret_id:
                meta |= await self._use(changes, scope, mount, name, secret_id, caller.address)
            # Last: whoever makes SecretIDs chooses their metadata, and policies name the role.
            meta["role_name"] = name
            if not is_within(caller.address, role.secret_id_cidrs):
                raise _no_role()
            path = f"auth/{mount.path}login"
            token, told = token_of(role.bounds, mount, path, mount.path.rstrip("/"), meta)
            token.entity = await entity_of_login(changes, scope, mount, role.role_id, meta)
            issued = self._tokens.mint(changes, token, now_us=scope.now_us)
            draft.reason = f"role {name}"
            draft.caller = replace(caller, accessor=token.accessor)
            await changes.write(draft)
            return replace(issued, warnings=told)

        with self.stats:
            return await core.write(draft, work)

    async def _role_of(
        self, rows: Rows, keys: UserKeys, mount: Mount, role_id: str
    ) -> tuple[str, AppRole]:
        ref = await APPROLE_IDS.get(rows, keys, role_id, mount.accessor)
        role = None if ref is None else await APPROLES.get(rows, keys, ref.id, mount.accessor)
        if ref is None or role is None:
            raise _no_role()
        return ref.id, role

    async def _use(
        self,
        changes: ObjectChanges,
        scope: Scope,
        mount: Mount,
        role: str,
        secret_id: str,
        address: str,
    ) -> dict[str, str]:
        folder = f"{mount.accessor}/{role}"
        ident = secret_hash(secret_id)
        found = await SECRET_IDS.get(scope.tx, changes.keys, ident, folder)
        if found is None or (found.expires_us and found.expires_us <= scope.now_us):
            raise _no_role()
        if not is_within(address, found.cidrs):
            raise _no_role()
        if found.num_uses == 1:
            changes.delete(SECRET_IDS, ident, folder)
            changes.delete(SECRET_ACCESSORS, found.accessor, folder)
        elif found.num_uses:
            found.num_uses -= 1
            changes.put(SECRET_IDS, ident, found, folder)
        return found.metadata

    async def put_role(
        self, caller: Caller, user: str, mount: Mount, name: str, role: AppRole, path: str
    ) -> None:
        """Write a role; a RoleID that is empty stays as it is, or is made.

        Raises:
            InvalidInput: Another role has the RoleID.
        """
        core = self._core
        draft = Draft(caller, Action.ACCESS_WRITE, name=path)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> None:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            changes = ObjectChanges(scope, keys)
            old = await APPROLES.get(scope.tx, keys, name, mount.accessor)
            role.role_id = role.role_id or (old.role_id if old else str(uuid.uuid4()))
            other = await APPROLE_IDS.get(scope.tx, keys, role.role_id, mount.accessor)
            if other is not None and other.id != name:
                raise InvalidInput("role_id already in use")
            if old is not None and old.role_id != role.role_id:
                changes.delete(APPROLE_IDS, old.role_id, mount.accessor)
            changes.put(APPROLE_IDS, role.role_id, TokenRef(name), mount.accessor)
            changes.put(APPROLES, name, role, mount.accessor)
            await changes.write(draft)

        await core.write(draft, work)

    async def delete_role(
        self, caller: Caller, user: str, mount: Mount, name: str, path: str
    ) -> None:
        """Remove a role with its SecretIDs; no error if there is none."""
        core = self._core
        draft = Draft(caller, Action.ACCESS_DELETE, name=path)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> None:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            changes = ObjectChanges(scope, keys)
            old = await APPROLES.get(scope.tx, keys, name, mount.accessor)
            if old is not None:
                changes.delete(APPROLES, name, mount.accessor)
                changes.delete(APPROLE_IDS, old.role_id, mount.accessor)
                folder = f"{mount.accessor}/{name}"
                for shelf in (SECRET_IDS, SECRET_ACCESSORS):
                    for ident in await shelf.all(scope.tx, keys, folder):
                        changes.delete(shelf, ident, folder)
                        if len(changes) >= ObjectChanges.MOST:
                            await changes.write(
                                Draft(caller, Action.ACCESS_DELETE, user_id=user, name=path)
                            )
            await changes.write(draft)

        await core.write(draft, work)

    async def make_secret_id(
        self,
        caller: Caller,
        user: str,
        mount: Mount,
        name: str,
        text: str,
        wanted: SecretId,
        path: str,
    ) -> SecretId:
        """Make a SecretID of a role.

        Raises:
            SecretNotFound: There is no such role.
            InvalidInput: The SecretID is in use.
        """
        core = self._core
        draft = Draft(caller, Action.ACCESS_WRITE, name=path)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> SecretId:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            role = await APPROLES.get(scope.tx, keys, name, mount.accessor)
            if role is None:
                raise SecretNotFound("there is no such role")
            folder, ident = f"{mount.accessor}/{name}", secret_hash(text)
            if await SECRET_IDS.get(scope.tx, keys, ident, folder) is not None:
                raise InvalidInput("SecretID is already registered")
            ttl = wanted.ttl or role.secret_id_ttl
            made = SecretId(
                str(uuid.uuid4()),
                scope.now_us,
                scope.now_us + ttl * _SECOND_US if ttl else 0,
                ttl,
                wanted.num_uses or role.secret_id_num_uses,
                wanted.metadata,
                wanted.cidrs,
            )
            changes = ObjectChanges(scope, keys)
            changes.put(SECRET_IDS, ident, made, folder)
            changes.put(SECRET_ACCESSORS, made.accessor, TokenRef(ident), folder)
            await changes.write(draft)
            return made

        return await core.write(draft, work)

    async def destroy_secret_id(
        self, caller: Caller, user: str, mount: Mount, name: str, ident: str, path: str
    ) -> None:
        """End a SecretID by its hash; no error if there is none."""
        core = self._core
        draft = Draft(caller, Action.ACCESS_DELETE, name=path)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> None:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            folder = f"{mount.accessor}/{name}"
            changes = ObjectChanges(scope, keys)
            found = await SECRET_IDS.get(scope.tx, keys, ident, folder)
            if found is not None:
                changes.delete(SECRET_IDS, ident, folder)
                changes.delete(SECRET_ACCESSORS, found.accessor, folder)
            await changes.write(draft)

        await core.write(draft, work)

    # -- passwords ------------------------------------------------------------------------------

    async def password(self, caller: Caller, mount: Mount, name: str, password: str) -> Issued:
        """Log in by user name and password.

        Raises:
            InvalidInput: Either is wrong; one text, and the same time, for both.
            LimitExceeded: Too many failures from there, or too many logins at once.
        """
        with self.stats:
            return await self._password(caller, mount, name, password)

    async def _password(self, caller: Caller, mount: Mount, name: str, password: str) -> Issued:
        core = self._core
        user = str(caller.user)
        draft = Draft(caller, Action.ACCESS_LOGIN, user_id=user, name=f"auth/{mount.path}login")
        who = f"{user}\x00{mount.accessor}\x00{name}"
        found: PasswordUser | None = None
        async with core.guard(draft):
            self._throttle.check(who, caller.address)
            data = password.encode("utf-8", "replace")
            check_length(data)
            keys = await core.keys(user)
            if keys is not None:
                async with core.storage.snapshot() as rows:
                    found = await PASSWORD_USERS.get(rows, keys, name, mount.accessor)
            attempt = partial(self._throttle.attempt, who, caller.address)
            if not await self.hasher.verify(data, found.password if found else None, attempt):
                raise InvalidInput("invalid username or password")

        async def work(scope: Scope) -> Issued:
            keys = await core.keys_to_write(scope, caller, user, 0)
            now = await PASSWORD_USERS.get(scope.tx, keys, name, mount.accessor)
            there = await has_login(scope.tx, keys, mount)
            if not there or not now or not found or not _same(now.password, found.password):
                raise InvalidInput("invalid username or password")
            display = f"{mount.path.rstrip('/')}-{name}"
            path = f"auth/{mount.path}login/{name}"
            token, told = token_of(now.bounds, mount, path, display, {"username": name})
            changes = ObjectChanges(scope, keys)
            token.entity = await entity_of_login(changes, scope, mount, name, {})
            issued = self._tokens.mint(changes, token, now_us=scope.now_us)
            draft.reason = f"user {name}"
            draft.caller = replace(caller, accessor=token.accessor)
            await changes.write(draft)
            return replace(issued, warnings=told)

        return await core.write(draft, work)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _no_role() -> InvalidInput:
    return InvalidInput("invalid role or secret ID")
