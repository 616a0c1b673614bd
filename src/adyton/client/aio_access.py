"""Logging in, tokens, policies, state: what goes by Vault's API, and has no twin in a store."""

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from adyton.client.aio_alerts import AsyncAlerts
from adyton.client.aio_areas import AsyncAudit, AsyncKeys
from adyton.client.aio_base import AsyncClientFace
from adyton.client.aio_dynamic import AsyncDynamic
from adyton.client.aio_grants import AsyncAccess
from adyton.client.aio_holds import AsyncHolds
from adyton.client.aio_lifecycle import AsyncLifecycle
from adyton.client.aio_links import AsyncLinks
from adyton.client.aio_members import AsyncMembers
from adyton.client.aio_notices import AsyncNotices, AsyncWebhooks
from adyton.client.aio_quotas import AsyncQuotas
from adyton.client.aio_reports import AsyncReports
from adyton.client.aio_roots import AsyncRoots
from adyton.client.aio_rotation import AsyncRotation
from adyton.client.aio_seal import AsyncSealing
from adyton.client.aio_shares import AsyncShares
from adyton.client.aio_userroots import AsyncUserRoots
from adyton.client.payloads import MAX_PAGE
from adyton.client.requests import given, once, query, read
from adyton.client.results import Grant, ServerStatus, TokenInfo
from adyton.client.settings import Token
from adyton.client.shapes import Page, WireHealth, WireUser
from adyton.client.vault_shapes import (
    AuthAnswer,
    KeysAnswer,
    LookupAnswer,
    PolicyAnswer,
    SealStatus,
)
from adyton.errors import AccessDenied, InvalidInput, SecretNotFound
from adyton.values import Health, UserInfo

Names = list[str]


