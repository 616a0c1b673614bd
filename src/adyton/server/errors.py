"""Our errors as status codes and problem types of HTTP: one table for all of the server's APIs."""

from typing import Final, NamedTuple

from adyton.errors import (
    AccessDenied,
    AdytonError,
    AttestationError,
    AuditError,
    AuditUnavailable,
    IdempotencyMismatch,
    ImportConflict,
    IntegrityError,
    InvalidDocument,
    InvalidInput,
    InvalidName,
    LeaseError,
    LegalHold,
    LimitExceeded,
    QuotaExceeded,
    RequestPending,
    RootError,
    RootLocked,
    RootUnavailable,
    RotationError,
    SecretNotFound,
    ServerUnavailable,
    StorageFull,
    StoreError,
    UserNotFound,
    UserRootAway,
    UserRootRefused,
    ValueTooLarge,
    VersionConflict,
)


class Problem(NamedTuple):
    """How an error is told (RFC 9457, section 3).

    Attributes:
        status: The status code.
        slug: Names the type; stable (``docs/spec/native-api.md``, section 7).
        title: What it is, in a few words.
    """

    status: int
    slug: str
    title: str


INTERNAL: Final = Problem(500, "internal-error", "Internal error")
SEALED: Final = Problem(503, "sealed", "Sealed")

# The first that fits; subclasses before what they derive from.
PROBLEMS: Final[tuple[tuple[type[AdytonError], Problem], ...]] = (
    (ValueTooLarge, Problem(413, "value-too-large", "Value too large")),
    (InvalidName, Problem(400, "invalid-name", "Invalid name")),
    (InvalidDocument, Problem(400, "invalid-document", "Invalid document")),
    (IdempotencyMismatch, Problem(422, "idempotency-mismatch", "Idempotency key in use")),
    (InvalidInput, Problem(400, "invalid-input", "Invalid input")),
    (VersionConflict, Problem(412, "version-conflict", "Version conflict")),
    (LegalHold, Problem(409, "legal-hold", "Legal hold")),
    (RotationError, Problem(409, "rotation-error", "Rotation failed")),
    (LeaseError, Problem(409, "lease-error", "Lease failed")),
    (ImportConflict, Problem(409, "import-conflict", "Names exist")),
    (RequestPending, Problem(409, "request-pending", "Request pending")),
    (AccessDenied, Problem(403, "access-denied", "Access denied")),
    (SecretNotFound, Problem(404, "secret-not-found", "Secret not found")),
    (UserNotFound, Problem(404, "user-not-found", "User not found")),
    (QuotaExceeded, Problem(429, "quota-exceeded", "Quota exceeded")),
    (LimitExceeded, Problem(429, "limit-exceeded", "Limit exceeded")),
    (AuditUnavailable, Problem(503, "audit-unavailable", "Audit unavailable")),
    (AuditError, Problem(409, "audit-error", "Audit error")),
    (StorageFull, Problem(503, "storage-full", "Storage full")),
    (AttestationError, Problem(404, "attestation-error", "No evidence")),
    (ServerUnavailable, Problem(503, "evidence-unavailable", "Evidence unavailable")),
    (StoreError, Problem(503, "storage-unavailable", "Storage unavailable")),
    (RootLocked, Problem(503, "root-locked", "Root of trust refuses")),
    (RootUnavailable, Problem(503, "root-unavailable", "Root of trust unavailable")),
    (UserRootAway, Problem(503, "user-root-away", "User's own root is away")),
    (UserRootRefused, Problem(403, "user-root-refused", "Not the user's own root")),
    (RootError, Problem(503, "root-error", "Root of trust fails")),
    (IntegrityError, Problem(500, "integrity-error", "Integrity error")),
)

# What is told without an error of ours, by status.
REFUSALS: Final = {
    problem.status: problem
    for problem in (
        Problem(400, "invalid-input", "Invalid input"),
        Problem(404, "no-such-route", "No such route"),
        Problem(405, "method-not-allowed", "Method not allowed"),
        Problem(408, "request-timeout", "Request timeout"),
        Problem(413, "payload-too-large", "Payload too large"),
        Problem(414, "query-too-long", "Query too long"),
        Problem(415, "unsupported-media-type", "Unsupported media type"),
        Problem(429, "limit-exceeded", "Limit exceeded"),
        INTERNAL,
        Problem(503, "busy", "Busy"),
    )
}


def problem_of(error: AdytonError) -> Problem:
    """How an error is told; an internal error for what is not the caller's doing."""
    for kind, problem in PROBLEMS:
        if isinstance(error, kind):
            return problem
    return INTERNAL


def status_of(error: AdytonError) -> int:
    """The status that tells an error; 500 for what is not the caller's doing."""
    return problem_of(error).status
