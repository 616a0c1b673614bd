"""The shapes of answers: Vault's envelope, flat answers, errors, none."""

from typing import Any, Final

import msgspec

from adyton.server.http import Response
from adyton.service.access.batch import BATCH, kind_of
from adyton.service.access.records import Token
from adyton.service.access.tokens import Issued, iso, seconds_left

encode = msgspec.json.Encoder().encode

EMPTY: Final = Response(204)
UNSUPPORTED_PATH: Final = "1 error occurred:\n\t* unsupported path\n\n"
"""As Vault's servers word it; clients look for the last two words."""


_ENVELOPE: Final = (
    b'{"request_id":"%b","lease_id":%b,"renewable":%b,"lease_duration":%b,"data":%b,'
    b'"wrap_info":null,"warnings":%b,"auth":%b%b}'
)


def plain(data: bytes) -> bytes:
    """The envelope for answers with nothing but data: a template of the request's id and this."""
    return _ENVELOPE % (b"%b", b'""', b"false", b"0", data, b"null", b"null", b"")


class Reply:
    """An answer before it is rendered.

    Attributes:
        data: The envelope's data; None for none.
        raw: The data as JSON text, instead of ``data``.
        auth: The envelope's auth.
        flat: Members beside the envelope's own.
        bare: Whether ``flat`` stands alone, without an envelope.
        status: The status.
        warnings: What the caller should know.
        lease: Seconds after which to read again, or that the lease lasts.
        lease_id: The lease, which can be renewed; or empty.
    """

    __slots__ = ("auth", "bare", "data", "flat", "lease", "lease_id", "raw", "status", "warnings")

    def __init__(
        self,
        data: dict[str, Any] | None = None,
        *,
        raw: bytes | None = None,
        auth: dict[str, Any] | None = None,
        flat: dict[str, Any] | None = None,
        bare: bool = False,
        status: int = 200,
        warnings: list[str] | None = None,
        lease: int = 0,
        lease_id: str = "",
    ) -> None:
        self.data = data
        self.raw = raw
        self.auth = auth
        self.flat = flat
        self.bare = bare
        self.status = status
        self.warnings = warnings
        self.lease = lease
        self.lease_id = lease_id

    def __repr__(self) -> str:
        return f"<Reply {self.status}>"

    @property
    def wrappable(self) -> bool:
        """Whether there is something to wrap."""
        there = self.data is not None or bool(self.raw or self.auth)
        return self.status == 200 and not self.bare and there

    def render(self, request_id: str) -> bytes:
        """The answer's body."""
        if self.bare:
            return encode(self.flat)
        return _ENVELOPE % (
            request_id.encode(),
            encode(self.lease_id),
            b"true" if self.lease_id else b"false",
            b"%d" % self.lease,
            self.raw if self.raw is not None else encode(self.data),
            encode(self.warnings),
            encode(self.auth),
            b"," + encode(self.flat)[1:-1] if self.flat else b"",
        )

    def response(self, request_id: str) -> Response:
        """The answer as it is sent."""
        return Response(self.status, self.render(request_id))


def both(data: dict[str, Any], **more: Any) -> Reply:  # noqa: ANN401 - JSON
    """An answer that older clients read flat and newer ones under ``data``."""
    return Reply(data | more, flat=data | more)


def wrapped(issued: Issued, path: str, accessor: str) -> Reply:
    """What is told of a response that was wrapped."""
    token = issued.token
    info = {
        "token": issued.text,
        "accessor": token.accessor,
        "ttl": token.creation_ttl,
        "creation_time": iso(token.created_us),
        "creation_path": path,
    }
    if accessor:
        info["wrapped_accessor"] = accessor
    return Reply(
        flat={
            "request_id": "", "lease_id": "", "renewable": False, "lease_duration": 0,
            "data": None, "wrap_info": info, "warnings": None, "auth": None,
        },
        bare=True,
    )  # fmt: skip


__all__ = ["EMPTY", "Reply", "auth_of", "both", "encode", "errors", "iso", "lookup_of", "wrapped"]


def errors(status: int, *texts: str) -> Response:
    """An answer of errors."""
    return Response(status, encode({"errors": list(texts)}))


def accessor_of(token: Token) -> str:
    """A token's accessor; empty for a batch token, which has none."""
    return "" if kind_of(token) == BATCH else token.accessor


def auth_of(text: str, token: Token, now_us: int) -> dict[str, Any]:
    """The auth part for a token that was made, renewed or logged in to."""
    return {
        "client_token": text,
        "accessor": accessor_of(token),
        "policies": token.policies,
        "token_policies": token.policies,
        "metadata": token.meta,
        "lease_duration": seconds_left(token, now_us),
        "renewable": token.renewable,
        "entity_id": token.entity,
        "token_type": kind_of(token),
        "orphan": not token.parent,
        "mfa_requirement": None,
        "num_uses": max(token.num_uses, 0),
    }


def lookup_of(text: str, token: Token, now_us: int) -> dict[str, Any]:
    """What is told of a token that is looked up."""
    found: dict[str, Any] = {
        "accessor": accessor_of(token),
        "creation_time": token.created_us // 1_000_000,
        "creation_ttl": token.creation_ttl,
        "display_name": token.display_name,
        "entity_id": token.entity,
        "expire_time": iso(token.expires_us),
        "explicit_max_ttl": token.explicit_max_ttl,
        "id": text,
        "meta": token.meta,
        "num_uses": token.num_uses,  # -1 in the answer to the last one
        "orphan": not token.parent,
        "path": token.path,
        "policies": token.policies,
        "ttl": seconds_left(token, now_us),
        "type": kind_of(token),
    }
    if token.expires_us:
        found["issue_time"] = iso(token.created_us)
        found["renewable"] = token.renewable
    if token.renewed_us:
        found["last_renewal"] = iso(token.renewed_us)
        found["last_renewal_time"] = token.renewed_us // 1_000_000
    if token.period:
        found["period"] = token.period
    if token.cidrs:
        found["bound_cidrs"] = token.cidrs
    if token.role:
        found["role"] = token.role
    return found