class AsyncTokens:
    """Tokens of the client's namespace."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

    async def create(
        self,
        *,
        policies: Iterable[str] = (),
        ttl: str | int | None = None,
        max_ttl: str | int | None = None,
        period: str | int | None = None,
        uses: int | None = None,
        name: str | None = None,
        metadata: Mapping[str, str] | None = None,
        renewable: bool = True,
        orphan: bool = False,
        default_policy: bool = True,
        batch: bool = False,
    ) -> Grant:
        """Make a token from the client's own; it ends with that, unless it is an orphan.

        Args:
            policies: What it may do, by name; none for the same as its maker.
            ttl: How long it lasts, in seconds or as in ``1h``.
            max_ttl: How long it lasts at the most, however often it is renewed.
            period: Lasts as long as it is renewed this often.
            uses: How often it can be used; None for any number.
            name: What it is called in records.
            metadata: What to note with it.
            renewable: Whether it can be renewed.
            orphan: Whether it outlives its maker.
            default_policy: Whether it has the policy ``default`` too.
            batch: Whether it is a batch token: nothing is stored of it, and it can't be renewed
                or revoked by itself.

        Raises:
            AccessDenied: The client's token may not, or may not give these policies.
            InvalidInput: Something is malformed.
        """
        body = given(
            policies=list(policies) or None,
            ttl=ttl,
            explicit_max_ttl=max_ttl,
            period=period,
            num_uses=uses,
            display_name=name,
            meta=None if metadata is None else dict(metadata),
            renewable=renewable,
            no_parent=orphan or None,
            no_default_policy=None if default_policy else True,
            type="batch" if batch else None,
        )
        answer = await self._client._call(once("auth/token/create", body))
        return answer.parse(AuthAnswer).auth.grant()

    async def lookup(self, token: str | None = None, *, accessor: str | None = None) -> TokenInfo:
        """What is known of a token: the client's own, or one named by its text or accessor.

        Raises:
            AccessDenied: There is no such token, or the client's may not ask.
        """
        if token is not None:
            call = once("auth/token/lookup", {"token": token})
        elif accessor is not None:
            call = once("auth/token/lookup-accessor", {"accessor": accessor})
        else:
            call = read("auth/token/lookup-self")
        return (await self._client._call(call)).parse(LookupAnswer).data.info()

    async def renew(
        self,
        token: str | None = None,
        *,
        accessor: str | None = None,
        increment: str | int | None = None,
    ) -> Grant:
        """Make a token last longer: the client's own, or one named by its text or accessor.

        Raises:
            AccessDenied: There is no such token, or the client's may not renew it.
            InvalidInput: It can't be renewed.
        """
        more = given(increment=increment)
        if token is not None:
            call = once("auth/token/renew", more | {"token": token})
        elif accessor is not None:
            call = once("auth/token/renew-accessor", more | {"accessor": accessor})
        else:
            call = once("auth/token/renew-self", more)
        auth = (await self._client._call(call)).parse(AuthAnswer).auth
        if token is None and accessor is None:
            self._client._lease.learn(auth.lease_duration, renewable=auth.renewable)
        return auth.grant()

    async def revoke(self, token: str | None = None, *, accessor: str | None = None) -> None:
        """End a token, and all that were made from it: one named by its text or accessor.

        Raises:
            InvalidInput: None was named; ``logout`` ends the client's own.
            AccessDenied: The client's token may not revoke it.
        """
        if token is not None:
            call = once("auth/token/revoke", {"token": token})
        elif accessor is not None:
            call = once("auth/token/revoke-accessor", {"accessor": accessor})
        else:
            raise InvalidInput("no token is named", hint="Give a token or an accessor.")
        await self._client._call(call)


class AsyncPolicies:
    """Policies of the client's namespace."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

    async def list(self) -> Names:
        """Their names."""
        answer = await self._client._call(read("sys/policies/acl?list=true"))
        return answer.parse(KeysAnswer).data.keys

    async def read(self, name: str) -> str:
        """A policy's text.

        Raises:
            SecretNotFound: There is no such policy.
        """
        try:
            answer = await self._client._call(read(_policy(name)))
        except SecretNotFound:
            pass
        else:
            return answer.parse(PolicyAnswer).data.policy
        raise SecretNotFound("there is no such policy", hint="List them with 'adyton policy list'.")

    async def write(self, name: str, policy: str) -> None:
        """Write a policy, in HCL or JSON; what is allowed changes at once.

        Raises:
            InvalidInput: It does not parse, or the name is reserved.
        """
        await self._client._call(once(_policy(name), {"policy": policy}, safe=True))

    async def delete(self, name: str) -> None:
        """Delete a policy; tokens keep its name, which allows nothing any more."""
        await self._client._call(once(_policy(name), method="DELETE", safe=True))


