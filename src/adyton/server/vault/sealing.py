"""``sys/*`` on the server's state and the keys above all namespaces: seal, rekey, rotate."""

import re
from typing import Any, Final

from adyton.actions import Action
from adyton.crypto import shares
from adyton.crypto.shares import Share
from adyton.crypto.wiping import wipe_bytes
from adyton.errors import InvalidInput
from adyton.model import Caller
from adyton.server.http import Response
from adyton.server.seal.scrub import encode_secret, wipe_when_sent
from adyton.server.seal.status import health_answer, leader, seal_status, status_of_open
from adyton.server.vault import fields
from adyton.server.vault.context import Context
from adyton.server.vault.reply import Reply, both, iso
from adyton.server.vault.routes import DELETE, READ, UPDATE, Answer, Routes
from adyton.server.vault.service import Services
from adyton.service.access.gate import denied
from adyton.service.access.shelves import record_path
from adyton.service.access.spaces import OPERATOR_SPACE
from adyton.service.journal import Draft
from adyton.service.keyadmin import KeyAdmin
from adyton.service.rekey import RekeyStatus

_MOST_SHARE_TEXT: Final = 256
_SHARE_TEXT: Final = re.compile(
    "(?:[0-9a-fA-F]{2})*|(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
)


def add_routes(routes: Routes, services: Services) -> None:
    """Add the routes."""
    _add_state(routes, services)
    _add_keys(routes, services)
    for base in ("sys/rekey", "sys/rotate/root"):
        _add_rekey(routes, services, base)
    # Not offered, as in OpenBao by default; said so before anybody is asked for a token.
    for name in ("attempt", "update"):
        routes.add(f"sys/generate-root/{name}", {}, public=True)


def _operator(services: Services, context: Context) -> Caller:
    """The caller for what concerns the whole store.

    Raises:
        AccessDenied: The token or the path is not of the operator's namespace.
    """
    if context.user != OPERATOR_SPACE:
        raise denied()
    return services.gate.operator(context.session, context.origin, context.decision)


def _add_state(routes: Routes, services: Services) -> None:
    core = services.core

    async def health(context: Context) -> Response:
        return health_answer(status_of_open(core), context.request.query)

    async def seal_status_(_: Context) -> Reply:
        return Reply(flat=seal_status(status_of_open(core)), bare=True)

    async def unseal(context: Context) -> Reply:
        # The store is open: of a share only the form is looked at, as in OpenBao.
        body = context.body
        if fields.boolean(body.get("reset", False), "reset"):
            raise InvalidInput("vault is unsealed")
        key = fields.text(body, "key")
        if not key and not body.get("keys"):
            raise InvalidInput(
                "'key' must be specified in request body as JSON, or 'reset' set to true"
            )
        if _SHARE_TEXT.fullmatch(key) is None:
            raise InvalidInput("'key' must be a valid hex or base64 string")
        return await seal_status_(context)

    async def leader_(_: Context) -> Reply:
        return Reply(flat=leader(), bare=True)

    async def init_state(_: Context) -> Reply:
        return Reply(flat={"initialized": True}, bare=True)

    async def init(_: Context) -> Reply:
        raise InvalidInput("Vault is already initialized")

    async def seal(context: Context) -> None:
        draft = Draft(_operator(services, context), Action.STORE_SEAL)
        if services.sealer is None:
            raise InvalidInput("sealing is not offered here")
        await core.record(draft)
        await services.sealer.seal()

    add = routes.add
    add("sys/health", {READ: health}, public=True)
    add("sys/seal-status", {READ: seal_status_}, public=True)
    add("sys/leader", {READ: leader_}, public=True)
    add("sys/init", {READ: init_state, UPDATE: init}, public=True)
    add("sys/unseal", {UPDATE: unseal}, public=True)
    add("sys/seal", {UPDATE: seal}, sudo=UPDATE)


def _add_keys(routes: Routes, services: Services) -> None:
    core = services.core

    async def key_status(context: Context) -> Reply:
        _operator(services, context)
        await record_path(core, context.caller, context.user, Action.ACCESS_READ, context.path)
        ring = core.ring
        return both(
            {
                "term": ring.master_current,
                "install_time": iso(ring.master_created_us),
                "encryptions": ring.master_wraps,
            }
        )

    async def rotate(context: Context) -> None:
        await KeyAdmin(core).rotate_master(_operator(services, context))

    routes.add("sys/key-status", {READ: key_status})
    for path in ("sys/rotate", "sys/rotate/keyring"):
        routes.add(path, {UPDATE: rotate}, sudo=UPDATE)


