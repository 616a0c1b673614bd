"""Which server, by which token and certificates: from arguments, the environment, a token file."""

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from adyton import durable
from adyton.attest.verifier.policy import Policy, load_policy
from adyton.errors import ConfigurationError, InvalidInput
from adyton.outbound import checked_address, header_text, tls_context

ENV_ADDR: Final = "ADYTON_ADDR"
ENV_TOKEN: Final = "ADYTON_TOKEN"  # noqa: S105 - the name of a variable
ENV_CACERT: Final = "ADYTON_CACERT"
ENV_POLICY: Final = "ADYTON_ATTEST"
ENV_CLIENT_CERT: Final = "ADYTON_CLIENT_CERT"
ENV_CLIENT_KEY: Final = "ADYTON_CLIENT_KEY"

MAX_ANSWER_BYTES: Final = 256 * 1024 * 1024
_TOKEN_FILE_BYTES: Final = 4_096


class Token:
    """The text of a token, where neither a representation nor a dump of variables shows it."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = header_text(text, "the token") if text else ""

    def __bool__(self) -> bool:
        return bool(self.text)

    def __repr__(self) -> str:
        return "<Token>"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server is reached.

    Attributes:
        base: The server's address, without a slash at its end.
        token: Sent with each request; empty for none.
        tls: How its certificate is checked.
        namespace: Whose log-ins, tokens and policies are meant; empty for the operator's.
        timeout: Seconds for each of connecting, sending and waiting for a part of the answer.
        retries: How often a request is sent again after a passing failure.
        retry_seconds: Most seconds that all attempts of a request may take together.
        max_answer_bytes: Largest answer that is taken.
        policy: Which evidence the server must show before anything is sent to it; None for none.
        asking_tls: As ``tls``, for asking for evidence.
    """

    base: str
    token: Token
    tls: ssl.SSLContext | None = None
    namespace: str = ""
    timeout: float = 30.0
    retries: int = 4
    retry_seconds: float = 60.0
    max_answer_bytes: int = MAX_ANSWER_BYTES
    policy: Policy | None = None
    asking_tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        for name in ("timeout", "retry_seconds", "max_answer_bytes"):
            if getattr(self, name) <= 0:
                raise InvalidInput(f"{name} is not positive")
        if self.retries < 0:
            raise InvalidInput("retries is negative", hint="Give 0 for none.")


def find(
    addr: str | None,
    token: str | None,
    *,
    namespace: str = "",
    ca: str | Path | None = None,
    cert: str | Path | tuple[str | Path, str | Path] | None = None,
    allow_http: bool = False,
    timeout: float = 30.0,
    retries: int = 4,
    retry_seconds: float = 60.0,
    max_answer_bytes: int = MAX_ANSWER_BYTES,
    attestation: str | Path | Policy | None = None,
) -> Settings:
    """What was given; what was not from the environment; the token at last from its file.

    Raises:
        InvalidInput: The address, token or a number can't be used.
        ConfigurationError: No server is named, or a file can't be read.
        InvalidDocument: The policy is none.
    """
    address = addr or os.environ.get(ENV_ADDR, "")
    if not address:
        raise ConfigurationError("no server is named", hint=f"Give an address, or set {ENV_ADDR}.")
    base = checked_address(address, allow_http=allow_http)
    kept = Kept("", namespace)
    text = token if token is not None else os.environ.get(ENV_TOKEN) or ""
    if token is None and not text:
        kept = read_token_file(base)
        text = kept.token
    secure = base.startswith("https:")
    if attestation is None:
        attestation = os.environ.get(ENV_POLICY) or None
    policy = load_policy(attestation) if isinstance(attestation, str | Path) else attestation
    return Settings(
        base,
        Token(text),
        _tls(ca, cert) if secure else None,
        namespace or kept.namespace,
        timeout,
        retries,
        retry_seconds,
        max_answer_bytes,
        policy,
        _tls(ca, cert) if secure and policy is not None else None,
    )


def _tls(
    ca: str | Path | None, cert: str | Path | tuple[str | Path, str | Path] | None
) -> ssl.SSLContext:
    ca_file = ca or os.environ.get(ENV_CACERT) or None
    if cert is None and (found := os.environ.get(ENV_CLIENT_CERT)):
        cert = (found, os.environ.get(ENV_CLIENT_KEY) or found)
    chain, key = cert if isinstance(cert, tuple) else (cert, None)
    return tls_context(*(None if each is None else str(each) for each in (ca_file, chain, key)))


# -- the token file ---------------------------------------------------------------------------


class Kept(NamedTuple):
    """What ``adyton login`` has kept.

    Attributes:
        token: The token; empty if there is none.
        namespace: Whose it is; empty for the operator's.
    """

    token: str = ""
    namespace: str = ""


def token_file() -> Path:
    """Where ``adyton login`` keeps a token.

    On a second line is the address it is for, on a third its namespace, if not the operator's.
    """
    return Path.home() / ".adyton-token"


def read_token_file(base: str) -> Kept:
    """The token that was kept for a server.

    Raises:
        ConfigurationError: The file is open to others, damaged, or for another server.
    """
    try:
        fd, size = durable.open_private(token_file())
    except FileNotFoundError:
        return Kept()
    except OSError as error:
        raise ConfigurationError(
            f"the token file {error.strerror}" if isinstance(error, durable.UnsafeFile)
            else f"the token file can't be read ({error.strerror})",
            hint="Mend or remove ~/.adyton-token, and log in again.",
        ) from None  # fmt: skip
    try:
        data = bytearray(min(size, _TOKEN_FILE_BYTES))
        got = durable.read_into(fd, memoryview(data))
    finally:
        os.close(fd)
    lines = data[:got].decode("ascii", "replace").splitlines()
    data[:] = bytes(len(data))
    if len(lines) not in {2, 3}:
        raise ConfigurationError(
            "the token file is damaged", hint="Remove ~/.adyton-token, and log in again."
        )
    if lines[1] != base:
        raise ConfigurationError(
            "the token in ~/.adyton-token is for another server, and is not sent to this one",
            hint=f"Log in to this one, or set {ENV_TOKEN}.",
        )
    return Kept(lines[0], lines[2] if len(lines) == 3 else "")


def write_token_file(base: str, token: str, namespace: str = "") -> None:
    """Keep a token for a server, readable by its owner alone.

    Raises:
        ConfigurationError: The file can't be written.
    """
    try:
        lines = [token, base, *([namespace] if namespace else [])]
        durable.replace(token_file(), "".join(f"{line}\n" for line in lines).encode())
    except OSError as error:
        raise ConfigurationError(f"the token file can't be written ({error.strerror})") from None


def remove_token_file() -> bool:
    """Remove the token file; whether there was one.

    Raises:
        ConfigurationError: It can't be removed.
    """
    try:
        token_file().unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ConfigurationError(f"the token file can't be removed ({error.strerror})") from None
    return True
