"""The route of evidence: of nobody, because clients ask before they show a token."""

from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from adyton.actions import Action
from adyton.errors import InvalidInput
from adyton.evidence import MAX_NONCE_BYTES, MIN_NONCE_BYTES
from adyton.server.attestation import Attestation
from adyton.server.http import Request
from adyton.server.native import bodies, rights
from adyton.server.native.call import Call
from adyton.server.native.routes import Reply, Route
from adyton.server.native.shapes import Answer, Base64, NoQuery, Shape
from adyton.service.auditlog import AuditLog

_Nonce: TypeAlias = Annotated[
    str,
    Meta(
        pattern=f"^(?:[0-9a-f]{{2}}){{{MIN_NONCE_BYTES},{MAX_NONCE_BYTES}}}$",
        description="16 to 64 random bytes that were never used before, in hexadecimal digits.",
    ),
]
_Key: TypeAlias = Annotated[
    str,
    Meta(
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of the SubjectPublicKeyInfo that the connection shows, in "
        "hexadecimal digits; by default that of new connections.",
    ),
]


class AttestationQuery(Shape):
    """What evidence is to be bound to."""

    nonce: _Nonce
    tls_key: _Key | None = None


class AttestationBody(Shape):
    """What evidence is to be bound to."""

    nonce: _Nonce
    tls_key: _Key | None = None


class EvidenceShown(Answer):
    """Evidence of one platform; see docs/spec/attestation.md."""

    quote: Base64
    signature: Base64
    public: Base64
    pcrs: dict[str, Base64]
    event_log: Base64
    certificates: list[Base64]
    collateral: str


class AttestationShown(Answer):
    """Evidence with what it is bound to."""

    platform: str
    nonce: Base64
    tls_key: Base64
    log_key: str
    evidence: EvidenceShown


async def answer(attestation: Attestation, request: Request, log_key: str) -> AttestationShown:
    """Evidence for a request, of a sealed server too.

    Raises:
        AdytonError: There is none, or the request is not as it should be.
    """
    asked: AttestationQuery | AttestationBody
    if request.method == "POST":
        bodies.read_query(request.query_string, NoQuery)
        asked = await bodies.read_body(request.body, AttestationBody)
    elif request.body:
        raise InvalidInput("this route takes no body", hint="Leave it out.")
    else:
        asked = bodies.read_query(request.query_string, AttestationQuery)
    tls_key = bytes.fromhex(asked.tls_key) if asked.tls_key is not None else None
    found = await attestation.document(bytes.fromhex(asked.nonce), tls_key, log_key)
    parts = found.evidence
    return AttestationShown(
        found.platform,
        found.nonce,
        found.tls_key,
        found.log_key,
        EvidenceShown(
            parts.quote,
            parts.signature,
            parts.public,
            parts.pcrs,
            parts.event_log,
            parts.certificates,
            parts.collateral,
        ),
    )


async def show(call: Call) -> Reply:
    """Evidence of the code that the server runs."""
    attestation = call.services.attestation
    return Reply(await answer(attestation, call.request, AuditLog(call.core).vkey()))


ROUTES: Final = [
    Route(
        "GET", "attestation", "get_attestation", "Evidence of the code that the server runs.",
        show, rights.anybody, "none", "public",
        Action.STORE_HEALTH, AttestationShown, query=AttestationQuery, errors=(404,),
    ),
    Route(
        "POST", "attestation", "ask_attestation", "Evidence of the code that the server runs.",
        show, rights.anybody, "none", "public",
        Action.STORE_HEALTH, AttestationShown, body=AttestationBody, errors=(404,),
    ),
]  # fmt: skip
