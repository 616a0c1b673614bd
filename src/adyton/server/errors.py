"""Our errors as status codes of HTTP."""

from typing import Final

from adyton.errors import (
    AccessDenied,
    AdytonError,
    AuditUnavailable,
    InvalidInput,
    LimitExceeded,
    RootError,
    SecretNotFound,
    StoreClosed,
    StoreError,
    UserNotFound,
    ValueTooLarge,
    VersionConflict,
)

_STATUS: Final[tuple[tuple[type[AdytonError], int], ...]] = (
    (ValueTooLarge, 413),
    (InvalidInput, 400),
    (VersionConflict, 400),
    (AccessDenied, 403),
    (SecretNotFound, 404),
    (UserNotFound, 404),
    (LimitExceeded, 429),
    (AuditUnavailable, 503),
    (StoreClosed, 503),
    (StoreError, 503),
    (RootError, 503),
)


def status_of(error: AdytonError) -> int:
    """The status that tells an error; 500 for what is not the caller's doing."""
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return status
    return 500