def _add_rekey(routes: Routes, services: Services, base: str) -> None:
    rekey = services.rekey

    def told(body: dict[str, Any]) -> Reply:
        return Reply(flat=body, bare=True) if base == "sys/rekey" else Reply(body)

    async def status(context: Context) -> Reply:
        _operator(services, context)
        return told(_status(await rekey.status()))

    async def begin(context: Context) -> Reply:
        body = context.body
        if body.get("pgp_keys") or fields.boolean(body.get("backup") or False, "backup"):
            raise InvalidInput("pgp_keys and backup are not supported", hint="Leave them out.")
        verify = fields.boolean(body.get("require_verification") or False, "require_verification")
        found = await rekey.begin(
            _operator(services, context),
            fields.integer(body.get("secret_threshold") or 0, "secret_threshold"),
            fields.integer(body.get("secret_shares") or 0, "secret_shares"),
            verify=verify,
        )
        return told(_status(found))

    async def cancel(context: Context) -> None:
        await rekey.cancel(_operator(services, context))

    async def update(context: Context) -> Answer:
        nonce = fields.text(context.body, "nonce")
        caller = _operator(services, context)
        made = await rekey.enter(caller, nonce, _share(context.body))
        found = await rekey.status()
        if made is None:
            return told(_status(found))
        body = {
            "nonce": nonce,
            "complete": True,
            "keys": [share.hex() for share in made],
            "keys_base64": [share.base64() for share in made],
            "pgp_fingerprints": None,
            "backup": False,
            "verification_required": found.verify,
        }
        for share in made:
            share.wipe()
        if found.verify:
            body["verification_nonce"] = found.verify_nonce
        content = encode_secret(body)
        if base == "sys/rekey":
            return wipe_when_sent(Response(200, content))
        response = Reply(raw=content).response(context.request.request_id)
        wipe_bytes(content)
        return wipe_when_sent(response)

    async def verify_status(context: Context) -> Reply:
        _operator(services, context)
        return told(_verification(await rekey.status()))

    async def verify(context: Context) -> Answer:
        nonce = fields.text(context.body, "nonce")
        done = await rekey.enter_new(_operator(services, context), nonce, _share(context.body))
        if done:
            return told({"nonce": nonce, "complete": True})
        return told(_verification(await rekey.status()))

    async def verify_anew(context: Context) -> Reply:
        return told(_verification(await rekey.restart_verification(_operator(services, context))))

    add = routes.add
    everything = READ | UPDATE | DELETE
    add(f"{base}/init", {READ: status, UPDATE: begin, DELETE: cancel}, sudo=everything)
    add(f"{base}/update", {UPDATE: update}, sudo=everything)
    add(
        f"{base}/verify",
        {READ: verify_status, UPDATE: verify, DELETE: verify_anew},
        sudo=everything,
    )


def _share(body: fields.Body) -> Share:
    text = fields.text(body, "key")
    if not text:
        raise InvalidInput("'key' must be specified in request body as JSON")
    if len(text) > _MOST_SHARE_TEXT:
        raise InvalidInput("that is too long for a share")
    return shares.parse(text.encode("utf-8", "replace"))


def _status(found: RekeyStatus) -> dict[str, Any]:
    body: dict[str, Any] = {
        "nonce": found.nonce,
        "started": found.started,
        "t": found.threshold,
        "n": found.total,
        "progress": found.progress,
        "required": found.required,
        "pgp_fingerprints": None,
        "backup": False,
        "verification_required": found.verify,
    }
    if found.verify_nonce:
        body["verification_nonce"] = found.verify_nonce
    return body


def _verification(found: RekeyStatus) -> dict[str, Any]:
    if not found.started:
        raise InvalidInput("no rekey configuration found")
    if not found.verify_nonce:
        raise InvalidInput("no rekey verification in progress")
    return {
        "nonce": found.verify_nonce,
        "started": True,
        "t": found.threshold,
        "n": found.total,
        "progress": found.verified,
    }
