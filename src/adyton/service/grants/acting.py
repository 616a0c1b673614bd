"""The operations on secrets for a caller that acts for a member, in an embedded store.

Each asks for its right first, and goes on as the caller that a grant allows. All that is not in
here refuses such callers (``Core.authorise``).
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from adyton.actions import Action
from adyton.errors import AccessDenied, AdytonError
from adyton.grantvalues import EVERYTHING
from adyton.model import Caller, SecretMetadata, UserId, secret_name, user_id
from adyton.service.core import Core
from adyton.service.directory import Changes, Directory
from adyton.service.grants.book import Book
from adyton.service.grants.conditions import Facts
from adyton.service.grants.permits import Actor, Permit, Spend, SpendEach
from adyton.service.grants.targets import Target
from adyton.service.journal import Draft
from adyton.service.secretmeta import not_found
from adyton.service.secrets import Secrets
from adyton.service.values import Item
from adyton.values import Secret, SecretPage


class Acting:
    """Decides for callers that act for a member.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def _found(self, caller: Caller, user: UserId) -> tuple[Book, Actor]:
        canonical = user_id(user)
        if not caller.member or caller.user != canonical:
            raise not_found()
        book = await self._core.books.get(canonical)
        known = book.members.get(caller.member)
        if known is None:
            raise not_found()
        return book, Actor(caller.member, known.id)

    async def permit(
        self, caller: Caller, user: UserId, action: Action, target: Target, *, once: bool = True
    ) -> Caller:
        """The caller that a grant makes of one that acts for a member.

        Args:
            caller: Who asks.
            user: The owner.
            action: What is refused, for the record.
            target: What is asked for.
            once: Whether it is one thing, that may be counted or approved.

        Raises:
            SecretNotFound: The member has no right there at all.
            AccessDenied: It has another one.
        """
        draft = Draft(caller, action, name=target.name)
        async with self._core.guard(draft):
            draft.user_id = user_id(user) if caller.user == user_id(user) else ""
            return await self._permit(caller, user, target, once=once)

    async def _permit(self, caller: Caller, user: UserId, target: Target, *, once: bool) -> Caller:
        book, actor = await self._found(caller, user)
        facts = Facts(caller.address, self._core.clock.now_us())
        verdict = book.judge(actor.name, target.rights, target.name, facts, whole=target.whole)
        rule = "" if verdict.spending and not (once and target.once) else verdict.rule
        if target.partly and target.rights:
            rule = book.touched(actor.name, target.rights, target.name, facts)
        if not target.rights:
            rule = "member"
        if verdict.denied or not rule:
            if book.knows(actor.name, target.name, facts):
                raise AccessDenied("permission denied")
            raise not_found()
        spend = Spend(self._core, str(caller.user), actor, target, caller.address)
        decision = str(Permit(rule, actor.name, spend))
        made = msgspec.structs.replace(caller, member="", decision=decision, spend=spend)
        spend.caller = made
        return made

    async def permit_each(
        self, caller: Caller, user: UserId, action: Action, right: str, names: Iterable[str]
    ) -> Caller:
        """As :meth:`permit`, for several secrets: all, or none; nothing that is counted."""
        made = msgspec.structs.replace(caller, member="")
        spends = []
        for name in names:
            target = Target((right,), secret_name(name))
            made = await self.permit(caller, user, action, target, once=False)
            if isinstance(made.spend, Spend):
                spends.append(made.spend)
        return msgspec.structs.replace(made, spend=SpendEach(spends))

    async def visible(self, caller: Caller, user: UserId) -> Callable[[str], bool]:
        """Which secrets a member sees in lists."""
        book, actor = await self._found(caller, user)
        facts = Facts(caller.address, self._core.clock.now_us())

        def sees(name: str) -> bool:
            found = book.judge(actor.name, ("list",), name, facts)
            return found.allowed and not found.spending

        return sees


async def as_member(core: Core, caller: Caller, user: UserId) -> Caller:
    """The caller of what being a member is enough for; who acts for nobody stays as it is."""
    if not caller.member:
        return caller
    target = Target((), EVERYTHING, partly=True)
    return await Acting(core).permit(caller, user, Action.REQUEST_READ, target)