class AsyncSessions(AsyncClientFace):
    """A client that can log in and out, and asks about the whole server."""

    @property
    def keys(self) -> AsyncKeys:
        """Rotation and re-wrapping of keys."""
        return AsyncKeys(self)

    @property
    def quotas(self) -> AsyncQuotas:
        """What each user may store."""
        return AsyncQuotas(self)

    @property
    def shares(self) -> AsyncShares:
        """Sharing with other users."""
        return AsyncShares(self)

    @property
    def links(self) -> AsyncLinks:
        """One-time links."""
        return AsyncLinks(self)

    @property
    def user_roots(self) -> AsyncUserRoots:
        """Roots that users hold themselves."""
        return AsyncUserRoots(self)

    @property
    def rotation(self) -> AsyncRotation:
        """Rotation of secrets by policies."""
        return AsyncRotation(self)

    @property
    def notices(self) -> AsyncNotices:
        """What users are told of."""
        return AsyncNotices(self)

    @property
    def alerts(self) -> AsyncAlerts:
        """How unusual reads are looked for."""
        return AsyncAlerts(self)

    @property
    def webhooks(self) -> AsyncWebhooks:
        """Where that is sent to."""
        return AsyncWebhooks(self)

    @property
    def holds(self) -> AsyncHolds:
        """Legal holds."""
        return AsyncHolds(self)

    @property
    def lifecycle(self) -> AsyncLifecycle:
        """Notices of what ends, and the retention of what was deleted."""
        return AsyncLifecycle(self)

    @property
    def members(self) -> AsyncMembers:
        """Members of a namespace, and roles."""
        return AsyncMembers(self)

    @property
    def access(self) -> AsyncAccess:
        """What members may do, and why."""
        return AsyncAccess(self)

    @property
    def dynamic(self) -> AsyncDynamic:
        """Credentials that are made on request, and end with their lease."""
        return AsyncDynamic(self)

    @property
    def reports(self) -> AsyncReports:
        """Reports on secrets, their use and their keys."""
        return AsyncReports(self)

    @property
    def audit(self) -> AsyncAudit:
        """The audit log."""
        return AsyncAudit(self)

    @property
    def tokens(self) -> AsyncTokens:
        """Tokens of the client's namespace."""
        return AsyncTokens(self)

    @property
    def policies(self) -> AsyncPolicies:
        """Policies of the client's namespace."""
        return AsyncPolicies(self)

    @property
    def roots(self) -> AsyncRoots:
        """The roots of trust that open the server's store."""
        return AsyncRoots(self)

    @property
    def sealing(self) -> AsyncSealing:
        """Sealing and opening the server, and changing its shares."""
        return AsyncSealing(self)

    async def login_userpass(self, user: str, password: str, *, mount: str = "userpass") -> Grant:
        """Log in by name and password; the token is used from now on.

        Args:
            user: The name.
            password: The password.
            mount: Where the method is enabled.

        Raises:
            AccessDenied: The name or the password is wrong, or there were too many failures.
            LimitExceeded: The server asks to wait.
        """
        path = f"auth/{_path(mount)}/login/{quote(user, safe='')}"
        return await self._login(path, {"password": password})

    async def login_approle(
        self, role_id: str, secret_id: str = "", *, mount: str = "approle"
    ) -> Grant:
        """Log in as a machine, by RoleID and SecretID; the token is used from now on.

        Raises:
            AccessDenied: One of them is wrong.
            LimitExceeded: The server asks to wait.
        """
        body = {"role_id": role_id, "secret_id": secret_id}
        return await self._login(f"auth/{_path(mount)}/login", body)

    async def logout(self) -> None:
        """Revoke the client's token, and all that were made from it.

        Raises:
            AccessDenied: The server does not know it any more.
        """
        await self._send(once("auth/token/revoke-self", {}))
        self._use("")

    async def status(self) -> ServerStatus:
        """The server's state; needs no token."""
        found = (await self._send(read("sys/seal-status"))).parse(SealStatus)
        return ServerStatus(
            self.address, found.version, found.initialized, found.sealed, found.type, found.t,
            found.progress,
        )  # fmt: skip

    async def health(self) -> Health:
        """The state of the storage, root, log and keys, for an operator."""
        return (await self._call(read("adyton/health/store"))).parse(WireHealth).public()

    async def users(self) -> list[UserInfo]:
        """All namespaces of the store, for an operator."""
        found: list[UserInfo] = []
        cursor: str | None = ""
        while cursor is not None:
            call = read("adyton/users" + query(limit=MAX_PAGE, cursor=cursor))
            page = (await self._call(call)).parse(Page[WireUser])
            found += [user.public() for user in page.items]
            cursor = page.next_cursor
        return found

    async def _login(self, path: str, body: Mapping[str, object]) -> Grant:
        try:
            answer = await self._send(once(path, body), Token(""))
        except (InvalidInput, SecretNotFound) as error:
            # Vault's API answers both with "bad request".
            refusal = AccessDenied(error.message, hint="Check the name, and what proves it.")
        else:
            grant = answer.parse(AuthAnswer).auth.grant()
            self._use(grant.token)
            self._lease.learn(grant.ttl, renewable=grant.renewable)
            return grant
        raise refusal


def _policy(name: str) -> str:
    return f"sys/policies/acl/{quote(name, safe='')}"


def _path(mount: str) -> str:
    return "/".join(quote(segment, safe="") for segment in mount.strip("/").split("/"))
