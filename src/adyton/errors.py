"""The one tree of errors.

    AdytonError
    ├── InvalidInput            what was given breaks a rule; the text says which and how to mend it
    │   ├── InvalidName         a secret name or user id breaks the naming rules
    │   ├── ValueTooLarge       a value is over the store's limit
    │   ├── IdempotencyMismatch an idempotency key came again with another request
    │   └── InvalidDocument     an import, bundle, proof or checkpoint does not parse
    ├── ConfigurationError      the store, its root or its options are set up wrongly
    ├── SecretNotFound          absent, deleted, destroyed or another user's: all look alike
    ├── UserNotFound            the user has no namespace in this store
    ├── VersionConflict         check-and-set: the secret is not at the expected version
    ├── LegalHold               a legal hold keeps it: it is not deleted, nor destroyed
    ├── RotationError           a rotation failed or is under way; the former value works on
    ├── LeaseError              credentials can't be made, renewed or revoked now
    ├── RequestPending          the same request is under way, or was broken off
    ├── ImportConflict          names of an import exist already, and on_conflict is "fail"
    ├── AccessDenied            no identity, or the identity may not do this
    ├── LimitExceeded           a documented limit of the store would be passed
    │   └── QuotaExceeded       the user stores as much as may be: waiting does not help
    ├── StoreError              the storage can't do its work
    │   ├── StoreNotFound       there is no store at that place
    │   ├── StoreExists         there is one already
    │   ├── StoreLocked         another process has the store open
    │   ├── StoreClosed         this handle has been closed
    │   ├── StorageFull         the disk or quota is full; nothing was written
    │   ├── StorageReadOnly     the file system or file does not take writes
    │   └── SchemaError         the store's schema is newer, or not what its migrations make
    ├── IntegrityError          what is stored is not what was written: refused, never guessed at
    │   └── DecryptionFailed    an AEAD tag, key or context is wrong (one text for all causes)
    ├── AuditError              the log, a proof, a checkpoint or the store beside it tells a lie
    ├── AuditUnavailable        the record could not be made durable, so nothing was released
    ├── RootError               the root of trust refuses or fails
    │   ├── RootLocked          wrong passphrase, key file or context: no master key
    │   ├── RootUnavailable     the root is missing or does not answer
    │   ├── UserRootAway        a user's keys are under a root of the user's own, and it is away
    │   └── UserRootRefused     what was brought does not open a user's keys
    ├── ServerUnavailable       a server can't be reached, is busy, or fails
    ├── AttestationError        evidence of which code runs is missing, wrong or not accepted
    └── SecretWiped             a secret buffer was used after its block had ended

No error carries a secret value, and none carries key material. Faces map these to exit
codes and status codes; that map lives with the face.
"""


class AdytonError(Exception):
    """Base of everything Adyton raises on purpose.

    Args:
        message: What went wrong and where, safe to show to the caller.
        hint: The next step that mends it, one sentence, or empty.

    Attributes:
        request_id: Identifier of the request that failed, if a server told it.
    """

    request_id: str = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.recorded = False

    def is_recorded(self) -> bool:
        """Whether an audit record tells of it, or of the error that it was raised instead of."""
        error: BaseException | None = self
        while error is not None:
            if isinstance(error, AdytonError) and error.recorded:
                return True
            error = error.__context__
        return False

    def __str__(self) -> str:
        return self.message


class InvalidInput(AdytonError):
    """What was given breaks a rule; the text says which and how to mend it."""


class InvalidName(InvalidInput):
    """A secret name or a user id breaks the naming rules."""


class ValueTooLarge(InvalidInput):
    """A value is larger than the store's limit."""


class InvalidDocument(InvalidInput):
    """A document from outside does not parse or breaks a rule of its format."""


class IdempotencyMismatch(InvalidInput):
    """An idempotency key came again with another request than the first."""


class ConfigurationError(AdytonError):
    """The store, its root or its options are set up wrongly."""


class SecretNotFound(AdytonError):
    """The secret is absent, deleted, destroyed, or not the caller's to see: all look alike."""


class UserNotFound(AdytonError):
    """The user has no namespace in this store."""


class VersionConflict(AdytonError):
    """Check-and-set failed: the secret is not at the version the caller expected."""


class LegalHold(AdytonError):
    """A legal hold keeps it: nothing that it covers is deleted, destroyed, replaced or purged."""


class RotationError(AdytonError):
    """A rotation can't go on now, or is under way; the value that worked before works on."""


class LeaseError(AdytonError):
    """Dynamic credentials can't be made, renewed or revoked now."""


class RequestPending(AdytonError):
    """The same request is under way, or was broken off when the server ended."""


class ImportConflict(AdytonError):
    """Names of an import exist already and the import was told to fail on that."""


class AccessDenied(AdytonError):
    """There is no identity, or the identity may not do this."""


class LimitExceeded(AdytonError):
    """A documented limit of the store would be passed.

    Attributes:
        again_seconds: After how many it may be asked again; 0 where that is not known.
    """

    again_seconds = 0


class QuotaExceeded(LimitExceeded):
    """The user stores as much as may be; something has to be removed first."""


class StoreError(AdytonError):
    """The storage can't do its work."""


class StoreNotFound(StoreError):
    """There is no store at that place."""


class StoreExists(StoreError):
    """There is a store at that place already."""


class StoreLocked(StoreError):
    """Another process has the store open."""


class StoreClosed(StoreError):
    """The store has been closed."""


class StorageFull(StoreError):
    """The disk or a quota is full; nothing of the operation was kept."""


class StorageReadOnly(StoreError):
    """The file system or the file does not take writes."""


class SchemaError(StoreError):
    """The store's schema is newer than this program, or not what its migrations make."""


class IntegrityError(AdytonError):
    """What is stored is not what was written: refused, never guessed at."""


class DecryptionFailed(IntegrityError):
    """An AEAD tag, a key or a context is wrong; the causes are deliberately not told apart."""


class AuditError(AdytonError):
    """The log, a proof, a checkpoint, or the store beside the log, tells a lie."""


class AuditUnavailable(AdytonError):
    """The audit record could not be made durable, so the operation released nothing."""


class RootError(AdytonError):
    """The root of trust refuses or fails."""


class RootLocked(RootError):
    """The root can't open the master key: wrong passphrase, wrong key file or wrong context."""


class RootUnavailable(RootError):
    """The root is missing or does not answer."""


class UserRootAway(RootError):
    """A user's keys are under a root of the user's own, which has not been given."""


class UserRootRefused(RootError):
    """A root of trust or a key that was brought does not open this user's keys."""


class ServerUnavailable(AdytonError):
    """A server can't be reached, is busy, fails, or does not answer as one of ours."""


class AttestationError(AdytonError):
    """Evidence of which code a server runs is missing, wrong, or not what a policy accepts.

    Args:
        message: What is wrong.
        rule: Which rule refused; stable (``docs/spec/attestation.md``, section 6).
        hint: The next step.
    """

    def __init__(self, message: str, *, rule: str = "evidence", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.rule = rule


class SecretWiped(AdytonError):
    """A secret buffer was used after it had been wiped."""
