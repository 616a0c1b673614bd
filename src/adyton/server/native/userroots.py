"""Routes of users' own roots.

While a user's own root is away the tokens of the namespace can't be looked up, so these routes take
a request that bears any token of it: what is brought shows by itself who may do this.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from adyton.actions import Action
from adyton.crypto.secretbytes import SecretBytes
from adyton.crypto.wiping import wipe_bytes
from adyton.model import Caller
from adyton.server.http import token_text
from adyton.server.native import userrootshapes as shapes
from adyton.server.native.call import ME, Call
from adyton.server.native.rights import right
from adyton.server.native.routes import Reply, Route
from adyton.service.access.gate import denied
from adyton.service.access.policy import Capability
from adyton.service.access.tokentext import parse_token
from adyton.service.journal import Draft
from adyton.service.userroot.admin import UserRoots
from adyton.userroots import NewUserRoot, UserRootInfo, WrappedRoot


async def enter_while_away(call: Call) -> bool:
    """Take on a caller whose namespace is closed; False where it is not, or none is named.

    Raises:
        AccessDenied: The token is of another namespace than the one that is asked for.
    """
    index = parse_token(token_text(call.request.headers))
    if index is None:
        return False
    user = await UserRoots(call.core).closed_user(index)
    if user is None:
        return False
    origin = call.origin
    call.user = user
    call.caller = Caller("(user root)", user, origin.address, origin.request_id, decision="public")
    if call.args["user"] not in {ME, user}:
        draft = Draft(call.caller, Action.ACCESS_DENY, user_id=user)
        raise await call.core.refuse(draft, denied())
    return True


@contextmanager
def _taken(call: Call, *keys: bytes) -> Iterator[list[SecretBytes]]:
    """Keys of a request in locked memory; what they came in is overwritten."""
    held = [SecretBytes(key) for key in keys]
    try:
        yield held
    finally:
        for secret in held:
            secret.wipe()
        for came in (*keys, call.request.body):
            wipe_bytes(came)


def _wraps(found: Sequence[shapes.UserRootWrap]) -> tuple[WrappedRoot, ...]:
    return tuple(WrappedRoot(one.slot, one.kind, one.described, one.wrapped) for one in found)


def _shown(info: UserRootInfo) -> Reply:
    roots = [shapes.UserRootWrapShown(**one._asdict()) for one in info.roots]
    return Reply(shapes.UserRootShown(**{**info._asdict(), "roots": roots}))


async def show(call: Call) -> Reply:
    """A user's own root."""
    return _shown(await UserRoots(call.core).show(call.caller, call.user))


async def set_(call: Call) -> Reply:
    """A user's own root, set."""
    body = call.body(shapes.SetUserRoot)
    with _taken(call, body.key) as (key,):
        new = NewUserRoot(body.root, key, _wraps(body.roots))
        admin = UserRoots(call.core)
        return _shown(
            await call.beside(lambda: admin.set(call.caller, call.user, new, body.seconds))
        )


async def give(call: Call) -> Reply:
    """A user's own root, given for a time."""
    body = call.body(shapes.GiveUserRoot)
    with _taken(call, body.key) as (key,):
        admin = UserRoots(call.core)
        return _shown(await admin.give(call.caller, call.user, body.root, key, body.seconds))


async def take(call: Call) -> Reply:
    """A user's own root, taken away."""
    taken = await UserRoots(call.core).take(call.caller, call.user)
    return Reply(shapes.UserRootTaken(taken=taken))


async def change(call: Call) -> Reply:
    """A user's own root, changed for another."""
    body = call.body(shapes.ChangeUserRoot)
    with _taken(call, body.key, body.new_key) as (key, new_key):
        new = NewUserRoot(body.new_root, new_key, _wraps(body.roots))
        admin = UserRoots(call.core)
        return _shown(
            await call.beside(
                lambda: admin.change(call.caller, call.user, body.root, key, new, body.seconds)
            )
        )


async def wrap(call: Call) -> Reply:
    """Other roots of trust for the same user root key."""
    body = call.body(shapes.WrapUserRoot)
    with _taken(call, body.key) as (key,):
        admin = UserRoots(call.core)
        return _shown(
            await admin.set_roots(
                call.caller, call.user, body.root, key, _wraps(body.roots), body.revision
            )
        )


async def remove(call: Call) -> Reply:
    """A user's own root, gone."""
    body = call.body(shapes.ProveUserRoot)
    with _taken(call, body.key) as (key,):
        await UserRoots(call.core).remove(call.caller, call.user, body.root, key)
    return Reply(status=204)


_AT: Final = "users/{user}/root"
ROUTES: Final = [
    Route(
        "GET", _AT, "show_user_root", "A user's own root, and whether it is given.",
        show, right(Capability.READ), "read", "user",
        Action.USER_ROOT_SHOW, shapes.UserRootShown, while_away=True, errors=(404,),
    ),
    Route(
        "POST", _AT, "set_user_root", "Close a user's keys by a root of the user's own.",
        set_, right(Capability.UPDATE), "update", "user",
        Action.USER_ROOT_SET, shapes.UserRootShown, body=shapes.SetUserRoot,
        errors=(404,),
    ),
    Route(
        "POST", f"{_AT}/give", "give_user_root", "Give a user's own root for a time.",
        give, right(Capability.UPDATE), "update", "user",
        Action.USER_ROOT_GIVE, shapes.UserRootShown, body=shapes.GiveUserRoot,
        while_away=True, errors=(404,),
    ),
    Route(
        "POST", f"{_AT}/take", "take_user_root", "Take a user's own root away.",
        take, right(Capability.UPDATE), "update", "user",
        Action.USER_ROOT_TAKE, shapes.UserRootTaken, while_away=True, errors=(404,),
    ),
    Route(
        "POST", f"{_AT}/change", "change_user_root", "Close a user's keys by another root.",
        change, right(Capability.UPDATE), "update", "user",
        Action.USER_ROOT_CHANGE, shapes.UserRootShown, body=shapes.ChangeUserRoot,
        while_away=True, errors=(404,),
    ),
    Route(
        "POST", f"{_AT}/roots", "wrap_user_root", "Let other roots of trust open the same key.",
        wrap, right(Capability.UPDATE), "update", "user",
        Action.USER_ROOT_CHANGE, shapes.UserRootShown, body=shapes.WrapUserRoot,
        while_away=True, errors=(404, 412),
    ),
    Route(
        "POST", f"{_AT}/remove", "remove_user_root", "Let the master key alone close the keys.",
        remove, right(Capability.UPDATE), "update", "user",
        Action.USER_ROOT_REMOVE, None, body=shapes.ProveUserRoot, while_away=True, errors=(404,),
    ),
]  # fmt: skip
