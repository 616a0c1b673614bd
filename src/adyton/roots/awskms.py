"""The root ``awskms:``: a symmetric key of AWS Key Management Service.

The key never leaves the service. The encryption context that is bound there is a hash, so that
the service's own log tells nothing of the store; the names of the account's keys are in that log.
"""

import base64
import re
import threading
from typing import TYPE_CHECKING, Any, Final, Self

from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError, RootUnavailable
from adyton.roots._asking import Ask
from adyton.roots._local import KIND_AWSKMS
from adyton.roots._parameters import parameters
from adyton.roots._remote import RemoteRoot

if TYPE_CHECKING:
    from botocore.client import BaseClient

_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):[0-9]{12}:(?:key|alias)/[A-Za-z0-9/_-]+"
)
_TRIES: Final = 6
_TIMEOUT: Final = 10.0
_CLOSE_SECONDS: Final = 2.0
_REFUSED: Final = frozenset(
    {"InvalidCiphertextException", "IncorrectKeyException", "InvalidKeyUsageException"}
)
"""What says that the key does not open it."""
# Who disables the key, or takes the right to it away, wants this store closed.
_HINTS: Final = {
    "AccessDeniedException": "Allow kms:Encrypt and kms:Decrypt for this identity in its policy.",
    "DisabledException": "Enable the key in the service.",
    "KMSInvalidStateException": "The key is disabled or pending deletion: look there.",
    "NotFoundException": "Check the key's ARN and region.",
}


class AwsKmsRoot(RemoteRoot):
    """Wraps by AWS KMS.

    Args:
        key: The key's ARN; credentials come from where the AWS SDK looks for them.
        endpoint: Another address of the service, such as a VPC endpoint.

    Raises:
        ConfigurationError: It is not an ARN of a key, or the AWS SDK is not installed.
    """

    _kind_byte = KIND_AWSKMS

    def __init__(self, key: str, *, endpoint: str | None = None) -> None:
        super().__init__()
        found = _ARN.fullmatch(key)
        if found is None:
            raise ConfigurationError(
                "the root 'awskms:' is not the ARN of a key",
                hint="Write 'awskms:arn:aws:kms:REGION:ACCOUNT:key/ID'.",
            )
        self._key = key
        self._client = _client(found["region"], endpoint)
        # The SDK leaves connections open that are in use when it is closed; uses are rare.
        self._using = threading.Lock()

    @classmethod
    def from_uri(cls, rest: str, *, create: bool, ask: Ask | None) -> Self:  # noqa: ARG003
        """Open ``awskms:ARN?endpoint=URL``.

        Raises:
            ConfigurationError: The URI is wrong, or the AWS SDK is not installed.
        """
        key, _, query = rest.partition("?")
        given = parameters("awskms", query, ("endpoint",))
        return cls(key, endpoint=given.get("endpoint"))

    def describe(self) -> dict[str, str]:
        """Kind and key."""
        return {"kind": self.kind, "key": self._key}

    def close(self) -> None:
        """Close the connections. May be called again."""
        super().close()
        if self._using.acquire(timeout=_CLOSE_SECONDS):
            try:
                self._client.close()
            finally:
                self._using.release()

    def _wrap_remotely(self, key: SecretBytes, binding: bytes) -> bytes:
        # The SDK takes bytes alone: a copy of the wrapping key that nobody can wipe.
        answer = self._ask("encrypt", binding, Plaintext=key.reveal())
        wrapped = answer.get("CiphertextBlob")
        if not isinstance(wrapped, bytes):
            raise self._away("its answer is not of the service")
        return wrapped

    def _unwrap_remotely(self, wrapped: bytes, binding: bytes) -> SecretBytes:
        answer = self._ask("decrypt", binding, CiphertextBlob=wrapped)
        plain = answer.get("Plaintext")
        if not isinstance(plain, bytes):
            raise self._away("its answer is not of the service")
        return SecretBytes(plain)

    def _ask(self, operation: str, binding: bytes, **given: bytes) -> dict[str, Any]:
        from botocore.exceptions import (  # noqa: PLC0415 - an optional library
            BotoCoreError,
            ClientError,
        )

        context = {"adyton": base64.b64encode(binding).decode()}
        try:
            with self._using:
                self._check_usable()
                found: dict[str, Any] = getattr(self._client, operation)(
                    KeyId=self._key, EncryptionContext=context, **given
                )
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _REFUSED:
                raise self._locked() from None
            if code in _HINTS:
                raise self._refused(code, _HINTS[code]) from None
            raise self._away(code or "an error without a code") from None
        except BotoCoreError as error:
            raise self._away(type(error).__name__) from None
        return found

    def _away(self, why: str) -> RootUnavailable:
        self._check_usable()
        return RootUnavailable(
            f"AWS KMS does not answer as a root of trust: {why}",
            hint="Check the network, the identity's credentials and the service's state.",
        )


def _client(region: str, endpoint: str | None) -> "BaseClient":
    try:
        import boto3  # noqa: PLC0415 - an optional library
        from botocore.config import Config  # noqa: PLC0415 - idem
    except ImportError:
        raise ConfigurationError(
            "the root 'awskms:' needs the AWS SDK", hint="Install it: pip install 'adyton[aws]'."
        ) from None
    config = Config(
        connect_timeout=_TIMEOUT,
        read_timeout=_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
    )
    try:
        return boto3.client("kms", region_name=region, endpoint_url=endpoint, config=config)
    except ValueError:
        raise ConfigurationError(
            "the endpoint of the root 'awskms:' is not a URL", hint="Write '?endpoint=https://...'."
        ) from None
