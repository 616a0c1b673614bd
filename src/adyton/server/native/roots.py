"""Routes of the roots of trust that open the store."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from adyton.actions import Action
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError, InvalidInput
from adyton.roots import open_root
from adyton.server.native import rootshapes
from adyton.server.native.call import Call
from adyton.server.native.rights import right
from adyton.server.native.routes import Reply, Route
from adyton.service.access.policy import Capability
from adyton.service.journal import Draft
from adyton.service.rootadmin import RootAdmin
from adyton.wiring import new_root

Ask = Callable[[str], SecretBytes]


def asking(secret: str | None) -> Ask | None:
    """Answers a root's question by what came with the request."""
    if secret is None:
        return None
    return lambda _: SecretBytes(secret.encode("utf-8", "replace"))


@contextlib.contextmanager
def usable() -> Iterator[None]:
    """A URI that can't be used is the caller's mistake, not one of the configuration."""
    try:
        yield
    except ConfigurationError as error:
        raise InvalidInput(error.message, hint=error.hint) from None


async def list_roots(call: Call) -> Reply:
    """All roots."""
    found = await call.beside(lambda: RootAdmin(call.core).show(call.caller))
    return Reply(
        rootshapes.RootList(items=[rootshapes.RootShown(**info._asdict()) for info in found])
    )


async def add_root(call: Call) -> Reply:
    """One more root."""
    body = call.body(rootshapes.RootNamed)

    async def work() -> Reply:
        async with call.core.guard(Draft(call.caller, Action.ROOT_ADD)):
            with usable():
                new, shares = new_root(body.uri, asking(body.secret))
        try:
            slot = await RootAdmin(call.core).add(call.caller, new)
        except BaseException:
            new.close()
            raise
        told = [share.text() for share in shares]
        return Reply(rootshapes.RootAddedShown(slot=slot, shares=told, removed=None))

    return await call.beside(work)


async def migrate_root(call: Call) -> Reply:
    """Another root instead of one."""
    body = call.body(rootshapes.RootMoved)

    async def work() -> Reply:
        core = call.core
        async with core.guard(Draft(call.caller, Action.ROOT_ADD)):
            with usable():
                new, _ = new_root(body.uri, asking(body.secret))
        try:
            slot, gone = await RootAdmin(core).migrate(call.caller, new, body.slot)
        except BaseException:
            if new not in core.roots:  # it may have been added before this failed
                new.close()
            raise
        sealer = call.services.sealer
        if sealer is not None and body.slot is None and body.secret is None:
            sealer.use_root(body.uri)
        return Reply(rootshapes.RootAddedShown(slot=slot, shares=[], removed=gone))

    return await call.beside(work)


async def test_roots(call: Call) -> Reply:
    """Roots that open the store, with the time that takes."""
    body = call.body(rootshapes.RootAsked)

    async def work() -> Reply:
        admin = RootAdmin(call.core)
        if body.uri is None:
            found = await admin.test(call.caller)
        else:
            async with call.core.guard(Draft(call.caller, Action.ROOT_TEST)):
                with usable():
                    root = open_root(body.uri, ask=asking(body.secret))
            try:
                found = await admin.test(call.caller, root)
            finally:
                root.close()
        items = [rootshapes.RootTestedShown(**tested._asdict()) for tested in found]
        return Reply(rootshapes.RootTestedList(items=items))

    return await call.beside(work)


async def remove_root(call: Call) -> Reply:
    """One root less."""

    def number() -> int:
        text = call.args["slot"]
        if not (text.isascii() and text.isdigit() and len(text) <= 15):
            raise InvalidInput("the slot is not a number")
        return int(text)

    slot = await call.checked(number)
    await call.beside(lambda: RootAdmin(call.core).remove(call.caller, slot))
    return Reply(status=204)


ROUTES: Final = [
    Route(
        "GET", "roots", "list_roots", "The roots of trust that open the store.",
        list_roots, right(Capability.READ), "read and sudo", "store",
        Action.ROOT_SHOW, rootshapes.RootList,
    ),
    Route(
        "POST", "roots", "add_root", "Let one more root open the store.",
        add_root, right(Capability.UPDATE), "update and sudo", "store",
        Action.ROOT_ADD, rootshapes.RootAddedShown, body=rootshapes.RootNamed, errors=(412,),
    ),
    Route(
        "POST", "roots/migrate", "migrate_root", "Move from one root to another.",
        migrate_root, right(Capability.UPDATE), "update and sudo", "store",
        Action.ROOT_ADD, rootshapes.RootAddedShown, body=rootshapes.RootMoved, errors=(412,),
    ),
    Route(
        "POST", "roots/test", "test_roots", "Let roots open the master key as it is stored.",
        test_roots, right(Capability.UPDATE), "update and sudo", "store",
        Action.ROOT_TEST, rootshapes.RootTestedList, body=rootshapes.RootAsked,
    ),
    Route(
        "DELETE", "roots/{slot}", "remove_root", "Let a root not open the store any more.",
        remove_root, right(Capability.DELETE), "delete and sudo", "store",
        Action.ROOT_REMOVE, None, errors=(412,),
    ),
]  # fmt: skip