class MemberSecrets(Secrets):
    """Values, for callers that act for a member."""

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._acting = Acting(core)

    async def get(
        self, caller: Caller, user: UserId, name: str, version: int | None = None
    ) -> Secret:
        """Open one version of a secret."""
        target = Target(("read",), await self._checked(caller, Action.SECRET_GET, name))
        made = await self._acting.permit(caller, user, Action.SECRET_GET, target)
        return await super().get(made, user, name, version)

    async def _checked(self, caller: Caller, action: Action, name: str) -> str:
        try:
            return secret_name(name)
        except AdytonError as error:
            raise await self._core.refuse(Draft(caller, action), error) from None

    async def get_many(
        self,
        caller: Caller,
        user: UserId,
        names: Iterable[str],
        *,
        most_bytes: int | None = None,
    ) -> dict[str, Secret]:
        """Open the current versions of several secrets."""
        wanted = [await self._checked(caller, Action.SECRET_GET, name) for name in names]
        made = await self._acting.permit_each(caller, user, Action.SECRET_GET, "read", wanted)
        return await super().get_many(made, user, wanted, most_bytes=most_bytes)

    async def set_many(
        self, caller: Caller, user: UserId, items: Sequence[Item]
    ) -> list[SecretMetadata]:
        """Write new versions of several secrets."""
        names = [await self._checked(caller, Action.SECRET_SET, item.name) for item in items]
        if len(names) == 1:
            target = Target(("write",), names[0])
            made = await self._acting.permit(caller, user, Action.SECRET_SET, target)
        else:
            made = await self._acting.permit_each(caller, user, Action.SECRET_SET, "write", names)
        return await super().set_many(made, user, items)

    async def rollback(
        self, caller: Caller, user: UserId, name: str, version: int, *, cas: int | None = None
    ) -> SecretMetadata:
        """Write an older version's value as a new version."""
        target = Target(("write",), await self._checked(caller, Action.SECRET_ROLLBACK, name))
        made = await self._acting.permit(caller, user, Action.SECRET_ROLLBACK, target)
        return await super().rollback(made, user, name, version, cas=cas)


class MemberDirectory(Directory):
    """Metadata and states of versions, for callers that act for a member."""

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._acting = Acting(core)

    async def _permit(
        self, caller: Caller, user: UserId, action: Action, right: str, name: str
    ) -> Caller:
        try:
            target = Target((right,), secret_name(name))
        except AdytonError as error:
            raise await self._core.refuse(Draft(caller, action), error) from None
        return await self._acting.permit(caller, user, action, target)

    async def metadata(self, caller: Caller, user: UserId, name: str) -> SecretMetadata:
        """Everything but the values."""
        action = Action.SECRET_METADATA
        made = await self._permit(caller, user, action, "read-metadata", name)
        return await super().metadata(made, user, name)

    async def list_secrets(
        self,
        caller: Caller,
        user: UserId,
        *,
        prefix: str = "",
        tags: Iterable[str] = (),
        limit: int | None = None,
        cursor: str | None = None,
        include_deleted: bool = False,
        visible: Callable[[str], bool] | None = None,
    ) -> SecretPage:
        """Metadata of the secrets that the member sees."""
        target = Target(("list",), prefix[: prefix.rfind("/") + 1] or EVERYTHING, partly=True)
        made = await self._acting.permit(caller, user, Action.SECRET_LIST, target)
        sees = await self._acting.visible(caller, user)
        return await super().list_secrets(
            made, user, prefix=prefix, tags=tags, limit=limit, cursor=cursor,
            include_deleted=include_deleted,
            visible=lambda name: sees(name) and (visible is None or visible(name)),
        )  # fmt: skip

    async def folder(
        self,
        caller: Caller,
        user: UserId,
        prefix: str,
        visible: Callable[[str], bool] | None = None,
    ) -> list[str]:
        """What lies in a folder, of what the member sees."""
        target = Target(("list",), prefix or EVERYTHING, partly=True)
        made = await self._acting.permit(caller, user, Action.SECRET_LIST, target)
        sees = await self._acting.visible(caller, user)
        return await super().folder(
            made, user, prefix, lambda name: sees(name) and (visible is None or visible(name))
        )

    async def delete(
        self,
        caller: Caller,
        user: UserId,
        name: str,
        versions: Sequence[int] | None,
        *,
        lenient: bool = False,
        cas: int | None = None,
    ) -> SecretMetadata:
        """Mark versions deleted."""
        made = await self._permit(caller, user, Action.SECRET_DELETE, "delete", name)
        return await super().delete(made, user, name, versions, lenient=lenient, cas=cas)

    async def undelete(
        self,
        caller: Caller,
        user: UserId,
        name: str,
        versions: Sequence[int] | None,
        *,
        lenient: bool = False,
    ) -> SecretMetadata:
        """Make deleted versions live again."""
        made = await self._permit(caller, user, Action.SECRET_UNDELETE, "delete", name)
        return await super().undelete(made, user, name, versions, lenient=lenient)

    async def destroy(
        self,
        caller: Caller,
        user: UserId,
        name: str,
        versions: Sequence[int] | None,
        *,
        lenient: bool = False,
    ) -> None:
        """Erase versions, or the secret."""
        made = await self._permit(caller, user, Action.SECRET_DESTROY, "delete", name)
        await super().destroy(made, user, name, versions, lenient=lenient)

    async def update(
        self,
        caller: Caller,
        user: UserId,
        name: str,
        changes: Changes,
        action: Action,
        *,
        cas: int | None = None,
    ) -> SecretMetadata:
        """Change metadata or tags."""
        right = "tag" if action is Action.SECRET_TAGS else "write"
        made = await self._permit(caller, user, action, right, name)
        return await super().update(made, user, name, changes, action, cas=cas)
