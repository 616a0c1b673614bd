"""Which state of the machine a TPM root asks for: PCRs, and policies that a key has approved.

All digests are those of the TPM's own commands (TPM 2.0 part 3, sections 23.7 and 23.16), so that a
policy can be computed, and approved by a signature, without a TPM.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from adyton.errors import ConfigurationError, InvalidInput
from adyton.roots._asking import Ask

POLICY_REF: Final = b"adyton"
"""Keeps a signature for us from being taken for one of another use of the same key."""
_BANKS: Final = {"sha1": (0x0004, 20), "sha256": (0x000B, 32), "sha384": (0x000C, 48),
                 "sha512": (0x000D, 64)}  # fmt: skip
_SELECTION: Final = re.compile(r"(?P<bank>[a-z0-9]+):(?P<pcrs>[0-9]+(?:\+[0-9]+)*)")
_PCRS: Final = 24
_POLICY_PCR: Final = (0x0000017F).to_bytes(4, "big")
_MAX_FILE: Final = 64 * 1024
_MAX_FILES: Final = 256


class Selection(NamedTuple):
    """PCRs of one bank.

    Attributes:
        bank: ``sha256`` and the like.
        pcrs: Their numbers, ascending.
    """

    bank: str
    pcrs: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.bank}:{'+'.join(map(str, self.pcrs))}"


class Approved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A policy that the key has approved: one file of JSON."""

    format: int
    pcrs: str
    policy: str
    signature: str


def parse_selection(text: str) -> tuple[Selection, ...]:
    """PCRs as ``sha256:7+11``, several banks with commas between.

    Raises:
        ConfigurationError: It is not such a text.
    """
    found = []
    for part in text.split(","):
        match = _SELECTION.fullmatch(part)
        numbers = sorted({int(n) for n in match["pcrs"].split("+")}) if match else []
        if match is None or match["bank"] not in _BANKS or numbers[-1] >= _PCRS:
            raise ConfigurationError(
                "the PCRs of the root 'tpm2:' are not of the form BANK:N+N",
                hint=f"Write 'pcrs=sha256:7+11'; banks are {', '.join(_BANKS)}.",
            )
        found.append(Selection(match["bank"], tuple(numbers)))
    if len({each.bank for each in found}) != len(found):
        raise ConfigurationError("a bank of PCRs is named twice", hint="Write its PCRs together.")
    return tuple(found)


def canonical_selection(text: str) -> str:
    """The same selection as it is stored.

    Raises:
        ConfigurationError: It is none.
    """
    return ",".join(map(str, parse_selection(text)))


def names(text: str) -> list[str]:
    """A name for each PCR of a selection, such as ``sha256:7``."""
    return [f"{each.bank}:{pcr}" for each in parse_selection(text) for pcr in each.pcrs]


def pcr_policy(selections: Sequence[Selection], values: Sequence[bytes]) -> bytes:
    """The digest of TPM2_PolicyPCR for these values, in the order of the selections.

    Raises:
        InvalidInput: There are more or fewer values than PCRs, or of other lengths.
    """
    lengths = [_BANKS[each.bank][1] for each in selections for _ in each.pcrs]
    if [len(value) for value in values] != lengths:
        raise InvalidInput("the values of the PCRs do not fit the selection")
    marshalled = len(selections).to_bytes(4, "big") + b"".join(map(_marshal, selections))
    chosen = sha256(b"".join(values)).digest()
    return sha256(bytes(32) + _POLICY_PCR + marshalled + chosen).digest()


def _marshal(selection: Selection) -> bytes:
    bits = sum(1 << pcr for pcr in selection.pcrs)
    return _BANKS[selection.bank][0].to_bytes(2, "big") + b"\x03" + bits.to_bytes(3, "little")


def approval_digest(policy: bytes) -> bytes:
    """What is signed to approve a policy."""
    return sha256(policy + POLICY_REF).digest()


def approve(
    key: ec.EllipticCurvePrivateKey, selections: Sequence[Selection], values: Sequence[bytes]
) -> bytes:
    """Approve a state of the machine: a file for the folder of policies.

    Args:
        key: A P-256 key; keep it where software is released, not on the machine.
        selections: The root's PCRs.
        values: What they will hold.

    Raises:
        InvalidInput: The key is of another curve, or the values do not fit.
    """
    if not isinstance(key.curve, ec.SECP256R1):
        raise InvalidInput("a key that approves policies is of the curve P-256")
    policy = pcr_policy(selections, values)
    signature = key.sign(approval_digest(policy), ec.ECDSA(Prehashed(SHA256())))
    text = ",".join(map(str, selections))
    return msgspec.json.encode(Approved(1, text, policy.hex(), signature.hex())) + b"\n"


def load_approver(path: Path) -> ec.EllipticCurvePublicKey:
    """The public key whose approvals count, PEM.

    Raises:
        ConfigurationError: It can't be read, or is not a P-256 key.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigurationError(
            f"the file {path} is not the public key of an approver",
            hint="Give a P-256 key in PEM, as 'openssl ec -pubout' writes it.",
        )
    return key


def load_signer(path: Path, ask: Ask | None) -> ec.EllipticCurvePrivateKey:
    """The private key that approves, PEM; its passphrase is asked for if it has one.

    Raises:
        InvalidInput: It can't be read or opened, or is not a P-256 key.
    """
    wrong = InvalidInput(
        f"the file {path} is not the private key of an approver, or its passphrase is wrong",
        hint="Make one: openssl ecparam -name prime256v1 -genkey -noout -out PATH.",
    )
    try:
        content = path.read_bytes()
        try:
            key = load_pem_private_key(content, None)
        except TypeError:  # it is encrypted
            if ask is None:
                raise wrong from None
            with ask("Passphrase of the approver's key: ") as passphrase:
                key = load_pem_private_key(content, passphrase.reveal())
    except (OSError, ValueError, UnsupportedAlgorithm):
        raise wrong from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise wrong
    return key


def approvals(folder: Path) -> dict[bytes, bytes]:
    """Signatures by the policy they approve; files that do not parse are passed over.

    Raises:
        ConfigurationError: The folder can't be read, or holds too many files.
    """
    try:
        files = sorted(each for each in folder.iterdir() if each.suffix == ".json")
    except OSError as error:
        raise ConfigurationError(
            f"the folder of approved policies can't be read: {error.strerror}",
            hint="Check 'policies=' of the root 'tpm2:'.",
        ) from None
    if len(files) > _MAX_FILES:
        raise ConfigurationError(f"there are more than {_MAX_FILES} approved policies")
    found: dict[bytes, bytes] = {}
    for file in files:
        try:
            with file.open("rb") as opened:
                content = opened.read(_MAX_FILE)
            read = msgspec.json.decode(content, type=Approved)
            if read.format == 1:
                found[bytes.fromhex(read.policy)] = bytes.fromhex(read.signature)
        except (OSError, ValueError, msgspec.MsgspecError, RecursionError):
            continue  # the TPM judges signatures; what is no file of ours can't open anything
    return found
