"""Routes of the audit log: a user's records, and the whole store's."""

from collections.abc import Callable
from typing import Final

import msgspec

from adyton.actions import Action
from adyton.errors import InvalidInput
from adyton.grantvalues import EVERYTHING
from adyton.library import arguments
from adyton.model import AuditEntry
from adyton.server.native import shapes
from adyton.server.native.call import Call
from adyton.server.native.rights import right
from adyton.server.native.routes import Reply, Route
from adyton.server.native.showing import shown_record
from adyton.service.access.policy import Capability
from adyton.service.auditlog import AuditLog
from adyton.service.pages import Pages

_SCAN: Final = 20_000
"""Records looked at for one page."""


async def read_log(call: Call) -> Reply:
    """A page of records, newest first."""
    query = call.query(shapes.AuditQuery)
    name, action = query.name or None, query.action or None
    success = None if query.success is msgspec.UNSET else query.success
    below = None if query.below is msgspec.UNSET else query.below
    asked = msgspec.json.encode([name, action, success, below]).decode()
    user = _whose(call)
    pages = Pages(call.core, "audit", user or "", asked)
    position = await call.checked(lambda: pages.position(query.cursor or None))
    log = AuditLog(call.core)
    page = await call.beside(
        lambda: log.page(
            call.caller,
            user,
            limit=query.limit,
            below=below if position is None else int(position),
            wanted=_wanted(call, arguments.audit_filter(name, action, success)),
            scan=_SCAN,
        )
    )
    return Reply(
        shapes.RecordPage(
            items=[shown_record(entry) for entry in page.entries],
            next_cursor=None if page.below is None else pages.cursor(str(page.below)),
        )
    )


async def prove(call: Call) -> Reply:
    """A proof of one record."""
    index = await call.checked(lambda: _index(call.args["index"]))
    log = AuditLog(call.core)
    return Reply(await call.beside(lambda: log.prove(call.caller, _whose(call), index)))


async def vkey(call: Call) -> Reply:
    """The log's verifier key."""
    await call.note()
    return Reply(shapes.VkeyShown(vkey=AuditLog(call.core).vkey()))


async def checkpoint(call: Call) -> Reply:
    """A signed checkpoint."""
    note = await AuditLog(call.core).checkpoint(call.caller)
    return Reply(shapes.CheckpointShown(checkpoint=note.decode()))


async def verify(call: Call) -> Reply:
    """What a verification of everything finds."""
    checkpoints = call.body(shapes.VerifyBody).checkpoints
    log = AuditLog(call.core)
    report = await call.beside(lambda: log.verify(call.caller, checkpoints=checkpoints))
    return Reply(shapes.VerifyShown(**report._asdict()))


def _wanted(
    call: Call, asked: Callable[[AuditEntry], bool] | None
) -> Callable[[AuditEntry], bool] | None:
    """Records that are asked for, and of those the ones that grants let a member see."""
    gate, address = call.services.gate.grants, call.origin.address
    if call.caller.spend is None:
        hidden = gate.hidden(call.session, call.user, ("audit",), address)
        if hidden is None:
            return asked
        return lambda entry: (
            not hidden(entry.secret_name or EVERYTHING) and (asked is None or asked(entry))
        )
    sees = gate.seeing(call.session, call.user, "audit", address)

    def wanted(entry: AuditEntry) -> bool:
        return sees(entry.secret_name or EVERYTHING) and (asked is None or asked(entry))

    return wanted


def _whose(call: Call) -> str | None:
    return call.user if call.route.place == "user" else None


def _index(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= shapes.MAX_NUMBER:
        return int(text)
    raise InvalidInput("the index of a record is a whole number", hint="Take it from the log.")


ROUTES: Final = [
    Route(
        "GET", "users/{user}/audit", "get_audit_log", "A user's audit records, newest first.",
        read_log, right(Capability.READ), "read", "user",
        Action.AUDIT_READ, shapes.RecordPage, query=shapes.AuditQuery,
    ),
    Route(
        "GET", "users/{user}/audit/{index}/proof", "prove_record", "A proof of a user's record.",
        prove, right(Capability.READ), "read", "user",
        Action.AUDIT_PROVE, shapes.ProofShown, errors=(404,),
    ),
    Route(
        "GET", "audit/vkey", "get_vkey", "The log's verifier key, to check proofs with.",
        vkey, right(Capability.READ), "read", "own",
        Action.AUDIT_READ, shapes.VkeyShown,
    ),
    Route(
        "GET", "audit", "get_store_audit_log", "The whole store's audit records, newest first.",
        read_log, right(Capability.READ), "read and sudo", "store",
        Action.AUDIT_READ, shapes.RecordPage, query=shapes.AuditQuery,
    ),
    Route(
        "GET", "audit/{index}/proof", "prove_store_record", "A proof of any record.",
        prove, right(Capability.READ), "read and sudo", "store",
        Action.AUDIT_PROVE, shapes.ProofShown,
    ),
    Route(
        "POST", "audit/checkpoint", "sign_checkpoint", "Sign a checkpoint of the log as it is.",
        checkpoint, right(Capability.UPDATE), "update and sudo", "store",
        Action.AUDIT_READ, shapes.CheckpointShown,
    ),
    Route(
        "POST", "audit/verify", "verify_log", "Check the whole log, and the store against it.",
        verify, right(Capability.UPDATE), "update and sudo", "store",
        Action.AUDIT_VERIFY, shapes.VerifyShown, body=shapes.VerifyBody, errors=(409,),
    ),
]  # fmt: skip
